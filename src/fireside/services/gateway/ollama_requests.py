"""Ollama's requests read into OpenAI's shape. No I/O.

The reference is Ollama's API documentation. How long a model stays loaded, and in how large a window, is Fireside's own
business: `keep_alive` and the options of loading are read and change nothing.
"""

from typing import Any, Literal, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fireside.core.errors import InvalidInputError
from fireside.services.gateway.completions import COMPLETIONS, Asked

Json = dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def without_nulls(cls, given: Any) -> Any:
        """What is null was not said: so the real server reads it."""
        if not isinstance(given, dict):
            return given
        fields = cast("Json", given)
        return {name: value for name, value in fields.items() if value is not None}


class Options(_Part):
    """How the model chooses its words."""

    num_predict: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repeat_last_n: int | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None

    def body(self) -> Json:
        """The options under the names that servers of OpenAI's API know them by."""
        chosen = self.model_dump(exclude_none=True)
        limit = chosen.pop("num_predict", -1)  # negative: as much as the model likes
        return chosen | ({"max_tokens": limit} if limit > 0 else {})


class CalledFunction(_Part):
    """A tool that the model wanted called."""

    name: str
    arguments: Json = Field(default_factory=lambda: Json())


class ToolCall(_Part):
    """The call of a tool."""

    id: str = ""
    function: CalledFunction


class Message(_Part):
    """One turn."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    images: list[str] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_name: str = ""
    tool_call_id: str = ""


class Named(_Part):
    """A model; older clients call it `name`."""

    model: str = ""
    name: str = ""

    def named(self) -> str:
        """The model's name.

        Raises:
            InvalidInputError: There is none.
        """
        if found := self.model or self.name:
            return found
        raise InvalidInputError("'model' is missing; GET /api/tags lists what there is", param="model")


class Pull(Named):
    """A model to get."""

    stream: bool = True


class Copy(_Part):
    """A model to copy."""

    source: str
    destination: str


class Embed(_Part):
    """Texts to embed."""

    model: str
    input: str | list[str] = ""
    dimensions: int | None = Field(default=None, ge=1)

    @property
    def texts(self) -> tuple[str, ...]:
        """What to embed, in order; an empty text by itself is none."""
        if isinstance(self.input, str):
            return (self.input,) if self.input else ()
        return tuple(self.input)


class EmbedOne(_Part):
    """One text to embed, the older way."""

    model: str
    prompt: str = ""


class _Generation(_Part):
    model: str = Field(min_length=1)
    stream: bool = True
    format: Literal["", "json"] | Json | None = None
    options: Options | None = None
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)

    def wishes(self) -> Json:
        """How the answer shall be."""
        body = self.options.body() if self.options else {}
        if self.format == "json":
            body["response_format"] = {"type": "json_object"}
        elif self.format:
            schema = {"name": "answer", "schema": self.format}  # not strict: that forbids what Ollama allows
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if isinstance(self.think, bool):
            body["chat_template_kwargs"] = {"enable_thinking": self.think}
        elif self.think:
            body["reasoning_effort"] = self.think
        if self.logprobs:
            body |= {"logprobs": True, "top_logprobs": self.top_logprobs or 0}
        return body


class ChatRequest(_Generation):
    """A conversation to go on with; without messages it only asks that the model be there."""

    messages: list[Message] = Field(default_factory=lambda: list[Message]())
    tools: list[Json] | None = None

    def asked(self, model: str) -> Asked:
        """The request as it is passed on to a model, under the name it has here."""
        body = {"model": model, "messages": _messages(self.messages)} | self.wishes()
        return Asked(model, body | ({"tools": self.tools} if self.tools else {}), self.stream)


class GenerateRequest(_Generation):
    """A prompt to answer; without one it only asks that the model be there."""

    prompt: str = ""
    system: str = ""
    suffix: str = ""
    template: str = ""
    raw: bool = False
    images: list[str] | None = None

    def asked(self, model: str) -> Asked:
        """The request as it is passed on to a model, under the name it has here.

        Raises:
            InvalidInputError: It wants a suffix, or a template of its own.
        """
        if self.suffix or self.template:
            raise InvalidInputError("'suffix' and 'template' are not supported; 'raw' takes a finished prompt")
        if self.raw:
            return Asked(model, {"model": model, "prompt": self.prompt} | self.wishes(), self.stream, path=COMPLETIONS)
        system = [Message(role="system", content=self.system)] if self.system else []
        messages = [*system, Message(role="user", content=self.prompt, images=self.images)]
        return Asked(model, {"model": model, "messages": _messages(messages)} | self.wishes(), self.stream)


def _messages(messages: list[Message]) -> list[Json]:
    """Messages in OpenAI's shape: each answer of a tool names its call, which Ollama leaves to the order."""
    found: list[Json] = []
    waiting: list[tuple[str, str]] = []
    for message in messages:
        body: Json = {"role": message.role, "content": _content(message)}
        if message.role == "tool":
            body["tool_call_id"] = message.tool_call_id or _answered(message.tool_name, waiting)
        for call in message.tool_calls or ():
            call_id = call.id or f"call_{len(found)}_{len(waiting)}"
            waiting.append((call_id, call.function.name))
            function = {"name": call.function.name, "arguments": orjson.dumps(call.function.arguments).decode()}
            body.setdefault("tool_calls", []).append({"id": call_id, "type": "function", "function": function})
        found.append(body)
    return found


def _answered(tool: str, waiting: list[tuple[str, str]]) -> str:
    position = next((index for index, (_, name) in enumerate(waiting) if name == tool), 0)
    return waiting.pop(position)[0] if waiting else "call_unknown"


def _content(message: Message) -> str | list[Json]:
    if not message.images:
        return message.content
    images = [{"type": "image_url", "image_url": {"url": _data_url(image)}} for image in message.images]
    return [{"type": "text", "text": message.content}, *images]


def _data_url(image: str) -> str:
    """An image as a URL; the first letters of its base64 tell a JPEG and a WebP from a PNG."""
    kinds = {"/9j/": "jpeg", "UklG": "webp", "R0lG": "gif"}
    return f"data:image/{kinds.get(image[:4], 'png')};base64,{image}"
