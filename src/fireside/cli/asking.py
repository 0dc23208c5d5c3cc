"""`fireside ask`: a question, its answer as it is written, its sources."""

import asyncio
import sys
from contextlib import aclosing, suppress
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from fireside.cli.connection import CommandError, Connection
from fireside.cli.output import AsJson, console, errors, print_json
from fireside.cli.session import session_of
from fireside.core.ids import new_id

Mode = Literal["company", "general", "auto"]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(ask)


def ask(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(help="What you want to know; - reads it from standard input.")],
    mode: Annotated[
        Mode | None, typer.Option(help="Answer from the documents, in general, or as it fits, which is the default.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of a model; 'fireside models list' shows them.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Id of a conversation to go on with.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a question and watch the cited answer. Ctrl-C stops it, also on the server."""
    text = (sys.stdin.read() if question == "-" else question).strip()
    if not text:
        raise CommandError("the question is empty")
    wishes = {name: value for name, value in (("mode", mode), ("model", model)) if value}

    async def work(connection: Connection) -> tuple[str, dict[str, Any]]:
        conversation_id = conversation or (await connection.json("POST", "/api/v1/conversations", wishes))["id"]
        path = f"/api/v1/conversations/{conversation_id}/messages"
        post = {"id": str(new_id()), "content": text} | (wishes if conversation else {})
        return conversation_id, await _follow(connection, path, post, shown=_Shown(quiet=as_json))

    conversation_id, final = session_of(ctx).call(work)
    if as_json:
        answer = {name: value for name, value in final.items() if name not in {"id", "type"}}
        print_json({"conversation_id": conversation_id} | answer)
    else:
        _show_sources(final)


async def _follow(connection: Connection, path: str, post: dict[str, Any], *, shown: "_Shown") -> dict[str, Any]:
    """Ask and show what comes; an interrupted question is stopped on the server, too, so that it works for nobody."""
    final: dict[str, Any] | None = None
    try:
        async with aclosing(connection.events(path, post)) as events:
            async for event in events:
                final = shown.show(event) or final
    except asyncio.CancelledError:
        with suppress(CommandError):  # the question may not have got there
            await connection.json("POST", f"/api/v1/messages/{post['id']}/stop")
        raise
    finally:
        shown.end(final)
    if final is None:
        raise CommandError("the answer ended without its text: ask again")
    return final


class _Shown:
    """An answer on the screen: word by word at a terminal; whole, and nothing beside it, into a pipe."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._live = quiet, console.is_terminal
        self._text = ""

    def show(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Show one event; the final one is returned.

        Raises:
            CommandError: The answer failed.
        """
        kind = event["type"]
        if kind == "error":
            raise CommandError(event.get("detail") or event["title"])
        if kind == "token" and self._live and not self._quiet:
            self._text += event["text"]
            console.print(event["text"], end="", markup=False)
        elif kind == "step" and event["status"] == "started" and self._live and not self._quiet:
            errors.print(f"[dim]{escape(event['name'])} ...[/dim]")
        return event if kind == "final" else None

    def end(self, final: dict[str, Any] | None) -> None:
        """End the text; what the answer holds in the end counts more than the words that came."""
        if self._quiet:
            return
        if self._text:
            console.print()
        if final is not None and final["content"].strip() != self._text.strip():
            if self._text:
                errors.print("[dim]after the check:[/dim]")
            console.print(final["content"], markup=False)


def _show_sources(final: dict[str, Any]) -> None:
    cited = [source for source in final["sources"] if f"[{source['n']}]" in final["content"]]
    if cited:
        console.print()
    for source in cited:
        page = f", page {source['page']}" if source.get("page") else ""
        heading = f" - {source['heading']}" if source.get("heading") else ""
        console.print(f"[dim]\\[{source['n']}] {escape(source['path'] + heading)}{page}[/dim]")
    if final["mode"] == "company":
        console.print(f"[dim]confidence {final['confidence']:.0%}[/dim]")
    for reason in final["degraded"]:
        errors.print(f"[yellow]note:[/yellow] {escape(reason)}")
