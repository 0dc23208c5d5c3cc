"""Speaks to a running Fireside over its public API, as any other client would."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import aiohttp

ResultT = TypeVar("ResultT")

SERVER_FILE = "server.json"
KEY_FILE = "cli.key"
NO_KEY_YET = "none"
"""Stands for a key while somebody signs in to get one."""

_NO_KEY = (
    "no key: pass one with --key fsk_... or FIRESIDE_KEY; 'fireside --server URL keys create NAME --email YOUR@ADDRESS'"
    " makes you one"
)


class CommandError(Exception):
    """A command cannot go on; the text says why and what to do."""

    exit_code: ClassVar[int] = 1


class StoppedError(CommandError):
    """Somebody pressed Ctrl-C."""

    exit_code = 130


class RefusedError(CommandError):
    """The server said no.

    Attributes:
        status: Of the reply.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Address:
    """A server and the key to it."""

    url: str
    key: str


def find_server(*, url: str | None, key: str | None, home: Path) -> Address:
    """Find the server: as given, or the one that runs on this machine with this data folder.

    The key in the data folder goes to the server of that data folder and to no other.

    Raises:
        CommandError: None is known, or there is no key for it.
    """
    url = url or os.environ.get("FIRESIDE_SERVER")
    key = key or os.environ.get("FIRESIDE_KEY")
    if not url:
        return Address(_running_here(home), key or _key_here(home))
    if not key:
        raise CommandError(_NO_KEY)
    return Address((url if "://" in url else f"http://{url}").rstrip("/"), key)


def _running_here(home: Path) -> str:
    try:
        return str(json.loads((home / SERVER_FILE).read_text())["url"])
    except FileNotFoundError:
        raise CommandError(
            f"no Fireside runs with the data folder {home}: start it with 'fireside up', or name one with --server"
        ) from None
    except PermissionError:
        raise CommandError(f"the data folder {home} belongs to someone else: use --server and --key") from None


def _key_here(home: Path) -> str:
    try:
        return (home / KEY_FILE).read_text().strip()
    except FileNotFoundError:
        raise CommandError(_NO_KEY) from None
    except PermissionError:
        raise CommandError(f"{home / KEY_FILE} belongs to someone else: pass your own key with --key fsk_...") from None


class Connection:
    """One server, one key; every refusal becomes a CommandError with the server's own words."""

    def __init__(self, address: Address, session: aiohttp.ClientSession) -> None:
        """Use an open session."""
        self.address = address
        self._session = session

    async def json(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call and read JSON; None for an empty reply.

        Raises:
            CommandError: Nobody answers, the server refuses, or it is no Fireside.
        """
        params = {name: str(value) for name, value in query.items() if value is not None}
        async with self.request(method, path, json=body, params=params) as reply:
            try:
                return None if reply.status == 204 else await reply.json()
            except (aiohttp.ContentTypeError, ValueError) as error:
                raise CommandError(f"what answers at {self.address.url} is no Fireside") from error

    async def items(self, path: str, **query: Any) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        cursor: str | None = None
        while True:
            page = await self.json("GET", path, **query, cursor=cursor)
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor")
            if not cursor:
                return

    async def events(self, path: str, body: Any) -> AsyncGenerator[dict[str, Any], None]:
        """Post and read the reply's events as they come (NDJSON); empty lines only keep the connection alive."""
        async with self.request("POST", path, json=body, headers={"accept": "application/x-ndjson"}) as reply:
            async for line in reply.content:
                if line.strip():
                    yield json.loads(line)

    @asynccontextmanager
    async def request(
        self, method: str, path: str, *, also: int = 200, **options: Any
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """Call; the reply is open inside the context.

        Args:
            method: Upper case.
            path: Without the query.
            also: A status that is no refusal here.
            options: As aiohttp takes them.

        Raises:
            RefusedError: The server refuses.
            CommandError: Nobody answers, or the connection breaks.
        """
        headers = {"authorization": f"Bearer {self.address.key}"} | options.pop("headers", {})
        try:
            async with self._session.request(method, self.address.url + path, headers=headers, **options) as reply:
                if reply.status >= 400 and reply.status != also:
                    raise RefusedError(await _refusal(reply), status=reply.status)
                yield reply
        except aiohttp.InvalidURL as error:
            raise CommandError(f"{self.address.url!r} is no address: write --server http://host:8080") from error
        except (aiohttp.ClientConnectionError, ConnectionError) as error:
            raise CommandError(
                f"nobody answers at {self.address.url} ({error}): is it running? 'fireside up' starts it"
            ) from error
        except aiohttp.ClientPayloadError as error:
            raise CommandError(f"the connection to {self.address.url} broke; 'fireside doctor' may say why") from error


async def _refusal(reply: aiohttp.ClientResponse) -> str:
    try:
        problem = await reply.json(content_type=None)
        said = str(problem.get("detail") or problem.get("title") or reply.status)
    except (ValueError, AttributeError):
        said = f"the server answered {reply.status}"
    if reply.status == 401 and reply.request_info.headers.get("authorization") != f"Bearer {NO_KEY_YET}":
        return f"{said} ('fireside keys create' makes a new key)"
    retry_after = reply.headers.get("Retry-After")
    return f"{said} (try again in {retry_after} s)" if retry_after else said


@asynccontextmanager
async def connect(address: Address) -> AsyncGenerator[Connection, None]:
    """Open a connection."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0)) as session:
        yield Connection(address, session)


def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a command's work to its end.

    Raises:
        StoppedError: By Ctrl-C; the work had its chance to clean up.
    """
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise StoppedError("stopped") from None
