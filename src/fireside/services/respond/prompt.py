"""Building prompts from the templates in `prompts/`.

The beginning of a prompt never changes from question to question (no dates, no names, history before passages), so that
an engine can reuse what it has computed for it.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

from fireside.contracts.answer import Passage, Turn
from fireside.contracts.inference import ChatMessage
from fireside.services.respond.budget import ContextBudget, fit_note
from fireside.services.respond.task import AnswerTask

TemplateName = Literal["answer", "chat"]

NOT_FOUND_MARK = "NOT IN THE DOCUMENTS"
"""What the answer template tells a model to write when the passages hold no answer."""


@cache
def template(name: TemplateName) -> str:
    """The instructions of the name."""
    return files("fireside.services.respond").joinpath("prompts", f"{name}.md").read_text("utf-8").strip()


def instructions(name: TemplateName, authors_note: str | None) -> str:
    """The instructions, followed by the author's note where there is one."""
    note = (authors_note or "").strip()
    return (
        f"{template(name)}\n\nThe author of this conversation asks you to keep to this:\n{note}"
        if note
        else template(name)
    )


def fitted_instructions(task: AnswerTask, name: TemplateName, *, budget: ContextBudget) -> str:
    """The instructions with as much of the author's note as fits; that it was shortened is told."""
    note = (task.request.authors_note or "").strip()
    fitting = fit_note(note, template(name) + task.request.question, budget=budget)
    if len(fitting) < len(note):
        task.degraded.append("The instructions did not fit into the model's window; only their beginning was read.")
    return instructions(name, fitting)


def chat_messages(system: str, history: Sequence[Turn], last: str) -> tuple[ChatMessage, ...]:
    """The messages of a request: instructions, earlier turns, and the newest message."""
    earlier = (ChatMessage(role=turn.role, content=turn.content) for turn in history)
    return (ChatMessage(role="system", content=system), *earlier, ChatMessage(role="user", content=last))


def passages_and_question(passages: Sequence[Passage], question: str) -> str:
    """The newest message of a question about documents: numbered passages, then the question."""
    blocks = [_block(n, passage) for n, passage in enumerate(passages, 1)]
    return "\n\n".join([*blocks, f"Question: {question}"])


def _block(n: int, passage: Passage) -> str:
    where = " > ".join(part for part in (passage.title, passage.heading) if part)
    text = passage.text.replace("</passage", "<\\/passage")
    return f'<passage n="{n}" from="{where.replace(chr(34), chr(39))}">\n{text}\n</passage>'
