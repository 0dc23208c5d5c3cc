"""One connection to a broker, made anew whenever it is needed and was lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fireside.ports.event_stream import EventStreamError

ConnectionT = TypeVar("ConnectionT")


class BrokerAwayError(EventStreamError):
    """The broker cannot be reached, or went away in the middle of something; it may come back."""

    code = "broker_away"


class Link(Generic[ConnectionT]):
    """Holds the connection. Nobody reconnects in the background: whoever needs it next does."""

    def __init__(
        self,
        *,
        connect: Callable[[], Awaitable[ConnectionT]],
        is_open: Callable[[ConnectionT], bool],
        disconnect: Callable[[ConnectionT], Awaitable[None]],
    ) -> None:
        self._connect, self._is_open, self._disconnect = connect, is_open, disconnect
        self._connection: ConnectionT | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    async def get(self) -> ConnectionT:
        """The connection; a new one when there is none that works.

        Raises:
            EventStreamError: The stream was closed. What `connect` raises is passed on.
        """
        async with self._turn:
            if self._closed:
                raise EventStreamError("the event stream is closed")
            if self._connection is None or not self._is_open(self._connection):
                self._connection = await self._connect()
            return self._connection

    async def close(self) -> None:
        """Disconnect, for good."""
        async with self._turn:
            self._closed = True
            connection, self._connection = self._connection, None
            if connection is not None:
                await self._disconnect(connection)
