"""OpenAI's Responses requests read into chat completion requests. No I/O.

The reference is OpenAI's API documentation of `/v1/responses`. What runs on OpenAI's own servers (its tools, background
work, conversations of its own) is refused by name.
"""

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from fireside.contracts.stored_responses import ResponseThread
from fireside.core.errors import InvalidInputError, NotFoundError
from fireside.core.ids import new_id
from fireside.services.gateway.completions import Asked
from fireside.services.gateway.openai_dialect import PIPELINE_MODEL

Json = dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class ContentPart(_Part):
    """A part of a message, or of what a tool answered."""

    type: str
    text: str = ""
    refusal: str | None = None
    image_url: str | None = None


class Item(_Part):
    """An item of the input: a message, the call of a tool, or what a tool answered."""

    type: Literal["message", "function_call", "function_call_output", "reasoning"] = "message"
    role: Literal["user", "assistant", "system", "developer"] = "user"
    content: str | list[ContentPart] | None = None
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: str | list[ContentPart] = ""


class Tool(_Part):
    """A function that the client runs."""

    type: Literal["function"]
    name: str = Field(min_length=1)
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None


class ToolChoice(_Part):
    """The function that must be called."""

    type: Literal["function"]
    name: str


class AllowedTools(_Part):
    """Which of the tools may be called; `required`: at least one of them."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[ToolChoice] = Field(min_length=1)


class TextFormat(_Part):
    """The shape of the answer."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str = "answer"
    json_schema: Json = Field(default_factory=lambda: Json(), alias="schema")
    strict: bool | None = None


class TextConfig(_Part):
    """How the answer's text shall be."""

    format: TextFormat = Field(default_factory=TextFormat)


class Reasoning(_Part):
    """How much the model shall think."""

    effort: str | None = None


class ResponsesRequest(_Part):
    """A request for a response."""

    model: str = Field(min_length=1)
    input: str | list[Item] = Field(min_length=1)
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    tools: list[Tool] = Field(default_factory=lambda: list[Tool]())
    tool_choice: Literal["auto", "none", "required"] | ToolChoice | AllowedTools = "auto"
    parallel_tool_calls: bool | None = None
    text: TextConfig = Field(default_factory=TextConfig)
    reasoning: Reasoning | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    background: Literal[False] | None = None
    conversation: None = None

    @property
    def items(self) -> list[Item]:
        """The input as items."""
        return [Item(content=self.input)] if isinstance(self.input, str) else self.input

    @property
    def is_flexible(self) -> bool:
        """Whether the answer may wait until nobody else waits for one; the pipeline's has no such line."""
        return self.service_tier == "flex" and self.model != PIPELINE_MODEL

    def asked(self, thread: ResponseThread | None) -> Asked:
        """The request as it is passed on.

        Args:
            thread: The responses that it goes on from.

        Raises:
            InvalidInputError: It holds something that cannot be passed on, or allows a tool that it does not have.
        """
        system = [{"role": "system", "content": self.instructions}] if self.instructions else []
        items = [*_earlier(thread), *self.items]
        body: Json = {
            "model": self.model,
            "messages": [*system, *messages_of(items)],
            "max_tokens": self.max_output_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "reasoning_effort": self.reasoning.effort if self.reasoning else None,
            "response_format": self._response_format(),
        }
        if tools := self._offered_tools():
            body |= {"tools": [_tool(tool) for tool in tools], "tool_choice": self._tool_choice()}
            body |= {"parallel_tool_calls": False} if self.parallel_tool_calls is False else {}
        given = {name: value for name, value in body.items() if value is not None}
        return Asked(self.model, given, bool(self.stream), priority="background" if self.is_flexible else "interactive")

    def _offered_tools(self) -> list[Tool]:
        """The tools that may be called: few servers know how to be given more than these."""
        if not isinstance(self.tool_choice, AllowedTools):
            return self.tools
        allowed = {choice.name for choice in self.tool_choice.tools}
        if unknown := allowed - {tool.name for tool in self.tools}:
            raise InvalidInputError(f"among the tools there is no {min(unknown)!r}", param="tool_choice")
        return [tool for tool in self.tools if tool.name in allowed]

    def _tool_choice(self) -> str | Json:
        choice = self.tool_choice
        if isinstance(choice, AllowedTools):
            return choice.mode
        return choice if isinstance(choice, str) else {"type": "function", "function": {"name": choice.name}}

    def _response_format(self) -> Json | None:
        wanted = self.text.format
        if wanted.type == "text":
            return None
        if wanted.type == "json_object":
            return {"type": "json_object"}
        schema = {"name": wanted.name, "schema": wanted.json_schema, "strict": bool(wanted.strict)}
        return {"type": "json_schema", "json_schema": schema}


class PreviousResponseNotFoundError(InvalidInputError):
    """There is no response of the id `previous_response_id`."""

    code = "previous_response_not_found"


def response_id_of(text: str) -> UUID:
    """The id inside `resp_...`.

    Raises:
        NotFoundError: It is no such id, so there is no such response.
    """
    try:
        return UUID(text.removeprefix("resp_"))
    except ValueError:
        raise NotFoundError("there is no such response; those that are not deleted are kept for a time") from None


def input_items(request: ResponsesRequest) -> tuple[Json, ...]:
    """The items of the input as they are stored, each with an id."""
    return tuple(_stored(item) for item in request.items)


def messages_of(items: list[Item]) -> list[Json]:
    """Items as the messages of a chat completion: calls of tools belong to the message of the model before them.

    Raises:
        InvalidInputError: A part of one is neither text nor an image.
    """
    messages: list[Json] = []
    for item in items:
        match item.type:
            case "message":
                _add_message(messages, _role(item.role), _content(item.content))
            case "function_call":
                if not messages or messages[-1]["role"] != "assistant":
                    messages.append({"role": "assistant", "content": None})
                function = {"name": item.name, "arguments": item.arguments or "{}"}
                call = {"id": item.call_id, "type": "function", "function": function}
                messages[-1].setdefault("tool_calls", []).append(call)
            case "function_call_output":
                messages.append({"role": "tool", "tool_call_id": item.call_id, "content": _content(item.output)})
            case "reasoning":
                pass
    return messages


def _add_message(messages: list[Json], role: str, content: str | list[Json]) -> None:
    """A message; what the model said while it waits for tools joins its calls, which their answers must follow."""
    answered = {message.get("tool_call_id") for message in messages}
    last = next((message for message in reversed(messages) if message["role"] != "tool"), None)
    calls = last.get("tool_calls", ()) if last and role == "assistant" else ()
    if last is None or all(call["id"] in answered for call in calls):
        messages.append({"role": role, "content": content})
    else:
        last["content"] = _joined(last["content"], content) if last["content"] else content


def _joined(first: str | list[Json], second: str | list[Json]) -> str | list[Json]:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n{second}"
    parts = [
        content if isinstance(content, list) else [{"type": "text", "text": content}] for content in (first, second)
    ]
    return [*parts[0], *parts[1]]


def _earlier(thread: ResponseThread | None) -> list[Item]:
    found = [item for kept in (thread.items if thread else ()) for item in (*kept.input, *kept.response["output"])]
    return [Item.model_validate(item) for item in found]


def _role(role: str) -> str:
    return "system" if role == "developer" else role


def _content(content: str | list[ContentPart] | None) -> str | list[Json]:
    """Text alone as a string: not every server takes parts."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = [_part(part) for part in content]
    if any(part["type"] != "text" for part in parts):
        return parts
    return "\n".join(part["text"] for part in parts)


def _part(part: ContentPart) -> Json:
    if part.type in {"input_text", "output_text", "text", "refusal", "summary_text"}:
        return {"type": "text", "text": part.text or part.refusal or ""}
    if part.type == "input_image" and part.image_url:
        return {"type": "image_url", "image_url": {"url": part.image_url}}
    raise InvalidInputError(
        f"a part of the type {part.type!r} cannot be passed on (text, images by URL)", param="input"
    )


def _tool(tool: Tool) -> Json:
    function = tool.model_dump(include={"name", "description", "parameters", "strict"}, exclude_none=True)
    return {"type": "function", "function": function}


def _stored(item: Item) -> Json:
    item_id = f"{'msg' if item.type == 'message' else 'fc'}_{new_id().hex}"
    if item.type != "message":
        return {"id": item_id, "status": "completed"} | item.model_dump(exclude_unset=True)
    text: Json = {"type": "output_text", "annotations": []} if item.role == "assistant" else {"type": "input_text"}
    content = (
        [text | {"text": item.content}]
        if isinstance(item.content, str)
        else [part.model_dump(exclude_unset=True) for part in item.content or ()]
    )
    return {"id": item_id, "type": "message", "role": item.role, "status": "completed", "content": content}
