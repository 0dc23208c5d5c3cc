"""`fireside ingest`: files and whole folders go to the server, which reads and indexes them."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from rich.markup import escape
from rich.progress import Progress, TaskID

from fireside.cli.connection import CommandError, Connection, RefusedError
from fireside.cli.jobs import progress_of
from fireside.cli.output import AsJson, console, print_json, progress_bar
from fireside.cli.session import session_of

SUFFIXES = frozenset(
    [
        ".md",
        ".markdown",
        ".mdx",
        ".txt",
        ".text",
        ".log",
        ".rst",
        ".adoc",
        ".html",
        ".htm",
        ".xhtml",
        ".csv",
        ".tsv",
        ".tab",
        ".pdf",
        ".docx",
        ".docm",
        ".pptx",
        ".pptm",
        ".xlsx",
        ".xlsm",
        ".xls",
        ".ods",
    ]
)
"""What is looked for in folders; a file that is named itself is sent whatever it is."""
BATCH_FILES = 50
BATCH_BYTES = 40_000_000
SOME_FAILED = 3
"""Exit code when some files could not be indexed."""

_ABOUT_THE_FILES = {413, 415, 422}
"""Refusals that say something about these files, not about whoever sends them: the others go on."""

Found = tuple[Path, str]
Document = dict[str, Any]


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(ingest)


def ingest(
    ctx: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.", exists=True)],
    collection: Annotated[
        str | None, typer.Option(help="Name or id of the collection; 'shared' or 'personal' by your role otherwise.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add files and whole folders, with a progress bar. Doing it again only reads what has changed."""
    found = list(files_in(paths))
    if not found:
        raise CommandError(f"no readable document here (looked for {', '.join(sorted(SUFFIXES))})")

    async def work(connection: Connection) -> list[Document]:
        results: list[Document] = []
        with progress_bar() as progress:
            bar = progress.add_task("indexing", total=len(found))
            for batch in batches(found):
                results += await _ingest_batch(connection, batch, collection, (progress, bar))
        return results

    started = time.perf_counter()
    documents = session_of(ctx).call(work)
    failed = [document for document in documents if document["state"] != "indexed"]
    if as_json:
        print_json({"documents": documents, "failed": len(failed)})
    else:
        _tell(documents, failed, seconds=time.perf_counter() - started)
    if failed:
        raise typer.Exit(SOME_FAILED)


def _tell(documents: Sequence[Document], failed: Sequence[Document], *, seconds: float) -> None:
    count = len(documents) - len(failed)
    console.print(f"{count} document{'' if count == 1 else 's'} indexed in {seconds:.1f} s")
    for document in failed:
        reason = document.get("reason") or f"it is {document['state']}"
        console.print(f"[red]failed[/red] {escape(document['path'])}: {escape(reason)}")


async def _ingest_batch(
    connection: Connection, batch: Sequence[Found], collection: str | None, bar: tuple[Progress, TaskID]
) -> list[Document]:
    """Upload some files and follow their job to its end; returns them as they then are, with those that failed."""
    progress, task = bar
    began = progress.tasks[task].completed
    with ExitStack() as opened:
        form, failed = _form(batch, opened)
        try:
            accepted = await _upload(connection, form, collection) if len(failed) < len(batch) else None
        except RefusedError as error:
            if error.status not in _ABOUT_THE_FILES:
                raise
            accepted, failed = None, [_failure(name, str(error)) for _, name in batch]
    if accepted is not None:
        async for view in progress_of(connection, accepted["job_id"]):
            progress.update(task, completed=began + len(batch) * view["percent"] / 100)
    progress.update(task, completed=began + len(batch))
    added: list[Document] = accepted["documents"] if accepted else []
    return [await connection.json("GET", f"/api/v1/documents/{each['id']}") for each in added] + failed


async def _upload(connection: Connection, form: aiohttp.FormData, collection: str | None) -> dict[str, Any]:
    params = {"collection": collection} if collection else {}
    async with connection.request("POST", "/api/v1/documents", data=form, params=params) as reply:
        accepted: dict[str, Any] = await reply.json()
        return accepted


def _form(batch: Sequence[Found], opened: ExitStack) -> tuple[aiohttp.FormData, list[Document]]:
    """The files as a form that reads them while it is sent, and those that cannot be opened."""
    form, failed = aiohttp.FormData(quote_fields=False), list[Document]()
    for path, name in batch:
        try:
            file = opened.enter_context(path.open("rb"))
        except OSError as error:
            failed.append(_failure(name, error.strerror or str(error)))
        else:
            form.add_field("files", file, filename=name)
    return form, failed


def _failure(path: str, reason: str) -> Document:
    return {"path": path, "state": "failed", "reason": reason}


def files_in(paths: Sequence[Path]) -> Iterator[Found]:
    """The files of these files and folders with the names they get: inside a folder, the way from it."""
    for path in paths:
        if path.is_file():
            yield path, path.name
            continue
        for file in sorted(path.rglob("*")):
            inside = file.relative_to(path)
            hidden = any(part.startswith(".") for part in inside.parts)
            if not hidden and file.suffix.lower() in SUFFIXES and file.is_file():
                yield file, inside.as_posix()


def batches(found: Sequence[Found]) -> Iterator[list[Found]]:
    """Cut into uploads of a bearable size."""
    batch, held = list[Found](), 0
    for path, name in found:
        length = path.stat().st_size
        if batch and (len(batch) >= BATCH_FILES or held + length > BATCH_BYTES):
            yield batch
            batch, held = [], 0
        batch.append((path, name))
        held += length
    if batch:
        yield batch
