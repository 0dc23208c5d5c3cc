"""`fireside jobs`."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
import typer

from fireside.cli.connection import CommandError, Connection
from fireside.cli.output import AsJson, moment, print_done, print_json, print_table, progress_bar
from fireside.cli.session import session_of

JobId = Annotated[str, typer.Argument(help="The job's id.")]


def commands() -> typer.Typer:
    """The commands about jobs."""
    app = typer.Typer(no_args_is_help=True)
    app.command("list")(list_jobs)
    app.command("watch")(watch)
    app.command("cancel")(cancel)
    app.command("retry")(retry)
    app.command("dead")(dead)
    app.command("redrive")(redrive)
    return app


def list_jobs(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 20,
    everyone: Annotated[bool, typer.Option(help="Those of all people, for managers of jobs.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs."""

    async def work(connection: Connection) -> list[dict[str, Any]]:
        page = await connection.json("GET", "/api/v1/jobs", limit=limit, everyone=everyone or None)
        return list(page["items"])

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
        return
    rows = [
        (job["id"], job["kind"], job["state"], f"{job['percent']:.0f} %", moment(job["created_at"]), job["detail"])
        for job in found
    ]
    print_table(("id", "kind", "state", "done", "since", "detail"), rows)


def watch(ctx: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Follow a job to its end with a progress bar."""

    async def work(connection: Connection) -> dict[str, Any]:
        return await follow(connection, job_id)

    job = session_of(ctx).call(work)
    print_done(job, f"{job['id']}: {job['state']}", as_json=as_json)
    if job["state"] != "succeeded":
        raise CommandError(f"the job {job['state']}: {(job.get('error') or {}).get('message') or 'no reason given'}")


async def follow(connection: Connection, job_id: str, title: str = "") -> dict[str, Any]:
    """Show a progress bar until a job has ended; returns how it ended."""
    last: dict[str, Any] = {}
    with progress_bar() as progress:
        bar = progress.add_task(title)
        async for view in progress_of(connection, job_id):
            last = view
            progress.update(bar, completed=view["percent"], description=view["stage"] or view["state"])
    return last


async def progress_of(connection: Connection, job_id: str) -> AsyncIterator[dict[str, Any]]:
    """How a job stands, each time something changes, until it has ended."""
    async with connection.request("GET", f"/api/v1/jobs/{job_id}/events") as reply:
        async for line in reply.content:
            if line.startswith(b"data:"):
                yield orjson.loads(line[5:])


def cancel(ctx: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Stop a job."""
    _act(ctx, job_id, "cancel", as_json=as_json)


def retry(ctx: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Run a failed or cancelled job again."""
    _act(ctx, job_id, "retry", as_json=as_json)


def dead(
    ctx: typer.Context,
    redriven: Annotated[bool, typer.Option(help="Those too that were driven again.")] = False,
    as_json: AsJson = False,
) -> None:
    """List jobs and facts that were given up, and messages that are no facts."""

    async def work(connection: Connection) -> list[dict[str, Any]]:
        letters = connection.items("/api/v1/admin/dead-letters", redriven=redriven or None)
        return [letter async for letter in letters]

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
        return
    rows = [
        (letter["id"], letter["service"], letter["name"], moment(letter["occurred_at"]), letter["error"].get("message"))
        for letter in found
    ]
    print_table(("id", "service", "what", "since", "error"), rows)


def redrive(
    ctx: typer.Context,
    letter_id: Annotated[str, typer.Argument(help="The id that 'jobs dead' shows.")],
    as_json: AsJson = False,
) -> None:
    """Drive a dead letter again, once its cause is mended."""

    async def work(connection: Connection) -> Any:
        return await connection.json("POST", f"/api/v1/admin/dead-letters/{letter_id}/redrive")

    letter = session_of(ctx).call(work)
    print_done(letter, f"{letter['id']}: driven again", as_json=as_json)


def _act(ctx: typer.Context, job_id: str, verb: str, *, as_json: bool) -> None:
    async def work(connection: Connection) -> Any:
        return await connection.json("POST", f"/api/v1/jobs/{job_id}/{verb}")

    job = session_of(ctx).call(work)
    state = "stopping" if job["cancelling"] and job["state"] == "running" else job["state"]
    print_done(job, f"{job['id']}: {state}", as_json=as_json)
