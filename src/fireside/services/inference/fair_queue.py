"""Who may use a model's places next: whoever had least of them, so that nobody's many requests hold up others."""

import asyncio
from collections.abc import AsyncGenerator, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from fireside.contracts.inference import ChatPriority
from fireside.core.clock import Clock
from fireside.runtime.errors import OverloadedError
from fireside.runtime.notices import Notice

_FIRST_GUESS_S = 5.0
_NEWEST_WEIGHS = 0.2
_TELL_EVERY_S = 15.0
_ORDER: dict[ChatPriority, int] = {"interactive": 0, "background": 1}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request stands in the queue.

    Attributes:
        ahead: How many requests come before it.
        expected_wait_s: How long that takes if requests take as long as the last ones did, or as one that runs already
            does.
    """

    ahead: int
    expected_wait_s: float


@dataclass(slots=True)
class _User:
    """What one user has of the places: requests that are here, and the seconds of places that were used."""

    used_s: float
    running: int = 0
    waiting: int = 0


@dataclass(eq=False, slots=True)
class Ticket:
    """One request in the queue. A context: whoever leaves it, done or not, gives its place to the next."""

    queue: "FairQueue"
    user: Hashable
    priority: int
    number: int
    began_s: float | None = None
    moved: Notice = field(default_factory=Notice)

    @property
    def has_place(self) -> bool:
        """Whether it need not wait, or no more."""
        return self.began_s is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.queue.leave(self)

    async def wait(self) -> AsyncGenerator[Place]:
        """Wait for a place; tells how it stands at first, when that changes, and now and then. Ends with the place."""
        while self.began_s is None:
            place = self.queue.place_of(self)
            yield place
            with suppress(TimeoutError):
                async with asyncio.timeout(_TELL_EVERY_S):
                    while self.began_s is None and self.queue.place_of(self).ahead == place.ahead:
                        self.moved.clear()
                        await self.moved.wait()


class FairQueue:
    """The places of one engine or server.

    Waiting requests go in order of priority; among equals, those of the user who used the places least while others
    waited; then in order of arrival. Requests that run count as if they took as long as the last ones did. Whoever
    comes (back) starts level with the least served user that is here: one neither saves up turns nor owes any.
    """

    def __init__(self, *, places: int | None, most_waiting: int, clock: Clock) -> None:
        """Prepare.

        Args:
            places: How many requests run at once; None for any number.
            most_waiting: How many may wait.
            clock: Measures how long requests take.
        """
        self._places = places
        self._most_waiting = most_waiting
        self._clock = clock
        self._users: dict[Hashable, _User] = {}
        self._waiting: list[Ticket] = []
        self._running: dict[Ticket, float] = {}
        self._joined = 0
        self._usual_s = _FIRST_GUESS_S
        self.joined_at_s = 0.0
        """When somebody joined last."""

    @property
    def busy(self) -> int:
        """How many requests are here, waiting or not."""
        return len(self._running) + len(self._waiting)

    def join(self, user: Hashable, priority: ChatPriority = "interactive") -> Ticket:
        """Stand in line; use what comes back as a context and `wait` in it.

        Raises:
            OverloadedError: As many as may are waiting already.
        """
        has_room = self._places is None or len(self._running) < self._places
        if not has_room and len(self._waiting) >= self._most_waiting:
            raise OverloadedError(
                f"{len(self._running)} requests are being answered, and {self._most_waiting} wait already",
                retry_after_s=max(1, round(self._usual_s)),
            )
        self._joined += 1
        self.joined_at_s = self._clock.monotonic()
        ticket = Ticket(self, user, _ORDER[priority], self._joined)
        if user not in self._users:
            self._users[user] = _User(min((known.used_s for known in self._users.values()), default=0.0))
        if has_room and not self._waiting:
            self._begin(ticket)
            return ticket
        self._users[user].waiting += 1
        self._waiting.append(ticket)
        self._admit()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give up a place, or the wait for one. `Ticket` does this at its end."""
        user = self._users[ticket.user]
        if ticket.began_s is None:
            self._waiting.remove(ticket)
            user.waiting -= 1
        else:
            took_s = self._clock.monotonic() - ticket.began_s
            self._usual_s += _NEWEST_WEIGHS * (took_s - self._usual_s)
            del self._running[ticket]
            user.running -= 1
            user.used_s += took_s
        if not user.running and not user.waiting:
            del self._users[ticket.user]
        self._admit()
        for waiting in self._waiting:
            waiting.moved.set()

    def place_of(self, ticket: Ticket) -> Place:
        """Where a waiting request stands now."""
        ahead = sum(self._order(other) < self._order(ticket) for other in self._waiting)
        now = self._clock.monotonic()
        longest_s = now - min(self._running.values(), default=now)
        return Place(ahead, round((ahead + 1) * max(self._usual_s, longest_s) / (self._places or 1), 1))

    def _admit(self) -> None:
        while self._waiting and (self._places is None or len(self._running) < self._places):
            ticket = min(self._waiting, key=self._order)
            self._waiting.remove(ticket)
            self._users[ticket.user].waiting -= 1
            self._begin(ticket)

    def _begin(self, ticket: Ticket) -> None:
        self._users[ticket.user].running += 1
        ticket.began_s = self._running[ticket] = self._clock.monotonic()
        ticket.moved.set()

    def _order(self, ticket: Ticket) -> tuple[int, float, int]:
        user = self._users[ticket.user]
        return ticket.priority, user.used_s + user.running * self._usual_s, ticket.number
