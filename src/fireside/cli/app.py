"""The command line put together: global options, the commands, and how their errors are shown."""

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from fireside import __version__
from fireside.cli import (
    accounts,
    asking,
    configuration,
    documents,
    embeddings,
    ingesting,
    jobs,
    limits,
    models,
    operations,
    providers,
    serving,
)
from fireside.cli.connection import CommandError
from fireside.cli.output import complain
from fireside.cli.session import Session
from fireside.core.errors import FiresideError

_HELP = """Fireside: ask your own documents. 'fireside up' starts it.

Commands speak to the server that runs on this machine with the same data folder and need no login there; --server and
--key (or FIRESIDE_SERVER and FIRESIDE_KEY) reach another. Every command has --json. They end with 0 when all went
well, 1 when something failed, 2 when they were written wrongly, 3 when some files failed, 130 after Ctrl-C.
"""


class _Group(TyperGroup):
    """Shows an expected failure in one line instead of a stack."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override] - click's own annotation is untyped
        """Run the command; a failure that tells what to do is printed, not thrown."""
        try:
            return super().invoke(ctx)
        except (CommandError, FiresideError) as error:
            complain(str(error))
            raise typer.Exit(error.exit_code if isinstance(error, CommandError) else 1) from error


def build() -> typer.Typer:
    """The command line, ready to be called."""
    app = typer.Typer(
        cls=_Group,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help=_HELP,
    )
    app.callback()(_options)
    serving.add_commands(app)
    asking.add_commands(app)
    ingesting.add_commands(app)
    documents.add_commands(app)
    operations.add_commands(app)
    limits.add_commands(app)
    app.add_typer(documents.commands(), name="documents", help="What was ingested.")
    app.add_typer(models.commands(), name="models", help="Language models.")
    app.add_typer(providers.commands(), name="providers", help="Servers of models, and who answers for what.")
    app.add_typer(embeddings.commands(), name="embeddings", help="The model that documents are searched with.")
    app.add_typer(accounts.user_commands(), name="users", help="People who use this Fireside.")
    app.add_typer(accounts.key_commands(), name="keys", help="Your API keys.")
    app.add_typer(configuration.commands(), name="config", help="Settings, also while Fireside runs.")
    app.add_typer(limits.commands(), name="limits", help="How much of models may be used, and what they cost.")
    app.add_typer(jobs.commands(), name="jobs", help="Long work: indexing and the like.")
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _options(
    ctx: typer.Context,
    server: Annotated[
        str | None, typer.Option(help="URL of another machine's Fireside; FIRESIDE_SERVER otherwise.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="API key (fsk_...); FIRESIDE_KEY otherwise.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder; FIRESIDE_HOME or ~/.fireside otherwise.")] = None,
    version: Annotated[  # noqa: ARG001 - its callback has done all there is to do
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    ctx.obj = Session(server=server, key=key, data=data)
