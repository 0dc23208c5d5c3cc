"""A completion in one piece, put together of the chunks of its stream. No I/O.

Of chats and of plain prompts; every choice is kept, with its log probabilities, tool calls and reasoning.
"""

from typing import Any, cast

from fireside.core.errors import UpstreamError
from fireside.core.openai_wire import json_object, tokens_of_prompts

_OF_CHUNKS_ALONE = frozenset({"choices", "usage", "object", "prompt_progress"})
_WHOLE = {"chat.completion.chunk": "chat.completion"}
_PIECES = ("content", "reasoning_content")


class GatheredReply:
    """Takes chunks in order, and then tells the whole."""

    def __init__(self, *, answers: int = 1) -> None:
        """Begin; `answers` were asked for to each prompt."""
        self._answers = answers
        self._facts: dict[str, Any] = {}
        self._object = ""
        self._choices: dict[int, _Choice] = {}
        self._usages: list[dict[str, Any]] = []

    def add(self, chunk: dict[str, Any]) -> None:
        """Take the next chunk."""
        self._facts |= {name: value for name, value in chunk.items() if name not in _OF_CHUNKS_ALONE}
        self._object = chunk.get("object") or self._object
        if usage := json_object(chunk.get("usage")):
            self._usages.append(usage)
        for item in cast("list[Any]", chunk.get("choices") or []):
            choice = json_object(item)
            self._choices.setdefault(int(choice.get("index") or 0), _Choice()).add(choice)

    def body(self) -> dict[str, Any]:
        """The reply that the server would have sent in one piece.

        Raises:
            UpstreamError: The chunks ended before every choice did.
        """
        if not self._choices or not all(choice.finish_reason for choice in self._choices.values()):
            raise UpstreamError("the model's server broke off in the middle of an answer")
        is_chat = self._object in _WHOLE
        return {
            "object": _WHOLE.get(self._object, self._object),
            "choices": [
                choice.chat(index) if is_chat else choice.plain(index)
                for index, choice in sorted(self._choices.items())
            ],
            **self._facts,
            "usage": _usage_of_all(self._usages, answers=self._answers),
        }


class _Choice:
    """One of the answers to a request."""

    def __init__(self) -> None:
        self.finish_reason = ""
        self._text = ""
        self._message: dict[str, str] = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._logprobs: list[Any] | None = None

    def add(self, choice: dict[str, Any]) -> None:
        delta = json_object(choice.get("delta"))
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        self._text += choice.get("text") or ""
        for name in _PIECES:
            if piece := delta.get(name):
                self._message[name] = self._message.get(name, "") + str(piece)
        for call in cast("list[Any]", delta.get("tool_calls") or []):
            self._add_call(json_object(call))
        if found := json_object(choice.get("logprobs")).get("content"):
            self._logprobs = self._logprobs or []
            self._logprobs.extend(found)

    def chat(self, index: int) -> dict[str, Any]:
        calls = [call for _, call in sorted(self._calls.items())]
        message = {"role": "assistant", "content": None if calls else ""} | self._message
        told: dict[str, Any] = {"message": message | ({"tool_calls": calls} if calls else {})}
        logprobs = {} if self._logprobs is None else {"logprobs": {"content": self._logprobs}}
        return {"index": index, "finish_reason": self.finish_reason} | told | logprobs

    def plain(self, index: int) -> dict[str, Any]:
        logprobs = None if self._logprobs is None else {"content": self._logprobs}
        return {"index": index, "finish_reason": self.finish_reason, "text": self._text, "logprobs": logprobs}

    def _add_call(self, piece: dict[str, Any]) -> None:
        call = self._calls.setdefault(int(piece.get("index") or 0), {"type": "function"})
        function = call.setdefault("function", {"name": "", "arguments": ""})
        said = json_object(piece.get("function"))
        call["id"] = piece.get("id") or call.get("id", "")
        function["name"] += said.get("name") or ""
        function["arguments"] += said.get("arguments") or ""


def _usage_of_all(usages: list[dict[str, Any]], *, answers: int) -> dict[str, Any]:
    """The usage of all choices, each of which tells its own; so many share a prompt."""
    if len(usages) <= 1:
        return usages[0] if usages else {}
    completion = sum(int(usage.get("completion_tokens") or 0) for usage in usages)
    prompt = tokens_of_prompts([int(usage.get("prompt_tokens") or 0) for usage in usages], answers=answers)
    counts = {"completion_tokens": completion, "prompt_tokens": prompt, "total_tokens": prompt + completion}
    return usages[0] | counts
