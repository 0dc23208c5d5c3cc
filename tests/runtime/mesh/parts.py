"""Contracts and services that the tests of the mesh share."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, ClassVar

from fireside.contracts.base import INTERNAL, PUBLIC, SIGNED_IN, Action, Contract, Nothing, Signal, StreamAction
from fireside.core.errors import ConflictError, FiresideError
from fireside.core.identity import Identity, user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.mesh import Context, Service, action, on_signal, stream_action


class Note(Contract):
    text: str
    data: bytes = b""
    tags: tuple[str, ...] = ()


class Count(Contract):
    upto: int
    fail_at: int | None = None


class Number(Contract):
    value: int


class Where(Contract):
    node: str


class Told(Signal):
    topic: ClassVar[str] = "notes.told"
    text: str


class TooOddError(ConflictError):
    """The number is too odd."""

    code = "too_odd"


ECHO = Action("notes.echo", Note, Note, access=SIGNED_IN, idempotent=True)
WHERE = Action("notes.where", Nothing, Where, access=PUBLIC, idempotent=True)
WHERE_ONCE = Action("notes.where_once", Nothing, Where, access=PUBLIC)
WHO = Action("notes.who", Nothing, Note, access=INTERNAL)
REFUSE = Action("notes.refuse", Number, Number, access=SIGNED_IN)
CRASH = Action("notes.crash", Nothing, Nothing, access=SIGNED_IN)
HANG = Action("notes.hang", Nothing, Where, access=PUBLIC, idempotent=True, timeout_s=20.0)
NUMBERS = StreamAction("notes.numbers", Count, Number, access=SIGNED_IN, timeout_s=5.0)
REMAINING = Action("notes.remaining", Nothing, Note, access=PUBLIC)


class NotesService(Service):
    name = "notes"

    def __init__(self, node: str = "here") -> None:
        self.node = node
        self.requests: list[Note] = []
        self.contexts: list[Context] = []
        self.signals: list[str] = []
        self.produced = 0
        self.calls = 0
        self.hanging = asyncio.Event()
        self.release = asyncio.Event()
        self.ended = asyncio.Event()

    @action(ECHO)
    async def echo(self, context: Context, request: Note) -> Note:
        self.requests.append(request)
        self.contexts.append(context)
        return request

    @action(WHERE)
    async def where(self, context: Context, request: Nothing) -> Where:
        self.calls += 1
        return Where(node=self.node)

    @action(WHERE_ONCE)
    async def where_once(self, context: Context, request: Nothing) -> Where:
        return await self.where(context, request)

    @action(WHO)
    async def who(self, context: Context, request: Nothing) -> Note:
        return Note(text=f"{context.identity.name} for {context.identity.user_id}")

    @action(REFUSE)
    async def refuse(self, context: Context, request: Number) -> Number:
        raise TooOddError(f"{request.value} is odd", value=request.value)

    @action(CRASH)
    async def crash(self, context: Context, request: Nothing) -> Nothing:
        raise ZeroDivisionError("a private detail")

    @action(REMAINING)
    async def remaining(self, context: Context, request: Nothing) -> Note:
        return Note(text=str(context.remaining_s))

    @action(HANG)
    async def hang(self, context: Context, request: Nothing) -> Where:
        self.calls += 1
        self.hanging.set()
        try:
            await self.release.wait()
            return Where(node=self.node)
        finally:
            self.ended.set()

    @stream_action(NUMBERS)
    async def numbers(self, context: Context, request: Count) -> AsyncGenerator[Number, None]:
        try:
            for value in range(request.upto):
                if value == request.fail_at:
                    raise TooOddError(f"{value} is odd", value=value)
                self.produced += 1
                yield Number(value=value)
            self.hanging.set()
            if request.fail_at == -1:
                await self.release.wait()
        finally:
            self.ended.set()

    @on_signal(Told)
    async def told(self, context: Context, signal: Told) -> None:
        self.signals.append(signal.text)


class DiaryService(NotesService):
    """Listens to the same signals under another name, so in another group."""

    name = "diary"

    def offers(self) -> Any:
        return iter(())


def a_user() -> Identity:
    return user_identity(UserId(new_id()), roles=["user"], permissions=["notes:read"], session_id=new_id())


def code_of(error: FiresideError) -> tuple[str, int]:
    return error.code, error.status
