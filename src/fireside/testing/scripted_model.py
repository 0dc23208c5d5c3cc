"""A language model that says what a test wrote down: in process, or as a server that speaks OpenAI's API.

`python -m fireside.testing.scripted_model --port 9999` serves one that repeats the last question, for trying things out
and for measuring everything but the model.
"""

import argparse
import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from fireside.core.errors import FiresideError
from fireside.ports.language_model import Completed, Heard, Prompt, PromptMessage, RawReply, TextDelta

Script = Callable[[Prompt], Sequence[str]]


def echo(prompt: Prompt) -> Sequence[str]:
    """Say the last message again, word by word."""
    words = prompt.messages[-1].content.split()
    return [word if position == 0 else f" {word}" for position, word in enumerate(words)]


@dataclass(slots=True)
class ScriptedModel:
    """Answers from a script; remembers its prompts and whether a stream was left early.

    Attributes:
        script: Tells the pieces of the answer.
        fail_with: Raised instead of answering.
        fail_after: Raise it after this many pieces; 0 before the first.
        pause_s: Between two pieces.
        gate: When given, waited for before every piece.
    """

    script: Script = echo
    fail_with: FiresideError | None = None
    fail_after: int = 0
    pause_s: float = 0.0
    gate: asyncio.Event | None = None
    names: tuple[str, ...] = ("scripted",)
    prompts: list[Prompt] = field(default_factory=lambda: list[Prompt]())
    left_early: int = 0
    closed: bool = False

    async def chat(self, prompt: Prompt) -> AsyncGenerator[TextDelta | Completed, None]:
        """Answer as the script says."""
        self.prompts.append(prompt)
        pieces = self.script(prompt)
        try:
            for position, piece in enumerate(pieces):
                await self._wait(position)
                yield TextDelta(piece)
            await self._wait(len(pieces))
        except (GeneratorExit, asyncio.CancelledError):
            self.left_early += 1
            raise
        asked = sum(len(message.content.split()) for message in prompt.messages)
        yield Completed("stop", prompt_tokens=asked, completion_tokens=len(pieces))

    @asynccontextmanager
    async def forward(self, path: str, body: bytes, heard: Heard | None = None) -> AsyncGenerator[RawReply, None]:
        """Reply with the path and the body as they came."""
        del heard

        async def chunks() -> AsyncIterator[bytes]:
            yield path.encode() + b" "
            yield body

        yield RawReply(status=200, media_type="application/octet-stream", chunks=chunks())

    async def model_names(self) -> list[str]:
        """The names given to it."""
        return list(self.names)

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    async def _wait(self, position: int) -> None:
        if self.fail_with is not None and position >= self.fail_after:
            raise self.fail_with
        if self.gate is not None:
            await self.gate.wait()
        if self.pause_s:
            await asyncio.sleep(self.pause_s)


def serve(model: ScriptedModel) -> web.Application:
    """An application that speaks OpenAI's chat completions API and answers with a scripted model."""

    async def complete(request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        messages = tuple(PromptMessage(m["role"], str(m["content"])) for m in body["messages"])
        prompt = Prompt(model=body["model"], messages=messages)
        if not body.get("stream"):
            text = "".join([item.text async for item in model.chat(prompt) if isinstance(item, TextDelta)])
            return web.json_response(_whole(text, prompt.model))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        async for item in model.chat(prompt):
            await response.write(b"data: " + orjson.dumps(_chunk(item, prompt.model)) + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response

    async def models(_: web.Request) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in model.names]})

    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_post("/v1/chat/completions", complete)
    application.router.add_get("/v1/models", models)
    return application


def _whole(text: str, model: str) -> dict[str, object]:
    message = {"role": "assistant", "content": text}
    tokens = len(text.split())
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": 2 * tokens},
    }


def _chunk(item: TextDelta | Completed, model: str) -> dict[str, object]:
    envelope: dict[str, object] = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": model,
    }
    if isinstance(item, TextDelta):
        return envelope | {"choices": [{"index": 0, "delta": {"content": item.text}, "finish_reason": None}]}
    usage = {
        "prompt_tokens": item.prompt_tokens,
        "completion_tokens": item.completion_tokens,
        "total_tokens": item.prompt_tokens + item.completion_tokens,
    }
    last: dict[str, object] = {"index": 0, "delta": dict[str, str](), "finish_reason": item.finish_reason}
    return envelope | {"choices": [last], "usage": usage}


def main() -> None:
    """Serve a model that repeats the last question."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=9999)
    parser.add_argument("--pause-ms", type=float, default=0.0, help="between two words")
    arguments = parser.parse_args()
    model = ScriptedModel(pause_s=arguments.pause_ms / 1000)
    web.run_app(serve(model), host="127.0.0.1", port=arguments.port)


if __name__ == "__main__":
    main()
