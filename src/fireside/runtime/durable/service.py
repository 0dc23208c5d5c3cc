"""The base of every service that keeps something: its database, its jobs and the facts it handles."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fireside.runtime.durable.database import Database
from fireside.runtime.durable.inbox import Inbox
from fireside.runtime.durable.job_desk import JobDesk
from fireside.runtime.durable.job_method import OnJob
from fireside.runtime.durable.relay import Relay
from fireside.runtime.durable.worker import Worker
from fireside.runtime.health import Check
from fireside.runtime.mesh.service import AnyAction, Attachment, OnEvent, Service, marked


class DurableService(Service):
    """A service with a database.

    Its jobs (`@on_job`) are run and its facts carried while the node runs, and the job actions (`contracts.jobs`) are
    offered under its name. A subclass calls `super().__init__(database=...)`; one that overrides `open`, `close`,
    `health` or `attachments` calls the method it overrides.

    Attributes:
        database: Opened before any service of the node starts.
    """

    def __init__(self, *, database: Database) -> None:
        self.database = database
        self._worker = Worker(database, [(marker.job, method) for marker, method in marked(self, OnJob)])
        self._desk = JobDesk(database, self._worker)
        self._inbox, self._relay = self._streaming()
        self._opened = False

    def offers(self) -> Iterator[tuple[AnyAction, Callable[..., Any]]]:
        """The service's own actions and those for its jobs."""
        yield from super().offers()
        yield from self._desk.offers()

    def attachments(self) -> Sequence[Attachment]:
        """The worker, and what carries facts in and out."""
        parts: tuple[Attachment | None, ...] = self._worker, self._inbox, self._relay
        return [part for part in parts if part is not None]

    async def open(self) -> None:
        """Open the database, unless it is open."""
        self._opened = not self.database.is_open
        await self.database.open()

    async def close(self) -> None:
        """Close the database, if it was opened here."""
        if self._opened:
            await self.database.close()

    async def health(self) -> Mapping[str, Check]:
        """Whether the database answers, and whether facts are taken from it."""
        checks = {"database": await self.database.check()}
        if self._relay is not None and self._relay.troubles and checks["database"].status == "ok":
            waiting = await self._relay.waiting()
            troubles = sorted(self._relay.troubles.items())
            details = [f"{waiting.get(place, 0)} facts wait for {place}: {trouble}" for place, trouble in troubles]
            checks["events"] = Check("degraded", "; ".join(details))
        return checks

    def _streaming(self) -> tuple[Inbox | None, Relay | None]:
        stream = self.database.stream
        if stream is None:
            return None, None
        methods = [(marker.event, method) for marker, method in marked(self, OnEvent)]
        return Inbox(self.database, stream, methods) if methods else None, Relay(self.database, stream)
