"""Ends tasks whose time is up. Nearly every call ends long before, so a timer of its own is not made for each.

Deadlines wait in slots of a quarter of a second, with one timer for each slot; only what is still there when its slot
begins gets a timer of its own, which is as exact as the event loop's are.
"""

import asyncio
from types import TracebackType
from typing import Any, Self

SLOT_S = 0.25


class Deadline:
    """A block of the running task, cancelled with a TimeoutError when its time is up, as with `asyncio.timeout`."""

    __slots__ = ("_cancelling", "_expired", "_slot", "_task", "_timer", "_when")

    def __init__(self, when: float, task: "asyncio.Task[Any] | None", slot: "set[Deadline]") -> None:
        self._when, self._task, self._slot = when, task, slot
        self._cancelling = 0 if task is None else task.cancelling()
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False
        slot.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.meet()
        if not self._expired or self._task is None:
            return
        is_ours = self._task.uncancel() <= self._cancelling
        if is_ours and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error

    def meet(self) -> None:
        """Do in time what had to be done; the rest of the block may take as long as it likes."""
        self._slot.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    @property
    def expired(self) -> bool:
        """Whether the time was up before the block had ended."""
        return self._expired

    def arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel at the very moment."""
        self._timer = loop.call_at(self._when, self._expire)

    def _expire(self) -> None:
        self._expired = True
        if self._task is not None:
            self._task.cancel()


class WaitsDeadline(Deadline):
    """A deadline for the waits within a block: `begin_wait`, what waits, `end_wait`. Between them nobody is cancelled.

    Whoever waits asks `expired` before, and `cut_wait_short` when it was cancelled. However many waits there are, they
    cost one deadline; each may run in another task.
    """

    __slots__ = ("_loop",)

    def __init__(self, when: float, slot: "set[Deadline]", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(when, None, slot)
        self._loop = loop

    def begin_wait(self) -> None:
        """The running task waits from now on."""
        self._task = task = asyncio.current_task(self._loop)
        self._cancelling = 0 if task is None else task.cancelling()

    def end_wait(self) -> None:
        """It waits no more."""
        self._task = None

    def cut_wait_short(self) -> bool:
        """Whether it was the deadline, and nobody else, that cancelled the wait."""
        return self._expired and self._task is not None and self._task.uncancel() <= self._cancelling


class Deadlines:
    """The deadlines that run on one event loop at a time.

    Attributes:
        loop: The event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._slots: dict[int, set[Deadline]] = {}

    def within(self, seconds: float) -> Deadline:
        """A block of the running task that may take so long from now on; to be entered at once."""
        when, slot = self._place(seconds)
        return Deadline(when, asyncio.current_task(self.loop), slot)

    def waits_within(self, seconds: float) -> WaitsDeadline:
        """A block whose waits must be over after so long from now on; to be entered at once."""
        when, slot = self._place(seconds)
        return WaitsDeadline(when, slot, self.loop)

    def _place(self, seconds: float) -> tuple[float, set[Deadline]]:
        if asyncio.current_task(self.loop) is None:  # another loop runs; to ask for it each time costs a system call
            self.loop, self._slots = asyncio.get_running_loop(), {}
        when = self.loop.time() + seconds
        number = int(when / SLOT_S)
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = set()
            self.loop.call_at(number * SLOT_S, self._arm, number)
        return when, slot

    def _arm(self, number: int) -> None:
        for deadline in self._slots.pop(number):
            deadline.arm(self.loop)
