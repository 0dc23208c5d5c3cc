"""Anthropic's messages read into chat completion requests of OpenAI's shape. No I/O.

The reference is Anthropic's API documentation of `/v1/messages`. Images and tools are passed on to whoever can use
them; tools that Anthropic's own servers run are refused, because there is nobody here to run them.
"""

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from fireside.core.errors import InvalidInputError
from fireside.services.gateway.completions import Asked

Json = dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class TextBlock(_Part):
    """Some text."""

    type: Literal["text"]
    text: str


class Source(_Part):
    """Where an image is: here, or at an address."""

    type: Literal["base64", "url"]
    media_type: str = "image/png"
    data: str = ""
    url: str = ""


class ImageBlock(_Part):
    """A picture."""

    type: Literal["image"]
    source: Source


class DocumentSource(_Part):
    """What a document is made of: plain text, or blocks of text and images; the other kinds are not read."""

    type: Literal["text", "content", "base64", "url", "file"]
    data: str = ""
    content: str | list[Annotated[TextBlock | ImageBlock, Field(discriminator="type")]] = ""


class DocumentBlock(_Part):
    """A document."""

    type: Literal["document"]
    source: DocumentSource
    title: str | None = None
    context: str | None = None


class SearchResultBlock(_Part):
    """Something that was found, as text."""

    type: Literal["search_result"]
    title: str = ""
    source: str = ""
    content: list[TextBlock] = Field(default_factory=lambda: list[TextBlock]())


class ToolUseBlock(_Part):
    """A tool that the model wanted called."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: Json = Field(default_factory=lambda: Json())


_Shown = Annotated[TextBlock | ImageBlock | DocumentBlock | SearchResultBlock, Field(discriminator="type")]


class ToolResultBlock(_Part):
    """What a tool answered."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: str | list[_Shown] = ""
    is_error: bool = False


class ThoughtBlock(_Part):
    """What a model thought in an earlier turn; it is not passed on."""

    type: Literal["thinking", "redacted_thinking"]


Block = Annotated[
    TextBlock | ImageBlock | DocumentBlock | SearchResultBlock | ToolUseBlock | ToolResultBlock | ThoughtBlock,
    Field(discriminator="type"),
]


class Message(_Part):
    """One turn, or an instruction that holds from its place on."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class Tool(_Part):
    """A tool that the client runs."""

    type: Literal["custom"] | None = None
    name: str = Field(min_length=1)
    description: str = ""
    input_schema: Json = Field(default_factory=lambda: Json())


class ToolChoice(_Part):
    """Which tools the model may, or must, use."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class OutputFormat(_Part):
    """The shape of the answer."""

    type: Literal["json_schema"]
    json_schema: Json = Field(alias="schema")


class OutputConfig(_Part):
    """How the answer shall be."""

    format: OutputFormat | None = None


class CountTokensRequest(_Part):
    """What is counted."""

    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)
    system: str | list[TextBlock] = ""
    tools: list[Tool] = Field(default_factory=lambda: list[Tool]())
    tool_choice: ToolChoice | None = None


class MessagesRequest(CountTokensRequest):
    """A request for a message."""

    max_tokens: int = Field(ge=1)
    stream: bool = False
    stop_sequences: list[str] = Field(default_factory=lambda: list[str]())
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    output_config: OutputConfig | None = None

    def asked(self) -> Asked:
        """The request as it is passed on.

        Raises:
            InvalidInputError: It holds a document that is no text.
        """
        output = self.output_config.format if self.output_config else None
        schema = {"name": "answer", "schema": output.json_schema, "strict": True} if output else None
        body = prompt_body(self) | {
            "max_tokens": self.max_tokens,
            "stop": self.stop_sequences or None,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "response_format": {"type": "json_schema", "json_schema": schema} if schema else None,
        }
        return Asked(self.model, {name: value for name, value in body.items() if value is not None}, self.stream)


def prompt_body(request: CountTokensRequest) -> Json:
    """Everything of a request that the model reads.

    Raises:
        InvalidInputError: It holds a document that is no text.
    """
    system = request.system if isinstance(request.system, str) else "\n".join(block.text for block in request.system)
    messages: list[Json] = [{"role": "system", "content": system}] if system else []
    for message in request.messages:
        messages += _messages(message)
    body: Json = {"model": request.model, "messages": messages}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice:
        body["tool_choice"] = _tool_choice(request.tool_choice)
        if request.tool_choice.disable_parallel_tool_use:
            body["parallel_tool_calls"] = False
    return body


def _messages(message: Message) -> list[Json]:
    """One turn as OpenAI's messages: what tools answered first, then what was said."""
    if isinstance(message.content, str):
        return [{"role": message.role, "content": message.content}]
    results: list[Json] = []
    calls: list[Json] = []
    shown: list[Json] = []
    for block in message.content:
        match block:
            case ToolResultBlock():
                results.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": _result(block)})
            case ToolUseBlock():
                function = {"name": block.name, "arguments": orjson.dumps(block.input).decode()}
                calls.append({"id": block.id, "type": "function", "function": function})
            case ThoughtBlock():
                pass
            case _:
                shown += _shown(block)
    if not shown and not calls:
        return results
    spoken: Json = {"role": message.role, "content": _simplest(shown)}
    return [*results, spoken | ({"tool_calls": calls} if calls else {})]


def _simplest(parts: list[Json]) -> str | list[Json] | None:
    """Text alone as a string: not every server takes parts."""
    if any(part["type"] != "text" for part in parts):
        return parts
    return "\n".join(part["text"] for part in parts) if parts else None


def _result(block: ToolResultBlock) -> str | list[Json]:
    """What a tool answered; a failure says so at its beginning, because OpenAI's shape has no other place for that."""
    if isinstance(block.content, str):
        said = block.content
    else:
        said = _simplest([part for shown in block.content for part in _shown(shown)])
    if not block.is_error:
        return said or ""
    if not said or isinstance(said, str):
        return f"Error: {said or 'the tool failed'}"
    return [{"type": "text", "text": "Error:"}, *said]


def _shown(block: TextBlock | ImageBlock | DocumentBlock | SearchResultBlock) -> list[Json]:
    match block:
        case TextBlock():
            return [{"type": "text", "text": block.text}]
        case ImageBlock():
            source = block.source
            url = source.url if source.type == "url" else f"data:{source.media_type};base64,{source.data}"
            return [{"type": "image_url", "image_url": {"url": url}}]
        case SearchResultBlock():
            return [_text(block.title, block.source, *(part.text for part in block.content))]
        case DocumentBlock():
            return _document(block)


def _document(block: DocumentBlock) -> list[Json]:
    """A document's text, then its images."""
    if block.source.type not in {"text", "content"}:
        raise InvalidInputError("documents in messages must be plain text", param="messages")
    content = block.source.data if block.source.type == "text" else block.source.content
    if isinstance(content, str):
        return [_text(block.title, block.context, content)]
    texts = [part.text for part in content if isinstance(part, TextBlock)]
    images = [image for part in content if isinstance(part, ImageBlock) for image in _shown(part)]
    return [_text(block.title, block.context, *texts), *images]


def _text(*lines: str | None) -> Json:
    return {"type": "text", "text": "\n".join(line for line in lines if line)}


def _tool(tool: Tool) -> Json:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> str | Json:
    if choice.type == "tool":
        return {"type": "function", "function": {"name": choice.name or ""}}
    return {"auto": "auto", "any": "required", "none": "none"}[choice.type]
