"""Conversations as files: json with everything, to be imported again; Markdown and HTML to be read."""

import re
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Literal

from markdown_it import MarkdownIt

from fireside.contracts.answer import RequestedMode
from fireside.contracts.base import Contract
from fireside.contracts.chat import ExportedFile, ExportFormat
from fireside.contracts.conversation import ConversationView, MessageView
from fireside.core.ids import MessageId

_SPEAKERS = {"user": "You", "assistant": "Fireside"}
_STATES = {
    "stopped": "stopped before its end",
    "interrupted": "interrupted before its end",
    "failed": "failed",
    "streaming": "still being written",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "h2{font-size:1rem;margin:2rem 0 .25rem}.sources{font-size:.875rem;color:#555}pre{overflow-x:auto}"
)


class ExportedConversation(Contract):
    """The settings of a conversation in a json export."""

    title: str
    mode: RequestedMode = "auto"
    model: str | None = None
    authors_note: str | None = None
    pinned: bool = False
    archived: bool = False
    tags: tuple[str, ...] = ()
    active_message_id: MessageId | None = None
    created_at: datetime
    updated_at: datetime


class ExportDocument(Contract):
    """A json export. `messages` are of all branches, parents before children."""

    format: Literal["fireside.conversation"] = "fireside.conversation"
    version: Literal[1] = 1
    conversation: ExportedConversation
    messages: tuple[MessageView, ...]


def export(conversation: ConversationView, messages: Sequence[MessageView], file_format: ExportFormat) -> ExportedFile:
    """A conversation as a file.

    Args:
        conversation: Its settings.
        messages: All its messages, parents before children.
        file_format: json holds all branches; md and html show the branch last used.
    """
    name = _file_name(conversation.title)
    if file_format == "json":
        return ExportedFile(name=f"{name}.json", media_type="application/json", content=_json(conversation, messages))
    shown = active_branch(messages, conversation.active_message_id)
    if file_format == "html":
        return ExportedFile(name=f"{name}.html", media_type="text/html", content=_html(conversation, shown))
    return ExportedFile(name=f"{name}.md", media_type="text/markdown", content=_markdown(conversation, shown))


def active_branch(messages: Sequence[MessageView], newest: MessageId | None) -> list[MessageView]:
    """The messages from the root to `newest`, oldest first; to the last message of all without one."""
    by_id = {message.id: message for message in messages}
    at = by_id.get(newest) if newest else None
    at = at or (messages[-1] if messages else None)
    line: list[MessageView] = []
    while at is not None:
        line.append(at)
        at = by_id.get(at.parent_id) if at.parent_id else None
    return line[::-1]


def _json(conversation: ConversationView, messages: Sequence[MessageView]) -> str:
    settings = ExportedConversation.model_validate(conversation, from_attributes=True)
    return ExportDocument(conversation=settings, messages=tuple(messages)).model_dump_json(indent=2)


def _markdown(conversation: ConversationView, messages: Sequence[MessageView]) -> str:
    parts = [f"# {_one_line(conversation.title)}"]
    for message in messages:
        parts += [f"## {_heading(message)}", message.content.strip()]
        parts += ["\n".join(f"- {line}" for line in _source_lines(message))] if message.sources else []
    return "\n\n".join(part for part in parts if part) + "\n"


def _html(conversation: ConversationView, messages: Sequence[MessageView]) -> str:
    render = MarkdownIt("commonmark", {"html": False}).enable("table")
    title = escape(conversation.title)
    parts = [f"<h1>{title}</h1>"]
    for message in messages:
        parts += [f"<h2>{escape(_heading(message))}</h2>", render.render(message.content)]
        if message.sources:
            items = "".join(f"<li>{escape(line)}</li>" for line in _source_lines(message))
            parts.append(f'<ul class="sources">{items}</ul>')
    return (
        f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head>\n'
        f"<body>\n{''.join(parts)}\n</body></html>\n"
    )


def _heading(message: MessageView) -> str:
    heading = f"{_SPEAKERS[message.role]}, {message.created_at:%Y-%m-%d %H:%M} UTC"
    return f"{heading} ({_STATES[message.state]})" if message.state in _STATES else heading


def _source_lines(message: MessageView) -> list[str]:
    return [
        f"[{source.n}] "
        + ", ".join(
            part
            for part in (
                _one_line(source.title),
                _one_line(source.heading or ""),
                f"page {source.page}" if source.page else "",
                source.url or source.path,
            )
            if part
        )
        for source in message.sources
    ]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _file_name(title: str) -> str:
    name = re.sub(r"[^\w.-]+", "-", title, flags=re.ASCII).strip("-.")
    return name[:60].rstrip("-.") or "conversation"
