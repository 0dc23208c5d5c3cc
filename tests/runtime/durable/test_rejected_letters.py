"""What the event stream put aside stands among the dead letters of the service that it came to."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.contracts.jobs import DeadLetterRef, ListDeadLetters, jobs_of
from fireside.core.errors import NotFoundError
from fireside.ports.event_stream import EventStreamError, RejectedMessage
from fireside.runtime.context import Context
from fireside.testing.durable import temporary_database
from fireside.testing.facts import Auditor
from fireside.testing.mesh import local_node
from tests.runtime.durable.notes import someone

pytestmark = pytest.mark.requirement("P8")

ACTIONS = jobs_of("auditor")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class StreamWithRejected(OutboxEventStream):
    """A stream that put messages aside, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.put_aside = [
            RejectedMessage(group, body, BEGAN + timedelta(seconds=number))
            for number, (group, body) in enumerate([("auditor", b"a"), ("another", b"b"), ("auditor", b"c")])
        ]

    async def rejected(self, *, limit: int = 100) -> Sequence[RejectedMessage]:
        if self.away:
            raise EventStreamError("away")
        return self.put_aside[:limit]

    async def offer_again(self, message_id: UUID) -> bool:
        kept = [message for message in self.put_aside if message.id != message_id]
        found, self.put_aside = len(kept) < len(self.put_aside), kept
        return found


@pytest.fixture
def stream() -> StreamWithRejected:
    return StreamWithRejected()


@pytest.fixture
async def manager(stream: StreamWithRejected) -> AsyncIterator[Context]:
    async with temporary_database("auditor", stream=stream) as database, local_node(Auditor(database=database)) as node:
        yield node.context(identity=someone("jobs:manage"))


async def test_messages_put_aside_are_listed_newest_first_and_offered_again_once(
    manager: Context, stream: StreamWithRejected
) -> None:
    newer, older = (await manager.call(ACTIONS.dead, ListDeadLetters())).letters
    assert (newer.type, newer.occurred_at, older.occurred_at) == ("message", BEGAN + timedelta(seconds=2), BEGAN)

    driven = await manager.call(ACTIONS.redrive, DeadLetterRef(id=newer.id))

    assert driven.redriven_by == manager.identity.user_id
    assert [message.body for message in stream.put_aside] == [b"a", b"b"]
    with pytest.raises(NotFoundError):
        await manager.call(ACTIONS.redrive, DeadLetterRef(id=newer.id))


async def test_what_another_service_was_sent_is_none_of_its_business(
    manager: Context, stream: StreamWithRejected
) -> None:
    with pytest.raises(NotFoundError):
        await manager.call(ACTIONS.redrive, DeadLetterRef(id=stream.put_aside[1].id))
    assert len(stream.put_aside) == 3


async def test_dead_letters_are_listed_while_the_broker_is_away(manager: Context, stream: StreamWithRejected) -> None:
    stream.away = True

    assert (await manager.call(ACTIONS.dead, ListDeadLetters())).letters == ()
