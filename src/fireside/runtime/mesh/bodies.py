"""Streams that go with a request: chunks of bytes from the caller to the action, which reads `Context.body`.

On the wire they are requests with the same id and `seq` above 0, as Moleculer has it. Between nodes of Fireside a chunk
is base64 text and the window of `streams` applies; Moleculer's own nodes get and give their JSON form of a Buffer.
"""

from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from typing import Any, cast

import msgspec
import structlog
from msgspec import Raw

from fireside.core.errors import FiresideError, InvalidInputError
from fireside.ports.transporter import TransporterError
from fireside.runtime.mesh.link import Link
from fireside.runtime.mesh.packets import Request, WireError
from fireside.runtime.mesh.registry import RemoteNode
from fireside.runtime.mesh.streams import Chunk, StreamGate, StreamReader
from fireside.runtime.mesh.wire_errors import from_wire, to_wire

log = structlog.stdlib.get_logger(__name__)

LARGEST_CHUNK_BYTES = 192 * 1024
"""Longer chunks are cut, so that a packet stays well below what brokers carry (1 MB on NATS)."""
STREAM_ERROR = "$streamError"
"""Where Moleculer puts the error that ends a stream early: in `meta`, and in `headers` from version 5."""


class BodySender:
    """Sends the chunks of one request after it, as fast as the receiver takes them."""

    def __init__(self, link: Link, *, node: RemoteNode, request: Request, gate: StreamGate) -> None:
        self._link, self._node, self._gate = link, node, gate
        self._id, self._action = request.id, request.action
        self._seq = 0

    async def send(self, body: AsyncIterable[bytes]) -> None:
        """Send all chunks and the end; an error of the source ends the stream on the other side too.

        Raises:
            TransporterError: A chunk could not be sent.
        """
        try:
            async for chunk in body:
                for piece in _pieces(chunk):
                    await self._gate.pass_one()
                    await self._send(params=self._chunk(piece), stream=True)
        except TransporterError:
            raise
        except FiresideError as error:
            await self._fail(error)
        except Exception as error:  # whatever the source raises ends here
            log.exception("request_body_failed", action=self._action)
            await self._fail(error)
        else:
            await self._send(stream=False)

    async def _fail(self, error: Exception) -> None:
        told = msgspec.to_builtins(to_wire(error, node_id=self._link.node_id), enc_hook=str)
        part = {STREAM_ERROR: told}
        await self._send(stream=False, **({"headers": part} if self._node.version == "5" else {"meta": part}))

    def _chunk(self, piece: bytes) -> Raw:
        if self._node.limits_streams:
            return Raw(b'"' + b64encode(piece) + b'"')
        return Raw(msgspec.json.encode({"type": "Buffer", "data": list(piece)}))

    async def _send(self, **fields: Any) -> None:
        self._seq += 1
        packet = Request(
            sender=self._link.node_id,
            ver=self._node.version,
            id=self._id,
            action=self._action,
            seq=self._seq,
            **fields,
        )
        await self._link.send(packet, to=self._node.node_id)


async def read_body(reader: StreamReader) -> AsyncGenerator[bytes, None]:
    """The chunks as they come.

    Raises:
        FiresideError: The source ended with it.
        InvalidInputError: What came is no chunk.
    """
    while (data := await reader.next()) is not None:
        yield _bytes_of(data)


def body_chunk(packet: Request) -> Chunk:
    """What a request with `seq` above 0 brings."""
    if packet.stream:
        return Chunk(data=bytes(packet.params))
    told = (packet.headers or {}).get(STREAM_ERROR) or (packet.meta or {}).get(STREAM_ERROR)
    return Chunk(last=True, error=None if told is None else _error_of(told))


def _pieces(chunk: bytes) -> Iterator[bytes]:
    for start in range(0, len(chunk), LARGEST_CHUNK_BYTES):
        yield chunk[start : start + LARGEST_CHUNK_BYTES]


def _bytes_of(data: bytes) -> bytes:
    value: Any = msgspec.json.decode(data)
    try:
        if isinstance(value, dict):
            return bytes(cast("dict[str, Any]", value)["data"])
        return b64decode(value, validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError("a chunk of the request's stream is neither base64 nor a Buffer") from error


def _error_of(told: Any) -> FiresideError:
    try:
        return from_wire(msgspec.convert(told, WireError))
    except msgspec.ValidationError:
        return from_wire(None)
