"""Answering without documents: fixed replies to greetings and the like, and the model's own words in general mode."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fireside.contracts.answer import AnswerEvent, Step, Token, Turn
from fireside.contracts.inference import Chat, ChatEnd, ChatMessage
from fireside.contracts.think import Intent
from fireside.core.errors import FiresideError
from fireside.runtime.metering import LimitExceededError
from fireside.services.respond.budget import ContextBudget, fit_context
from fireside.services.respond.model_stream import model_stream
from fireside.services.respond.phrases import PhraseName, phrase
from fireside.services.respond.prompt import chat_messages, fitted_instructions
from fireside.services.respond.task import AnswerTask, Outcome, closing_events, step

_UNCHECKED = 0.3
_FIXED: dict[Intent, PhraseName] = {
    "greeting": "greeting",
    "small_talk": "small_talk",
    "about_assistant": "about_assistant",
}


def has_fixed_reply(task: AnswerTask) -> bool:
    """Whether the message is one that gets a fixed reply: a greeting, thanks, a question about the assistant."""
    return task.request.analysis.intent in _FIXED


async def reply_fixed(task: AnswerTask) -> AsyncGenerator[AnswerEvent]:
    """Give the fixed reply to a greeting and the like."""
    content = phrase(_FIXED[task.request.analysis.intent], task.language)
    outcome = Outcome(content=content, confidence=1.0, reasons=("A fixed reply that makes no claim.",))
    yield Token(text=content)
    for event in closing_events(task, outcome, begun=task.clock.monotonic()):
        yield event


async def chat(task: AnswerTask) -> AsyncGenerator[AnswerEvent]:
    """Let the model answer from what it knows, marked as not supported by documents.

    Raises:
        FiresideError: The model failed after its first words.
    """
    begun = task.clock.monotonic()
    text, end = "", None
    try:
        async with aclosing(model_stream(task, chat_request(task))) as items:
            async for item in items:
                if isinstance(item, Step):
                    yield item
                elif isinstance(item, ChatEnd):
                    end = item
                else:
                    text += item.text
                    yield Token(text=item.text)
    except LimitExceededError:
        raise
    except FiresideError:
        if text:
            raise
        text = phrase("no_model", task.language)
        task.degraded.append("No language model answered.")
        yield Token(text=text)
    task.note_fallback(end)
    yield step(task, "respond", "chat", "done" if end else "failed", begun=begun)
    outcome = Outcome(
        content=text.strip(),
        confidence=_UNCHECKED if end else 0.0,
        reasons=("Answered from the model's own knowledge, not from documents.",) if end else ("No model answered.",),
        end=end,
    )
    for event in closing_events(task, outcome, begun=task.clock.monotonic()):
        yield event


def chat_request(task: AnswerTask) -> Chat:
    """The request for a talk without documents, within the model's window."""
    request = task.request
    answer_tokens = request.max_tokens or task.settings.answer_tokens
    window = task.profile.context_tokens if task.profile else 4096
    budget = ContextBudget(window_tokens=window, answer_tokens=min(answer_tokens, window // 2))
    system = fitted_instructions(task, "chat", budget=budget)
    fitted = fit_context(system + request.question, (), request.history, budget=budget)
    task.degraded.extend(fitted.notices())
    messages: tuple[ChatMessage, ...] = chat_messages(system, _alternating(fitted.history), request.question)
    return Chat(messages=messages, model=request.model, max_tokens=min(answer_tokens, window // 2))


def _alternating(history: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The turns with neighbours of one role joined, as chat templates ask; the last one is the assistant's."""
    joined: list[Turn] = []
    for turn in history:
        if joined and joined[-1].role == turn.role:
            joined[-1] = Turn(role=turn.role, content=f"{joined[-1].content}\n\n{turn.content}")
        else:
            joined.append(turn)
    return tuple(joined)
