"""Calls and streams from other nodes: running the action and sending back what it gives."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import structlog
from msgspec import Raw
from pydantic import BaseModel

from fireside.contracts.base import StreamAction
from fireside.core.errors import FiresideError
from fireside.core.identity import ANONYMOUS
from fireside.core.ids import new_id
from fireside.ports.transporter import TransporterError
from fireside.runtime.context import Context, Dispatcher
from fireside.runtime.errors import ActionUnavailableError, NodeLeavingError, NodeStoppedError
from fireside.runtime.mesh.bodies import body_chunk, read_body
from fireside.runtime.mesh.control import TAKEN, CallNote
from fireside.runtime.mesh.link import Link
from fireside.runtime.mesh.packets import JSON_NULL, Request, Response, object_in
from fireside.runtime.mesh.passes import Passes
from fireside.runtime.mesh.registry import fireside_part
from fireside.runtime.mesh.streams import Chunk, StreamGate, StreamReader
from fireside.runtime.mesh.wire_errors import to_wire
from fireside.runtime.middleware.base import AnyAction

log = structlog.stdlib.get_logger(__name__)

CallKey = tuple[str, str]
"""Sender and id of a request."""

ERROR_AFTER_S = 0.05
"""How long after the opening of a stream its error is held back from Moleculer's own nodes.

There a stream is in nobody's hands before a turn of the event loop, and an error that nobody listens for is thrown away
together with the end of the stream.
"""


@dataclass(frozen=True, slots=True)
class Served:
    """An action of this node, with the chain for calls from other nodes around it."""

    action: AnyAction
    handler: Any


@dataclass(slots=True, eq=False)
class _Call:
    """A call from another node, and the task that works on it from when it has begun."""

    packet: Request
    part: Mapping[str, Any]
    window: int | None
    body: StreamReader | None
    gate: StreamGate | None = None
    task: "asyncio.Task[None] | None" = None
    leaving: bool = False


class IncomingCalls:
    """The serving side of the mesh."""

    def __init__(
        self, link: Link, *, dispatcher: Dispatcher, passes: Passes, tell: Callable[[str, str, CallNote], None]
    ) -> None:
        self._link, self._dispatcher, self._passes, self._tell = link, dispatcher, passes, tell
        self._served: dict[str, Served] = {}
        self._running: dict[CallKey, _Call] = {}
        self._arrived: deque[_Call] = deque()
        self._worker_comes = False
        self._moment = 0
        self._leaving = False
        link.on(Request, self._take)

    @property
    def running(self) -> int:
        """Calls and streams being worked on for other nodes."""
        return len(self._running)

    def serve(self, action: AnyAction, handler: Any) -> None:
        """Run this handler when another node calls the action."""
        self._served[action.name] = Served(action, handler)

    def cancel(self, sender: str, note: CallNote) -> None:
        """The caller no longer wants the answer."""
        call = self._running.get((sender, note.id))
        if call is not None:
            self._interrupt(call)

    def taken(self, sender: str, note: CallNote) -> None:
        """The consumer of a stream has taken so many of its items."""
        call = self._running.get((sender, note.id))
        if call is not None and call.gate is not None:
            call.gate.taken(note.count)

    def node_lost(self, node_id: str) -> None:
        """Stop working for a node that has gone."""
        for (sender, _), call in tuple(self._running.items()):
            if sender == node_id:
                self._interrupt(call)

    async def drain(self, timeout_s: float) -> None:
        """Refuse new calls, let those in progress end, and interrupt what is not done in time."""
        self._leaving = True
        await asyncio.sleep(0)  # what has arrived begins, and is refused
        if tasks := self._tasks():
            await asyncio.wait(tasks, timeout=timeout_s)
        for call in tuple(self._running.values()):
            call.leaving = True
            self._interrupt(call)
        await asyncio.gather(*self._tasks(), return_exceptions=True)

    def _tasks(self) -> "set[asyncio.Task[None]]":
        return {call.task for call in self._running.values() if call.task is not None}

    def _interrupt(self, call: _Call) -> None:
        if call.task is not None:
            call.task.cancel()
            return
        self._arrived.remove(call)
        del self._running[call.packet.sender, call.packet.id]

    def _take(self, packet: Request) -> None:
        key = (packet.sender, packet.id)
        running = self._running.get(key)
        if packet.seq or running is not None:
            if packet.seq and running is not None and running.body is not None:
                running.body.feed(packet.seq, body_chunk(packet))
            else:
                self._link.drop("unexpected_request")
            return
        part = fireside_part(packet.meta)
        told = part.get("window")
        window = told if isinstance(told, int) and told > 0 else None
        body = self._body(packet, window) if packet.stream else None
        call = self._running[key] = _Call(packet, part, window, body)
        self._arrived.append(call)
        self._moment += 1
        self._send_worker()

    def _send_worker(self) -> None:
        if not self._worker_comes:
            self._worker_comes = True
            self._link.loop.create_task(self._work_on())  # each call that it takes holds it

    async def _work_on(self) -> None:
        """Begin what has arrived, one call after another for as long as none had to wait for something.

        A task of its own for each call would cost more than many an action. As soon as a call waits, the others are the
        next task's, which was sent for before: a task that has waited ends with its call, so that to interrupt it
        interrupts that call alone. An action that sets a context variable has to reset it.
        """
        self._worker_comes, task = False, asyncio.current_task(self._link.loop)
        moment = self._moment = self._moment + 1
        while self._arrived and self._moment == moment:
            call = self._arrived.popleft()
            call.task = task
            if self._arrived:
                self._send_worker()
            try:
                await self._work(call)
            finally:
                del self._running[call.packet.sender, call.packet.id]

    def _body(self, packet: Request, window: int | None) -> StreamReader:
        def tell(count: int) -> None:
            self._tell(packet.sender, TAKEN, CallNote(id=packet.id, count=count))

        body = StreamReader(window=window, on_taken=tell)
        body.feed(0, Chunk())
        return body

    async def _work(self, call: _Call) -> None:
        packet = call.packet
        reply = _Reply(self._link, packet, error_after_s=ERROR_AFTER_S if call.window is None else 0.0)
        try:
            await self._answer(call, reply)
        except FiresideError as error:
            await self._try_to_fail(reply, error)
        except asyncio.CancelledError:
            if call.leaving:
                await self._try_to_fail(reply, self._interruption(packet))
        except Exception as error:  # the outermost place of a call from afar; the chain has turned all it met into ours
            log.exception("serving_crashed", action=packet.action, request_id=packet.request_id)
            await self._try_to_fail(reply, error)

    async def _answer(self, call: _Call, reply: "_Reply") -> None:
        packet = call.packet
        if self._leaving:
            raise NodeLeavingError(f"node {self._link.node_id} is about to stop", action=packet.action)
        served = self._served.get(packet.action)
        if served is None:
            raise ActionUnavailableError(f"node {self._link.node_id} does not offer it", action=packet.action)
        context = self._context(call, served.action)
        if not isinstance(served.action, StreamAction):
            await reply.respond(_to_json(served.action, await served.handler(context, object_in(packet.params))))
            return
        gate = call.gate = StreamGate(call.window)
        items: AsyncGenerator[Any, None]
        async with aclosing(served.handler(context, object_in(packet.params))) as items:
            async for item in items:
                await gate.pass_one()
                await reply.item(_to_json(served.action, item))
        await reply.end()

    def _context(self, call: _Call, action: AnyAction) -> Context:
        packet, deadline = call.packet, None
        if packet.timeout_ms and packet.timeout_ms > 0:
            deadline = self._dispatcher.clock.monotonic() + packet.timeout_ms / 1000
        elif not isinstance(action, StreamAction):
            deadline = self._dispatcher.clock.monotonic() + action.timeout_s
        return Context(
            self._dispatcher,
            packet.request_id or str(new_id()),
            self._passes.find_identity(call.part, action.service) or ANONYMOUS,
            packet.caller or "",
            action.name,
            deadline,
            traceparent=str(call.part.get("traceparent", "")),
            level=packet.level or 1,
            body=None if call.body is None else read_body(call.body),
        )

    def _interruption(self, packet: Request) -> FiresideError:
        return NodeStoppedError(
            f"node {self._link.node_id} stopped before {packet.action} was done", action=packet.action
        )

    async def _try_to_fail(self, reply: "_Reply", error: BaseException) -> None:
        try:
            await reply.fail(error)
        except TransporterError as failure:
            log.warning("response_not_sent", detail=failure.message)


class _Reply:
    """Sends the packets that answer one request; a stream opens with its first item."""

    def __init__(self, link: Link, request: Request, *, error_after_s: float) -> None:
        self._link, self._request, self._error_after_s = link, request, error_after_s
        self._seq: int | None = None
        self._opened = 0.0

    def respond(self, data: Raw) -> Awaitable[None]:
        """The one response."""
        return self._send(data=data)

    async def item(self, data: Raw) -> None:
        """The next item of a stream."""
        await self._open()
        await self._send_next(data=data, stream=True)

    async def end(self) -> None:
        """The stream ends."""
        await self._open()
        await self._send_next(stream=False)

    async def fail(self, error: BaseException) -> None:
        """The call, or the stream, ends with an error."""
        wire_error = to_wire(error, node_id=self._link.node_id)
        if self._seq is None:
            await self._send(success=False, error=wire_error)
        else:
            await asyncio.sleep(self._opened + self._error_after_s - asyncio.get_running_loop().time())
            await self._send_next(success=False, error=wire_error, stream=False)

    async def _open(self) -> None:
        if self._seq is None:
            self._seq, self._opened = 0, asyncio.get_running_loop().time()
            await self._send(stream=True, seq=0)

    async def _send_next(self, **fields: Any) -> None:
        self._seq = (self._seq or 0) + 1
        await self._send(seq=self._seq, **fields)

    def _send(self, *, success: bool = True, data: Raw = JSON_NULL, **fields: Any) -> Awaitable[None]:
        request = self._request
        is_stream = self._seq is not None
        response = Response(
            sender=self._link.node_id,
            ver=request.ver,
            id=request.id,
            success=success,
            data=data,
            meta={"$streamObjectMode": True} if is_stream else {},
            headers={"$streamObjectMode": True} if is_stream and request.ver == "5" else None,
            **fields,
        )
        return self._link.send(response, to=request.sender)


def _to_json(action: AnyAction, value: Any) -> Raw:
    if isinstance(value, BaseModel):
        return Raw(value.__pydantic_serializer__.to_json(value))
    return Raw(action.response_adapter.dump_json(value))
