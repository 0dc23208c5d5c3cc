"""A model's server that costs next to nothing: answers chat completions at once, or streams them at a given pace.

`python -m benchmarks.mock_upstream --port 9999 --pause-ms 50`. It reads `stream` and `max_tokens` and nothing else. A
bare protocol, because any framework here would take a good part of the core that the measured servers are to have.
"""

import argparse
import asyncio
from typing import Any

import orjson

from fireside.bootstrap.server import new_event_loop

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%s\r\n\r\n"
_COUNTED = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
_MOST_WAITING = 4096


def _body(kind: str, choice: dict[str, Any], **fields: Any) -> bytes:
    named = {"id": "chatcmpl-mock", "object": kind, "created": 0, "model": "scripted"}
    return orjson.dumps({**named, "choices": [{"index": 0, "finish_reason": None, **choice}], **fields})


def _event(data: bytes) -> bytes:
    line = b"data: " + data + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(line), line)


_MESSAGE = {"message": {"role": "assistant", "content": "hello there"}, "finish_reason": "stop"}
_WHOLE = _body("chat.completion", _MESSAGE, usage=_COUNTED)
_WHOLE_REPLY = _HEAD % (b"application/json", b"content-length: %d" % len(_WHOLE)) + _WHOLE
_MODELS = orjson.dumps({"object": "list", "data": [{"id": "scripted", "object": "model"}]})
_MODELS_REPLY = _HEAD % (b"application/json", b"content-length: %d" % len(_MODELS)) + _MODELS
_STREAM_HEAD = _HEAD % (b"text/event-stream", b"transfer-encoding: chunked")
_WORD = _event(_body("chat.completion.chunk", {"delta": {"content": " word"}}))
_END = _event(_body("chat.completion.chunk", {"delta": {}, "finish_reason": "stop"}, usage=_COUNTED))
_DONE = _END + _event(b"[DONE]") + b"0\r\n\r\n"


class MockUpstream(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._transport: Any = None
        self._received = b""
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop a stream that nobody reads."""
        del exc
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer once the request is whole."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        if head.startswith(b"GET"):
            self._received = b""
            self._transport.write(_MODELS_REPLY)
            return
        _, _, length = head.lower().partition(b"content-length:")
        if len(body) >= int(length.split(b"\r\n")[0]):
            self._received = b""
            self._answer(orjson.loads(body))

    def _answer(self, asked: dict[str, Any]) -> None:
        if not asked.get("stream"):
            self._transport.write(_WHOLE_REPLY)
            return
        self._left = int(asked.get("max_tokens") or 64)
        self._transport.write(_STREAM_HEAD)
        self._due = asyncio.get_running_loop().time()
        self._write_next()

    def _write_next(self) -> None:
        if not self._left:
            self._transport.write(_DONE)
            return
        self._left -= 1
        self._transport.write(_WORD)
        self._due += self._pause_s
        self._timer = asyncio.get_running_loop().call_at(self._due, self._write_next)


async def serve(port: int, pause_s: float) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: MockUpstream(pause_s), "127.0.0.1", port, backlog=_MOST_WAITING)
    await server.serve_forever()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9999)
    parser.add_argument("--pause-ms", type=float, default=0.0, help="between two words")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=new_event_loop()) as runner:
        runner.run(serve(arguments.port, arguments.pause_ms / 1000))


if __name__ == "__main__":
    main()
