"""Connections to NATS for the event stream, and what its driver raises as errors of the port."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import nats
import nats.errors
import structlog
from nats.aio.client import Client

from fireside.adapters.event_stream.link import BrokerAwayError
from fireside.ports.event_stream import EventStreamError

log = structlog.stdlib.get_logger(__name__)

PATIENCE_S = 5
"""How long to wait for NATS, in seconds."""
_PING_S = 5


async def new_client(servers: list[str]) -> Client:
    """A connection to one of the servers.

    Raises:
        EventStreamError: It refuses the credentials.
    """

    async def note(error: Exception) -> None:
        log.debug("nats_error", error=str(error))

    try:
        return await nats.connect(
            servers,
            # the link makes new connections; without these two, the first attempt alone takes minutes
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=PATIENCE_S,
            ping_interval=_PING_S,
            max_outstanding_pings=2,
            error_cb=note,
        )
    except nats.errors.Error as error:
        if "authorization" in str(error).lower():
            raise EventStreamError("NATS refuses the user, the password or the token") from error
        raise


async def disconnect(client: Client) -> None:
    """Send what is left, and close, whatever fails."""
    with suppress(nats.errors.Error, OSError, TimeoutError):
        await client.flush(timeout=1)
    with suppress(nats.errors.Error, OSError, TimeoutError):
        await client.close()


@asynccontextmanager
async def translated() -> AsyncGenerator[None]:
    """Raise what the driver raises as errors of the port."""
    try:
        yield
    except EventStreamError:
        raise
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise BrokerAwayError(f"NATS: {error or type(error).__name__}") from error
