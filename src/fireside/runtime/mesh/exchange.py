"""Requests to one chosen node and what comes back for them."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass
from itertools import count
from typing import Any

import structlog
from msgspec import Raw, json
from pydantic import ValidationError

from fireside.contracts.base import Action, StreamAction
from fireside.core.errors import FiresideError, UpstreamError
from fireside.core.ids import new_id
from fireside.core.tasks import Tasks, end
from fireside.ports.transporter import TransporterError
from fireside.runtime.context import Context
from fireside.runtime.errors import NodeLostError
from fireside.runtime.mesh.bodies import BodySender
from fireside.runtime.mesh.control import CANCEL, TAKEN, CallNote
from fireside.runtime.mesh.link import Link
from fireside.runtime.mesh.packets import EventPacket, Request, Response
from fireside.runtime.mesh.passes import Passes
from fireside.runtime.mesh.registry import RemoteNode
from fireside.runtime.mesh.streams import Chunk, StreamGate, StreamReader
from fireside.runtime.mesh.wire_errors import from_wire
from fireside.runtime.middleware.base import AnyAction

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class _Waiting:
    """Who waits for the answer of a node: a call for one response, or the reader of a stream."""

    node: RemoteNode
    action: AnyAction
    response: "asyncio.Future[bytes] | None" = None
    reader: StreamReader | None = None
    body: "asyncio.Task[None] | None" = None
    gate: StreamGate | None = None

    def fail(self, error: FiresideError) -> None:
        """Nothing more will come."""
        if self.reader is not None:
            self.reader.fail(error)
        elif self.response is not None and not self.response.done():
            self.response.set_exception(error)


class Exchange:
    """Sends requests and matches responses to them."""

    def __init__(self, link: Link, *, passes: Passes, window: int) -> None:
        self._link, self._passes, self._window = link, passes, window
        self._ids, self._numbers = str(new_id()), count(1)
        self._waiting: dict[str, _Waiting] = {}
        self._tasks = Tasks()
        link.on(Response, self._take)

    async def call(self, node: RemoteNode, action: Action[Any, Any], context: Context, request: Any) -> Any:
        """Call an action of the node.

        Raises:
            NodeLostError: The node went away.
            UpstreamError: It answered with something else than the contract says.
        """
        call_id, response = self._new_call_id(), self._link.loop.create_future()
        waiting = _Waiting(node, action, response)
        try:
            packet = self._begin(call_id, waiting, context, request)
            await self._link.send(packet, to=node.node_id)
            if context.body is not None:
                self._send_body(waiting, packet, context)
            data = await response
        except TransporterError as error:
            error.details.setdefault("action", action.name)
            raise
        except asyncio.CancelledError:
            self.tell(node, CANCEL, CallNote(id=call_id))
            raise
        finally:
            del self._waiting[call_id]
            await end(waiting.body)
        return _read(action, data, node)

    async def stream(
        self, node: RemoteNode, action: StreamAction[Any, Any], context: Context, request: Any
    ) -> AsyncGenerator[Any, None]:
        """Call a stream action of the node. Raises as `call` does."""
        call_id = self._new_call_id()
        reader = StreamReader(
            window=self._window if node.limits_streams else None,
            on_taken=lambda count: self.tell(node, TAKEN, CallNote(id=call_id, count=count)),
        )
        waiting = _Waiting(node, action, reader=reader)
        try:
            try:
                packet = self._begin(call_id, waiting, context, request)
                await self._link.send(packet, to=node.node_id)
            except TransporterError as error:
                error.details.setdefault("action", action.name)
                raise
            if context.body is not None:
                self._send_body(waiting, packet, context)
            while (data := await reader.next()) is not None:
                yield _read(action, data, node)
        finally:
            del self._waiting[call_id]
            await end(waiting.body)
            if not reader.ended:
                self.tell(node, CANCEL, CallNote(id=call_id))

    def node_lost(self, node_id: str) -> None:
        """Fail what waits for a node that has gone."""
        for waiting in tuple(self._waiting.values()):
            if waiting.node.node_id == node_id:
                name = waiting.action.name
                waiting.fail(NodeLostError(f"node {node_id} went away during {name}", action=name, node_id=node_id))

    def taken(self, sender: str, note: CallNote) -> None:
        """The action has taken so many chunks of the stream that goes with a request."""
        waiting = self._waiting.get(note.id)
        if waiting is not None and waiting.gate is not None and waiting.node.node_id == sender:
            waiting.gate.taken(note.count)

    def tell(self, node: RemoteNode, event: str, note: CallNote) -> None:
        """Send a note about a call in progress, without waiting: this runs while calls are being torn down."""
        if node.trusted:
            packet = EventPacket(
                sender=self._link.node_id, ver=node.version, event=event, data=Raw(json.encode(note)), broadcast=False
            )
            self._tasks.run(self._try_to_send(packet, node.node_id))

    async def aclose(self) -> None:
        """Wait until what is still to be said has been said."""
        await self._tasks.wait()

    def _new_call_id(self) -> str:
        return f"{self._ids}-{next(self._numbers)}"

    def _begin(self, call_id: str, waiting: _Waiting, context: Context, request: Any) -> Request:
        """Expect an answer from now on to the request, which is to be sent at once."""
        self._waiting[call_id] = waiting
        if context.body is not None:
            waiting.gate = StreamGate(self._window if waiting.node.limits_streams else None)
        return self._request(call_id, waiting, context, request)

    def _send_body(self, waiting: _Waiting, packet: Request, context: Context) -> None:
        """Have the body follow its request."""
        if context.body is not None and waiting.gate is not None:
            sender = BodySender(self._link, node=waiting.node, request=packet, gate=waiting.gate)
            waiting.body = asyncio.create_task(_follow(waiting, sender.send(context.body)))

    def _request(self, call_id: str, waiting: _Waiting, context: Context, request: Any) -> Request:
        node, action, remaining_s = waiting.node, waiting.action, context.remaining_s
        part = self._passes.for_call(context, action.service) if node.trusted else {}
        if (waiting.reader is not None or context.body is not None) and node.limits_streams:
            part["window"] = self._window
        return Request(
            sender=self._link.node_id,
            ver=node.version,
            id=call_id,
            action=action.name,
            params=Raw(action.request_to_json(request)),
            meta={"fireside": part} if part else {},
            timeout_ms=None if remaining_s is None else remaining_s * 1000,
            level=context.level,
            request_id=context.request_id,
            caller=context.caller or None,
            stream=None if context.body is None else True,
            seq=None if context.body is None else 0,
        )

    async def _try_to_send(self, packet: EventPacket, node_id: str) -> None:
        try:
            await self._link.send(packet, to=node_id)
        except TransporterError as error:
            log.debug("note_not_sent", note=packet.event, node_id=node_id, detail=error.message)

    def _take(self, packet: Response) -> None:
        waiting = self._waiting.get(packet.id)
        if waiting is None or waiting.node.node_id != packet.sender:
            self._link.drop("orphan_response")
            return
        error = None if packet.success else from_wire(packet.error)
        if waiting.reader is not None:
            waiting.reader.feed(packet.seq or 0, _chunk(packet, error))
        elif error is not None:
            waiting.fail(error)
        elif packet.stream is not None:
            name = waiting.action.name
            waiting.fail(UpstreamError(f"{name} answered with a stream", action=name))
        elif waiting.response is not None and not waiting.response.done():
            waiting.response.set_result(bytes(packet.data))


async def _follow(waiting: _Waiting, sending: Coroutine[Any, Any, None]) -> None:
    try:
        await sending
    except TransporterError as error:
        error.details.setdefault("action", waiting.action.name)
        waiting.fail(error)


def _chunk(packet: Response, error: FiresideError | None) -> Chunk:
    """One packet of a stream; an answer that is no stream at all is an error."""
    if not packet.stream:
        if packet.seq is None and error is None:
            error = UpstreamError("a stream was expected and one response came")
        return Chunk(last=True, error=error)
    return Chunk(data=bytes(packet.data) if packet.seq else None)


def _read(action: AnyAction, data: bytes, node: RemoteNode) -> Any:
    try:
        return action.response_from_json(data)
    except ValidationError as error:
        raise UpstreamError(
            f"node {node.node_id} answered {action.name} with something else than its contract says",
            action=action.name,
            node_id=node.node_id,
            errors=error.error_count(),
        ) from None
