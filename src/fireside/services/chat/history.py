"""What an answer knows of the conversation before it: the turns along its branch, read anew for every answer."""

from collections.abc import Iterable

from fireside.contracts.answer import Turn
from fireside.ports.conversation_records import MessageRecord


def history_from(branch: Iterable[MessageRecord], *, budget_chars: int) -> tuple[Turn, ...]:
    """The turns of a branch as `trimmed` leaves them.

    Args:
        branch: Messages, nearest first, without the question that is to be answered.
        budget_chars: Characters of all turns together.
    """
    turns = (
        Turn(role="assistant" if message.role == "assistant" else "user", content=message.content) for message in branch
    )
    return trimmed(turns, budget_chars=budget_chars)


def trimmed(turns: Iterable[Turn], *, budget_chars: int) -> tuple[Turn, ...]:
    """As many of the newest turns as fit, oldest first.

    Args:
        turns: Newest first.
        budget_chars: Characters of all turns together. A turn that does not fit any more is left out, and all before
            it; the newest one is kept in any case, shortened to the budget.

    Returns:
        Turns with text; those without any, such as answers that came to nothing, are left out.
    """
    kept: list[Turn] = []
    left = budget_chars
    for turn in turns:
        content = turn.content.strip()
        if not content:
            continue
        if len(content) > left and kept:
            break
        kept.append(Turn(role=turn.role, content=content[:left]))
        left -= len(kept[-1].content)
        if left <= 0:
            break
    return tuple(reversed(kept))
