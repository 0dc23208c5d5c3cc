"""Dead letters that no table holds: what the event stream put aside because it is no fact for this service."""

import structlog

from fireside.contracts.jobs import DeadLetter
from fireside.core.ids import UserId
from fireside.ports.event_stream import EventStreamError, RejectedMessage
from fireside.runtime.durable.database import Database
from fireside.runtime.durable.dead_letter_table import DeadLetterNotFoundError

log = structlog.stdlib.get_logger(__name__)


async def rejected_letters(database: Database) -> list[DeadLetter]:
    """What was put aside for the group of a service, newest first. Nothing while the broker is away."""
    if database.stream is None:
        return []
    try:
        rejected = await database.stream.rejected()
    except EventStreamError as error:
        log.warning("rejected_not_listed", service=database.service, error=error.message)
        return []
    letters = {message.id: _letter(message) for message in rejected if message.group == database.service}
    return list(reversed(letters.values()))


async def offer_again(database: Database, letter: DeadLetter, *, by: UserId | None) -> DeadLetter:
    """Have the stream deliver it anew.

    Raises:
        DeadLetterNotFoundError: Somebody else did.
        EventStreamError: The broker is away.
    """
    if database.stream is None or not await database.stream.offer_again(letter.id):
        raise DeadLetterNotFoundError(id=str(letter.id))
    return letter.model_copy(update={"redriven_at": database.clock.now(), "redriven_by": by})


def _letter(message: RejectedMessage) -> DeadLetter:
    error = {"code": "not_a_fact", "message": f"{len(message.body)} bytes that this version cannot read as a fact"}
    return DeadLetter(
        id=message.id,
        type="message",
        name="message",
        subject_id=message.id,
        consumer_group=message.group,
        attempts=1,
        error=error,
        occurred_at=message.rejected_at,
    )
