"""Conversations out of the store into files, and back."""

from fireside.contracts.chat import ExportConversation, ExportedFile, ImportConversation
from fireside.contracts.conversation import ConversationView
from fireside.ports.conversation_store import ConversationStore, ConversationWork
from fireside.runtime.context import Context
from fireside.services.chat.exporting import export
from fireside.services.chat.following import Following
from fireside.services.chat.importing import Imported, read_export
from fireside.services.chat.posting import get_conversation, index_message, index_title
from fireside.services.chat.views import conversation_view, message_view


class Exchange:
    """Exports and imports."""

    def __init__(self, *, store: ConversationStore, following: Following) -> None:
        self._store = store
        self._following = following

    async def export(self, context: Context, request: ExportConversation) -> ExportedFile:
        """One conversation as a file."""
        owner_id = context.identity.require_user()
        async with self._store.read() as reads:
            conversation = await get_conversation(reads, owner_id, request.conversation_id)
            records = await reads.messages(conversation.id)
            messages = [message_view(await self._following.current(reads, record)) for record in records]
        return export(conversation_view(conversation), messages, request.format)

    async def bring_in(self, context: Context, request: ImportConversation) -> ConversationView:
        """A new conversation from a json export."""
        imported = read_export(request.content, context.identity.require_user())
        async with self._store.transaction(context) as work:
            await _store(work, imported)
        count = len(imported.messages)
        return conversation_view(imported.conversation).model_copy(update={"message_count": count})


async def _store(work: ConversationWork, imported: Imported) -> None:
    conversation = imported.conversation
    await work.add_conversation(conversation)
    await index_title(work, conversation)
    for message in imported.messages:
        await work.add_message(message)
        await index_message(work, message)
        if message.feedback is not None:
            await work.add_feedback(message.id, conversation.owner_id, message.feedback)
