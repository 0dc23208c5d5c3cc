"""Connections to RabbitMQ for the event stream, and what its driver raises as errors of the port.

An open channel whose consumer nobody listens to keeps what it was given, and the turn of its group, for as long as its
connection lives. So a channel is surely closed: no cancellation interrupts that, and where it fails the connection
goes.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, AuthenticationError, ProbableAuthenticationError
from yarl import URL

from fireside.adapters.event_stream.link import BrokerAwayError
from fireside.ports.event_stream import EventStreamError

PATIENCE_S = 10.0
"""How long to wait for RabbitMQ, in seconds."""
_HEARTBEAT_S = 10
_REFUSALS = (AuthenticationError, ProbableAuthenticationError)


async def new_connection(url: URL) -> AbstractConnection:
    """A connection that notices within seconds when the server is gone.

    Raises:
        EventStreamError: It refuses the credentials or the virtual host.
    """
    try:
        return await aio_pika.connect(url.update_query(heartbeat=_HEARTBEAT_S), timeout=PATIENCE_S / 2)
    except _REFUSALS as error:
        raise EventStreamError("RabbitMQ refuses the user, the password or the virtual host") from error


async def close_channel(connection: AbstractConnection, channel: AbstractChannel) -> None:
    """Return to their queues, in order, the messages that were not acknowledged on a channel.

    A cancellation meanwhile is raised after that.
    """
    await _uninterrupted(_close_or_cut(connection, channel))


async def disconnect(connection: AbstractConnection) -> None:
    """Close a connection, whatever fails."""
    with suppress(*CONNECTION_EXCEPTIONS, TimeoutError):
        async with asyncio.timeout(PATIENCE_S / 2):
            await connection.close()


@asynccontextmanager
async def translated() -> AsyncGenerator[None]:
    """Raise what the driver raises as errors of the port."""
    try:
        yield
    except EventStreamError:
        raise
    except TimeoutError as error:
        raise BrokerAwayError("RabbitMQ did not answer in time") from error
    except CONNECTION_EXCEPTIONS as error:
        raise BrokerAwayError(f"RabbitMQ: {error or type(error).__name__}") from error


async def _close_or_cut(connection: AbstractConnection, channel: AbstractChannel) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S / 2):
            await channel.close()
    except (*CONNECTION_EXCEPTIONS, TimeoutError):
        await disconnect(connection)


async def _uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    task, cancelled = asyncio.create_task(work), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
