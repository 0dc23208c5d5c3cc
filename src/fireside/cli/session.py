"""What the global options say, for the commands."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import typer

from fireside.cli.connection import NO_KEY_YET, Connection, connect, find_server, run

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Session:
    """Which server a command speaks to."""

    server: str | None
    key: str | None
    data: Path | None

    @property
    def home(self) -> Path:
        """The data folder of this machine's Fireside."""
        return (self.data or Path(os.environ.get("FIRESIDE_HOME", "~/.fireside"))).expanduser().resolve()

    def call(self, work: Callable[[Connection], Awaitable[ResultT]]) -> ResultT:
        """Connect, do the work, disconnect.

        Raises:
            CommandError: There is no server, or it refuses.
        """

        async def connected() -> ResultT:
            address = find_server(url=self.server, key=self.key, home=self.home)
            async with connect(address) as connection:
                return await work(connection)

        return run(connected())

    def signed_in(self, email: str, password: str) -> "Session":
        """A session of the person with this address, for as long as an access token lives.

        Raises:
            CommandError: There is no server, or address and password do not fit.
        """
        form = {"grant_type": "password", "username": email, "password": password}

        async def work(connection: Connection) -> str:
            async with connection.request("POST", "/api/v1/auth/token", data=form) as reply:
                return str((await reply.json())["access_token"])

        return replace(self, key=replace(self, key=NO_KEY_YET).call(work))


def session_of(ctx: typer.Context) -> Session:
    """The session of this command line."""
    session: Session = ctx.find_object(Session) or Session(None, None, None)
    return session
