"""Connections to servers of models: opened when they are needed, kept for a moment, and never more than allowed."""

import asyncio
import base64
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Final

from aiohappyeyeballs import start_connection  # pyright: ignore[reportUnknownVariableType] - a tuple of anything
from yarl import URL

from fireside.adapters.language_model.guarded_resolver import GuardedResolver
from fireside.adapters.language_model.wire import HungUpError, Origin, Wire

_NEXT_ADDRESS_S: Final = 0.25
"""After how long a second address of a server is tried beside the first (RFC 8305)."""
_CLOSED: Final = (HungUpError, ConnectionResetError, BrokenPipeError)
_LOOKS: Final = 4
"""How often connections are looked at in the time after which one is given up."""
_ALWAYS: Final = {"accept": "*/*", "content-type": "application/json", "user-agent": "Fireside"}

_AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


class StaleConnectionError(ConnectionError):
    """A kept connection was closed before a byte of the reply had come."""


class AddressError(OSError):
    """An address is none of a web server."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, and how they begin: all of the head but the length of the body."""

    origin: Origin
    head: bytes

    def head_for(self, body: bytes | None) -> bytes:
        """The head of a request with this body; None for a request that has none."""
        return self.head + (b"\r\n" if body is None else b"content-length: %d\r\n\r\n" % len(body))


def target_of(method: str, address: str, headers: Mapping[str, str]) -> Target:
    """Where a URL leads, and how a request there begins.

    Raises:
        AddressError: It is no `http` or `https` URL, or a header holds a line break.
    """
    try:
        url = URL(address)
    except ValueError as error:
        raise AddressError(f"no URL: {address}") from error
    if url.scheme not in {"http", "https"} or not url.raw_host or url.port is None:
        raise AddressError(f"no http or https URL: {address}")
    named = {"host": url.host_port_subcomponent or "", **_ALWAYS, **headers}
    if url.user is not None:
        credentials = f"{url.user}:{url.password or ''}".encode()
        named.setdefault("authorization", f"Basic {base64.b64encode(credentials).decode()}")
    lines = [f"{method} {url.raw_path_qs} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise AddressError("a header holds a line break")
    return Target((url.scheme, url.raw_host, url.port), "\r\n".join([*lines, ""]).encode())


class Connections:
    """The connections to one server, wherever it is at the moment."""

    def __init__(
        self, *, most: int, connect_timeout_s: float = 5.0, read_timeout_s: float = 120.0, keep_s: float = 15.0
    ) -> None:
        """Prepare.

        Args:
            most: How many are used at once; who comes then waits.
            connect_timeout_s: Longest wait for a connection.
            read_timeout_s: Longest silence of the server.
            keep_s: How long a connection is kept that nobody uses.
        """
        self._places = asyncio.Semaphore(most)
        self._connect_timeout_s = connect_timeout_s
        self._make_wire = partial(Wire, read_timeout_s=read_timeout_s, keep_s=keep_s, on_lost=self._lost)
        self._look_every_s = min(read_timeout_s, keep_s) / _LOOKS
        self._timer: asyncio.TimerHandle | None = None
        self._open: set[Wire] = set()
        self._idle: dict[Origin, dict[Wire, None]] = {}
        self._tls: ssl.SSLContext | None = None

    async def ask(self, target: Target, body: bytes | None, *, fresh: bool = False) -> Wire:
        """Send a request; what comes back holds the head of the reply, and is to be given back.

        Args:
            target: Where to.
            body: JSON; None for none.
            fresh: Whether to open a connection for it, instead of using one that was kept.

        Raises:
            StaleConnectionError: A kept connection turned out to be closed.
            OSError: There is no connection, it broke, or the server takes too long.
        """
        await self._places.acquire()
        try:
            kept = None if fresh else self._find_kept(target.origin)
            wire = kept or await self._connect(target.origin)
            try:
                await wire.ask(target.head_for(body), body or b"")
            except _CLOSED as error:
                wire.close()
                if kept is not None:
                    raise StaleConnectionError from error
                raise
            except BaseException:
                wire.close()
                raise
        except BaseException:
            self._places.release()
            raise
        return wire

    def give_back(self, wire: Wire) -> None:
        """Keep a connection for the next request; one whose reply has not been read to its end is closed."""
        self._places.release()
        if wire.is_reusable:
            self._idle.setdefault(wire.origin, {})[wire] = None
        else:
            wire.close()

    async def close(self) -> None:
        """Close every connection."""
        for wire in self._open:
            wire.close()
        await asyncio.sleep(0)  # they end with the next turn of the event loop

    def _find_kept(self, origin: Origin) -> Wire | None:
        """The one that was used last."""
        idle = self._idle.get(origin)
        while idle:
            wire, _ = idle.popitem()
            if wire.is_reusable:
                return wire
        return None

    async def _connect(self, origin: Origin) -> Wire:
        scheme, host, _ = origin
        async with asyncio.timeout(self._connect_timeout_s):
            opened = await start_connection(
                await _addresses_of(origin), happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1
            )
            try:
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                tls = await self._tls_context() if scheme == "https" else None
                _, wire = await asyncio.get_running_loop().create_connection(
                    partial(self._make_wire, origin),
                    sock=opened,
                    ssl=tls,
                    server_hostname=host if tls else None,
                )
            except BaseException:
                opened.close()
                raise
        self._open.add(wire)
        if self._timer is None:
            self._look_later()
        return wire

    async def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)  # reads certificates from disk
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._look_every_s, self._look)

    def _look(self) -> None:
        """Have connections give up: one timer for all, because one for each takes as much memory as the connection."""
        for wire in tuple(self._open):
            wire.look()
        self._look_later()

    def _lost(self, wire: Wire) -> None:
        self._open.discard(wire)
        if not self._open and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        idle = self._idle.get(wire.origin, {})
        idle.pop(wire, None)
        if not idle:
            self._idle.pop(wire.origin, None)


async def _addresses_of(origin: Origin) -> list[_AddressInfo]:
    """What the host's name stands for.

    Raises:
        OSError: Nothing, or nothing that may be asked.
    """
    _, host, port = origin
    try:
        literal = ip_address(host)
    except ValueError:
        found = await GuardedResolver().resolve(host, port, socket.AF_UNSPEC)
        return [_address(each["family"], each["host"], port) for each in found]
    return [_address(socket.AF_INET if literal.version == 4 else socket.AF_INET6, host, port)]


def _address(family: int, host: str, port: int) -> _AddressInfo:
    where = (host, port, 0, 0) if family == socket.AF_INET6 else (host, port)
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)
