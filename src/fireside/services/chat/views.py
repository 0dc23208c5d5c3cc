"""Records as the contracts show them."""

from collections.abc import Iterable

from fireside.contracts.conversation import ConversationView, FeedbackView, MessageView
from fireside.ports.conversation_records import ConversationRecord, EventBatch, FeedbackRecord, MessageRecord
from fireside.services.chat.transcript import AnswerDetails, Transcript, events_of


def conversation_view(conversation: ConversationRecord) -> ConversationView:
    """A conversation for its owner."""
    return ConversationView.model_validate(conversation, from_attributes=True)


def message_view(message: MessageRecord) -> MessageView:
    """A message for its owner."""
    details = AnswerDetails.model_validate_json(message.details)
    return MessageView.model_validate(
        {
            "id": message.id,
            "conversation_id": message.conversation_id,
            "parent_id": message.parent_id,
            "role": message.role,
            "context_only": message.context_only,
            "content": message.content,
            "state": message.state,
            "mode": message.mode,
            "model": message.model,
            "confidence": message.confidence,
            "usage": message.usage,
            "feedback": feedback_view(message.feedback) if message.feedback else None,
            "created_at": message.created_at,
            "finished_at": message.finished_at,
            **{name: getattr(details, name) for name in AnswerDetails.model_fields},
        }
    )


def feedback_view(feedback: FeedbackRecord) -> FeedbackView:
    """A rating for who gave it."""
    return FeedbackView.model_validate(feedback, from_attributes=True)


def replayed(batches: Iterable[EventBatch]) -> Transcript:
    """An answer put together from its stored events."""
    return Transcript(event.event for batch in batches for event in events_of(batch))
