"""The HTTP server of a node: it listens, tells when it serves, and hangs up on nobody when it stops."""

import asyncio
import contextlib
import gc
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import cast

import uvicorn

from fireside.bootstrap.environment import SettingsError

_SILENCE_S = 1.0
_LOOK_S = 0.02
_OBJECTS_BETWEEN_COLLECTIONS = 10_000


def listen(host: str, port: int) -> socket.socket:
    """A socket that whoever connects waits at; port 0 is any that is free.

    Raises:
        SettingsError: It cannot listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setblocking(False)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited; else small replies wait 40 ms
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"FIRESIDE_PORT: cannot listen on {host}:{port} ({error.strerror}): choose another with --port"
        ) from error
    return listening


class HttpServer(uvicorn.Server):
    """Tells when it serves; when it stops, whoever has connected before is still answered."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, then say so."""
        await super().startup(sockets)
        _spare_the_collector()
        _forget_generators()
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop to serve; the house is stopped after that, so the signal that told us must not end the process yet.

        Whoever has connected gets to say what for, also who was not let in yet: uvicorn would hang up on them, and a
        request through a proxy would fail that another node could have taken.
        """
        waiting = _let_in(sockets or ())
        for server in self.servers:
            server.close()
        for client in waiting:
            with contextlib.suppress(OSError):  # gone already
                await asyncio.get_running_loop().connect_accepted_socket(self._protocol, client)
        await self._hear_the_last()
        await super().shutdown(sockets)
        self._captured_signals.clear()

    def _protocol(self) -> asyncio.Protocol:
        new_protocol = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        return new_protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    async def _hear_the_last(self) -> None:
        """Wait until all who are connected have asked something, though not for long: a browser connects in advance."""
        until = time.monotonic() + _SILENCE_S
        connections = self.server_state.connections
        while time.monotonic() < until and any(map(_is_silent, connections)):  # noqa: ASYNC110 - they tell nobody
            await asyncio.sleep(_LOOK_S)


def _let_in(sockets: Sequence[socket.socket]) -> list[socket.socket]:
    """Those who have connected and wait to be let in: to close the door now would be to hang up on them."""
    waiting = list[socket.socket]()
    for listening in sockets:
        with contextlib.suppress(BlockingIOError):
            while True:
                client, _ = listening.accept()
                client.setblocking(False)
                waiting.append(client)
    return waiting


def _is_silent(connection: object) -> bool:
    """It has not asked anything yet."""
    return getattr(connection, "cycle", connection) is None


def _spare_the_collector() -> None:
    """Have cycles looked for less often, and never in what a server keeps for good: a tenth of a request's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


def _forget_generators() -> None:
    """Have the event loop keep no list of asynchronous generators that begin: it would close at its end what is left.

    Whoever uses one here closes it; noting the ten of a request took a twentieth of its time.
    """
    sys.set_asyncgen_hooks(firstiter=None)
