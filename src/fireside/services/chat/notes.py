"""Context-only posts as passages, so that an answer from documents can quote them like anything else it was given."""

from collections.abc import Iterable, Sequence

from fireside.contracts.answer import Passage
from fireside.core.ids import ChunkId, DocumentId
from fireside.ports.conversation_records import MessageRecord

_MOST_NOTES = 8
_LONGEST_CHARS = 6_000
_PLACE = 2
"""How many of the passages found stand before the notes: what search is surest of keeps its rank."""


def notes_from(branch: Iterable[MessageRecord]) -> tuple[Passage, ...]:
    """The context-only posts of a branch as passages.

    Args:
        branch: Messages, nearest first.

    Returns:
        The nearest notes, nearest first. Document and chunk have the id of the message; `path` says where it stands.
    """
    notes = [message for message in branch if message.context_only and message.content.strip()]
    return tuple(
        Passage(
            document_id=DocumentId(note.id),
            chunk_id=ChunkId(note.id),
            path=f"conversations/{note.conversation_id}/messages/{note.id}",
            title="Note in this conversation",
            url=f"/c/{note.conversation_id}",
            text=note.content[:_LONGEST_CHARS],
            score=0.0,
            updated_at=note.created_at,
            end=min(len(note.content), _LONGEST_CHARS),
        )
        for note in notes[:_MOST_NOTES]
    )


def with_notes(passages: Sequence[Passage], notes: Sequence[Passage]) -> tuple[Passage, ...]:
    """Passages found by search, best first, with the notes among them."""
    return (*passages[:_PLACE], *notes, *passages[_PLACE:])
