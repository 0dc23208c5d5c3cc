"""`fireside documents` and `fireside search`."""

from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from fireside.cli.connection import Connection
from fireside.cli.output import AsJson, console, moment, print_done, print_json, print_table, size
from fireside.cli.session import session_of

State = Literal["pending", "indexing", "indexed", "failed"]
Words = Annotated[str, typer.Argument(help="What to look for: words or a question.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(search)


def commands() -> typer.Typer:
    """The commands about documents."""
    app = typer.Typer(no_args_is_help=True)
    app.command("list")(list_documents)
    app.command("remove")(remove)
    return app


def list_documents(
    ctx: typer.Context,
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    query: Annotated[str | None, typer.Option(help="Part of a path or title.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the documents you may read, newest first; of those that failed with the reason."""

    async def work(connection: Connection) -> list[dict[str, Any]]:
        return [item async for item in connection.items("/api/v1/documents", state=state, query=query, limit=100)]

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
        return
    rows = [
        (item["id"], item["path"], item["state"], size(item["bytes"]), moment(item["updated_at"]), item["reason"])
        for item in found
    ]
    print_table(("id", "path", "state", "size", "changed", "reason"), rows)


def remove(
    ctx: typer.Context,
    document_id: Annotated[str, typer.Argument(help="The document's id; 'fireside documents list' shows it.")],
    as_json: AsJson = False,
) -> None:
    """Delete a document, its passages and its file."""

    async def work(connection: Connection) -> None:
        await connection.json("DELETE", f"/api/v1/documents/{document_id}")

    session_of(ctx).call(work)
    print_done({"removed": document_id}, f"removed {document_id}", as_json=as_json)


def search(
    ctx: typer.Context,
    words: Words,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many passages at most.")] = 5,
    mode: Annotated[
        Literal["hybrid", "vector", "keyword"], typer.Option(help="By meaning and words, or one of them.")
    ] = "hybrid",
    collection: Annotated[str | None, typer.Option(help="Only this collection.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find passages in the documents."""

    async def work(connection: Connection) -> dict[str, Any]:
        result: dict[str, Any] = await connection.json(
            "GET", "/api/v1/search", q=words, limit=limit, mode=mode, collection=collection
        )
        return result

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
        return
    for number, item in enumerate(found["items"], 1):
        place = "".join(f" - {part}" for part in (item["heading"], _page(item)) if part and part != item["title"])
        console.print(
            f"[bold]{number}. {escape(item['title'])}[/bold][dim]{escape(place)} ({escape(item['path'])})[/dim]"
        )
        console.print(escape(" ".join(item["text"].split())[:300]) + "\n")
    if not found["items"]:
        console.print("nothing found")


def _page(item: dict[str, Any]) -> str:
    return f"page {item['page']}" if item.get("page") else ""
