"""A json export back into records, with ids of its own, so that a file can be imported twice and by anyone."""

from dataclasses import dataclass, replace

from pydantic import ValidationError

from fireside.contracts.conversation import MessageView
from fireside.core.ids import ConversationId, MessageId, UserId, new_id
from fireside.ports.conversation_records import ConversationRecord, FeedbackRecord, MessageRecord
from fireside.services.chat.errors import InvalidImportError
from fireside.services.chat.exporting import ExportDocument
from fireside.services.chat.transcript import AnswerDetails

_MOST_MESSAGES = 5_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file holds, ready to be stored: messages with parents before children."""

    conversation: ConversationRecord
    messages: list[MessageRecord]


def read_export(content: str, owner_id: UserId) -> Imported:
    """The conversation in a json export, as the owner's.

    Raises:
        InvalidImportError: It is not one, or its messages do not make a tree.
    """
    try:
        document = ExportDocument.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidImportError(f"not an exported conversation: {where}: {first['msg']}") from error
    if len(document.messages) > _MOST_MESSAGES:
        raise InvalidImportError(f"{len(document.messages)} messages are more than {_MOST_MESSAGES}")
    settings = document.conversation
    conversation = ConversationRecord(
        id=ConversationId(new_id()),
        owner_id=owner_id,
        title=settings.title,
        title_given=True,
        mode=settings.mode,
        model=settings.model,
        authors_note=settings.authors_note,
        pinned=settings.pinned,
        archived=settings.archived,
        tags=settings.tags,
        created_at=settings.created_at,
        updated_at=settings.updated_at,
    )
    ids: dict[MessageId, MessageId] = {}
    records = [_record(message, conversation, ids) for message in document.messages]
    active = ids.get(settings.active_message_id) if settings.active_message_id else None
    return Imported(replace(conversation, active_message_id=active), records)


def _record(message: MessageView, conversation: ConversationRecord, ids: dict[MessageId, MessageId]) -> MessageRecord:
    if message.id in ids or (message.parent_id is not None and message.parent_id not in ids):
        raise InvalidImportError(f"the message {message.id} does not stand after its parent, or stands there twice")
    ids[message.id] = MessageId(new_id())
    details = AnswerDetails(**{name: getattr(message, name) for name in AnswerDetails.model_fields})
    return MessageRecord(
        id=ids[message.id],
        conversation_id=conversation.id,
        owner_id=conversation.owner_id,
        parent_id=ids[message.parent_id] if message.parent_id else None,
        role=message.role,
        content=message.content,
        state="interrupted" if message.state == "streaming" else message.state,
        created_at=message.created_at,
        context_only=message.context_only,
        mode=message.mode,
        model=message.model,
        confidence=message.confidence,
        usage=message.usage.model_dump(),
        details=details.model_dump_json(),
        finished_at=message.finished_at,
        feedback=_feedback(message),
    )


def _feedback(message: MessageView) -> FeedbackRecord | None:
    given = message.feedback
    return FeedbackRecord(given.rating, given.comment, given.tags, given.created_at) if given else None
