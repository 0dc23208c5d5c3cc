"""The service of ours that Node.js calls, and the contracts of the service there that we call."""

from collections.abc import AsyncGenerator
from typing import Any, ClassVar

from fireside.contracts.base import PUBLIC, SIGNED_IN, Action, Contract, Nothing, Signal, StreamAction
from fireside.runtime.mesh import Context, Service, action, on_signal, stream_action
from tests.runtime.mesh.parts import TooOddError


class Text(Contract):
    text: str = ""


class Echoed(Contract):
    text: str
    kind: str
    user: str | None


class Count(Contract):
    upto: int
    failAt: int | None = None  # noqa: N815 - as the JavaScript side has it


class Number(Contract):
    value: int


class Weight(Contract):
    bytes: int


class Told(Signal):
    topic: ClassVar[str] = "desk.told"
    text: str


ECHO = Action("desk.echo", Text, Echoed, access=SIGNED_IN)
OPEN = Action("desk.open", Nothing, Text, access=PUBLIC)
REFUSE = Action("desk.refuse", Number, Number, access=SIGNED_IN)
NUMBERS = StreamAction("desk.numbers", Count, Number, access=SIGNED_IN)
WEIGH = Action("desk.weigh", Text, Weight, access=SIGNED_IN)


class Desk(Service):
    name = "desk"

    def __init__(self) -> None:
        self.heard: list[str] = []

    @action(ECHO)
    async def echo(self, context: Context, request: Text) -> Echoed:
        user = context.identity.user_id
        return Echoed(text=request.text, kind=context.identity.kind, user=None if user is None else str(user))

    @action(OPEN)
    async def open_(self, context: Context, request: Nothing) -> Text:
        return Text(text="come in")

    @action(REFUSE)
    async def refuse(self, context: Context, request: Number) -> Number:
        raise TooOddError(f"{request.value} is odd", value=request.value)

    @stream_action(NUMBERS)
    async def numbers(self, context: Context, request: Count) -> AsyncGenerator[Number, None]:
        for value in range(request.upto):
            if value == request.failAt:
                raise TooOddError(f"{value} is odd", value=value)
            yield Number(value=value)

    @action(WEIGH)
    async def weigh(self, context: Context, request: Text) -> Weight:
        assert context.body is not None
        return Weight(bytes=sum([len(chunk) async for chunk in context.body]))

    @on_signal(Told)
    async def told(self, context: Context, signal: Told) -> None:
        self.heard.append(signal.text)


class JsEcho(Contract):
    text: str
    node: str
    identity: dict[str, Any] | None = None
    meta: dict[str, Any]


JS_ECHO = Action("js.echo", Text, JsEcho, access=SIGNED_IN)
JS_REFUSE = Action("js.refuse", Number, Number, access=SIGNED_IN)
JS_CHECK = Action("js.check", Text, Nothing, access=SIGNED_IN)
JS_NUMBERS = StreamAction("js.numbers", Count, Number, access=SIGNED_IN)
JS_WEIGH = Action("js.weigh", Nothing, Weight, access=SIGNED_IN)
JS_RELAY = Action("js.relay", Text, Echoed, access=SIGNED_IN)
FOREIGN_ECHO = Action("foreign.echo", Text, JsEcho, access=PUBLIC)
FORBIDDEN_ECHO = Action("forbidden.echo", Text, JsEcho, access=PUBLIC)
