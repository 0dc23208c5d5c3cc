"""Keeping a prompt within a model's window: what is left out first, and a report of what was.

Tokens are estimated from characters, on the high side, because tokenizers differ from model to model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fireside.contracts.answer import Passage, Turn

_CHARS_PER_TOKEN = 3.2
_TOKENS_PER_MESSAGE = 8
_LONGEST_OLD_TURN_CHARS = 400
_LONGEST_PASSAGE_CHARS = 2400
_NOTE_SHARE = 0.5
"""Largest part of the room that the author's note may take, so that turns and passages find some."""


@dataclass(frozen=True, slots=True)
class ContextBudget:
    """The room for one request, in tokens.

    Attributes:
        window_tokens: What prompt and answer share.
        answer_tokens: Kept free for the answer.
        history_share: Largest part of the room that earlier turns may take while there are passages.

    """

    window_tokens: int
    answer_tokens: int
    history_share: float = 0.25

    @property
    def prompt_tokens(self) -> int:
        """Room for the prompt."""
        return max(0, self.window_tokens - self.answer_tokens)


@dataclass(frozen=True, slots=True)
class FittedContext:
    """What of the context goes into the prompt, and what had to stay out.

    Attributes:
        passages: In the order they came, perhaps shortened at their end.
        history: Oldest first; when there is too little room or there are passages, all but the newest pair are
            shortened.
        dropped_passages: How many passages found no room.
        dropped_turns: How many turns found no room.

    """

    passages: tuple[Passage, ...]
    history: tuple[Turn, ...]
    dropped_passages: int = 0
    dropped_turns: int = 0

    def notices(self) -> tuple[str, ...]:
        """What was left out, in plain sentences."""
        found: list[str] = []
        if self.dropped_passages:
            found.append(f"{self.dropped_passages} of the passages did not fit into the model's window.")
        if self.dropped_turns:
            found.append(f"{self.dropped_turns} earlier messages did not fit into the model's window.")
        return tuple(found)


def estimate_tokens(text: str) -> int:
    """How many tokens a text will hardly exceed: a third of its characters, or its words where they are short."""
    wide = sum(ord(character) > 0x2E80 for character in text)
    return int(max((len(text) - wide) / _CHARS_PER_TOKEN + wide * 1.5, len(text.split()) * 1.3)) + 1


def fit_note(note: str, fixed: str, *, budget: ContextBudget) -> str:
    """The author's note, or as much of its beginning as half of the room holds that the fixed text leaves.

    Args:
        note: What the author asks the model to keep to.
        fixed: Everything that cannot be left out: instructions, question.
        budget: The room there is.
    """
    room = budget.prompt_tokens - estimate_tokens(fixed) - _TOKENS_PER_MESSAGE
    tokens = max(0, int(room * _NOTE_SHARE))
    fitting = note[: int(tokens * _CHARS_PER_TOKEN)]  # no text of more characters has so few tokens
    while fitting and (size := estimate_tokens(fitting)) > tokens:
        fitting = fitting[: len(fitting) * tokens // size]
    return fitting


def fit_context(
    fixed: str, passages: Sequence[Passage], history: Sequence[Turn], *, budget: ContextBudget
) -> FittedContext:
    """Choose what fits: the fixed text always, then passages best first, then the newest turns.

    Without passages, turns stay whole while all of them fit: a prompt then begins as the one before it did, and an
    engine reads only what is new. Passages change from question to question: nothing behind the turns is known anyway.

    Args:
        fixed: Everything that cannot be left out: instructions, note, question.
        passages: Best first.
        history: Oldest first.
        budget: The room there is.
    """
    room = budget.prompt_tokens - estimate_tokens(fixed) - _TOKENS_PER_MESSAGE
    for_history = int(room * budget.history_share) if passages else room
    turns = history if not passages and _tokens_of(history) <= for_history else _shortened(history)
    kept_turns, used = _newest_that_fit(turns, for_history)
    kept_passages = _best_that_fit(passages, room - used)
    return FittedContext(
        passages=tuple(kept_passages),
        history=tuple(kept_turns),
        dropped_passages=len(passages) - len(kept_passages),
        dropped_turns=len(turns) - len(kept_turns),
    )


def _tokens_of(turns: Sequence[Turn]) -> int:
    return sum(estimate_tokens(turn.content) + _TOKENS_PER_MESSAGE for turn in turns)


def _shortened(history: Sequence[Turn]) -> list[Turn]:
    """The turns, those before the newest question and answer cut to their beginning."""
    old = max(0, len(history) - 2)
    return [
        turn.model_copy(update={"content": _cut(turn.content, _LONGEST_OLD_TURN_CHARS)}) if index < old else turn
        for index, turn in enumerate(history)
    ]


def _newest_that_fit(turns: Sequence[Turn], room: int) -> tuple[list[Turn], int]:
    kept: list[Turn] = []
    used = 0
    for turn in reversed(turns):
        size = estimate_tokens(turn.content) + _TOKENS_PER_MESSAGE
        if used + size > room:
            break
        kept.insert(0, turn)
        used += size
    while kept and kept[0].role == "assistant":
        used -= estimate_tokens(kept.pop(0).content) + _TOKENS_PER_MESSAGE
    return kept, used


def _best_that_fit(passages: Sequence[Passage], room: int) -> list[Passage]:
    kept: list[Passage] = []
    for passage in passages:
        text = _cut(passage.text, _LONGEST_PASSAGE_CHARS)
        size = estimate_tokens(f"{passage.title} {passage.heading or ''} {text}") + _TOKENS_PER_MESSAGE
        if size > room:
            break
        kept.append(passage.model_copy(update={"text": text}))
        room -= size
    return kept


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[:chars].rsplit(maxsplit=1)[0] + " …"
