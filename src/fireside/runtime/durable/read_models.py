"""Makes a read model anew from the logs that it follows from."""

from collections.abc import Awaitable, Callable, Collection, Iterable

from fireside.runtime.durable import event_log, inbox_store
from fireside.runtime.durable.database import Database
from fireside.runtime.durable.unit_of_work import UnitOfWork

_PAGE = 1000


async def rebuild(
    target: Database,
    sources: Iterable[Database],
    *,
    topics: Collection[str],
    clear: Callable[[UnitOfWork], Awaitable[None]],
) -> int:
    """Empty a read model and have every fact that it follows from handled once more, in order.

    Emptying and taking the facts in is one transaction: interrupted, nothing has changed. They are then handled as
    any others are, by every handler of these topics in the service; until that is done the read model grows.

    Args:
        target: The database of the service that keeps the read model.
        sources: The databases of the services that state the facts.
        topics: The facts' topics.
        clear: Empties the read model's tables.

    Returns:
        How many facts are to be handled.
    """
    received = 0
    async with target.transaction() as unit:
        await clear(unit)
        await inbox_store.forget(unit.session, target.service, topics)
        for source in sources:
            after = 0
            while True:
                async with source.read() as session:
                    page = await event_log.read(session, after=after, topics=topics, limit=_PAGE)
                if not page:
                    break
                now = target.clock.now()
                await inbox_store.add(unit.session, target.service, page, now=now)
                received, after = received + len(page), page[-1].sequence
    target.wakeups.wake("inbox")
    return received
