"""`fireside models`."""

from typing import Any

import typer

from fireside.cli.connection import Connection
from fireside.cli.output import AsJson, print_json, print_table, size
from fireside.cli.session import session_of


def commands() -> typer.Typer:
    """The commands about models."""
    app = typer.Typer(no_args_is_help=True)
    app.command("list")(list_models)
    return app


def list_models(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the models that may be used."""

    async def work(connection: Connection) -> list[dict[str, Any]]:
        return [item async for item in connection.items("/api/v1/models")]

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
        return
    rows = [
        (item["name"], item["state"], item["answer_style"], item["context_tokens"], size(item.get("size_bytes")))
        for item in found
    ]
    print_table(("name", "state", "answers by", "context tokens", "size"), rows)
