"""Clients that leave before their answer is there: the work for them is cancelled, wherever it waits.

A client is watched from the first moments on, not from the first instant: most short answers are there before that, and
are spared a task of their own.
"""

import asyncio
from types import TracebackType
from typing import Any, Self

from starlette.types import Receive

from fireside.core.errors import FiresideError

_UNWATCHED_S = 0.02
"""For how long nobody watches whether a client leaves; one that leaves earlier is noticed then."""


class ClientLeftError(FiresideError):
    """The client closed the connection before its answer was there."""

    code = "client_left"
    status = 499


class UntilLeft:
    """Work for a client as long as it is there: `with UntilLeft(receive): ...` inside the task that does the work.

    The body of the request must have been read. Leaving the block raises `ClientLeftError` when the client had left and
    the work was cancelled for it. One task watches however long the reply is; the work itself needs none.
    """

    __slots__ = ("_cancelling", "_left", "_receive", "_task", "_timer", "_watch")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = False
        self._watch: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - whatever awaits runs in a task; narrows the type
        self._task: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(_UNWATCHED_S, self._begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._left and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise ClientLeftError from error

    def _begin(self) -> None:
        self._watch = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left = True
        self._task.cancel()
