"""`fireside embeddings`."""

from typing import Annotated, Any

import typer

from fireside.cli.connection import CommandError, Connection
from fireside.cli.jobs import follow
from fireside.cli.output import AsJson, console, print_json, print_table
from fireside.cli.session import session_of

_PLACE = "/api/v1/admin/embedding-model"


def commands() -> typer.Typer:
    """The commands about the model that documents are searched with."""
    app = typer.Typer(no_args_is_help=True)
    app.command("list")(list_models)
    app.command("use")(use)
    return app


def list_models(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the embedding models; the one that is searched with has a star."""

    async def work(connection: Connection) -> dict[str, Any]:
        return await connection.json("GET", _PLACE)

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            item["name"] + (" *" if item["name"] == found["serving"] else ""),
            item["version"],
            item["dimensions"],
            item["max_tokens"],
            item["pooling"],
            "" if item["index"] == "none" else f"{item['index']}, {item['passages']} passages",
        )
        for item in found["items"]
    ]
    print_table(("name", "version", "dimensions", "reads tokens", "pooling", "index"), rows)
    job = found["job"]
    if job is not None and job["state"] in {"queued", "running"}:
        console.print(f"moving to {found['wanted']}: {job['percent']:.0f} %, job {job['id']}")
    elif job is not None and job["error"] is not None:
        console.print(f"the move to {found['wanted']} {job['state']}: {job['error']['message']}")


def use(
    ctx: typer.Context, name: Annotated[str, typer.Argument(help="The model's name.")], as_json: AsJson = False
) -> None:
    """Search with another model, once everything is embedded anew. Ctrl-C stops watching; the job goes on."""

    async def work(connection: Connection) -> dict[str, Any]:
        started = await connection.json("POST", _PLACE, {"model": name})
        return await follow(connection, started["job_id"], name)

    job = session_of(ctx).call(work)
    if as_json:
        print_json(job)
    if job["state"] != "succeeded":
        reason = (job.get("error") or {"message": job["state"]})["message"]
        raise CommandError(f"documents are searched as before: {reason}")
    if not as_json:
        console.print(f"documents are searched with {name}: {job['result']['passages']} passages")
