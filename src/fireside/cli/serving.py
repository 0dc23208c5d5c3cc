"""`fireside up`: starts the house in this process."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fireside.bootstrap.environment import fold_files, read_settings
from fireside.bootstrap.settings import Settings
from fireside.cli.output import console
from fireside.cli.session import session_of


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(up)


def up(
    ctx: typer.Context,
    only: Annotated[str | None, typer.Option(help="Host only these services: documents,vectors.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to bind to; 127.0.0.1 unless told otherwise.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 for any free one.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder, here or before 'up'.")] = None,
) -> None:
    """Start Fireside and print the link to it. Ctrl-C stops it."""
    from fireside.bootstrap.server import run_server  # noqa: PLC0415 - the server takes a second to import; other commands do not wait for it

    session = session_of(ctx)
    if data is not None:
        session = replace(session, data=data)
    fold_files(session.home)
    settings = read_settings(Settings, home=session.data, host=host, port=port)
    services = tuple(name.strip() for name in only.split(",") if name.strip()) if only else None
    run_server(settings, only=services, announce=lambda line: console.print(line, markup=False))
