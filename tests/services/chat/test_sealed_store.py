"""Texts of conversations are sealed at rest, and nobody above the store notices."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from fireside.contracts import chat
from fireside.core.ids import new_id
from fireside.ports.conversation_records import EventBatch
from fireside.ports.secret_box import SecretUnreadableError
from fireside.runtime.durable import Database, event_log
from fireside.services.chat.repository.store import SqlConversationStore
from fireside.services.chat.sealed_store import RecordSeals, SealedConversationStore
from fireside.testing.conformance.conversation_erasing import ConversationErasingConformance
from fireside.testing.conformance.conversation_search import ConversationSearchConformance
from fireside.testing.conformance.conversation_store import (
    ConversationStoreConformance,
    Facts,
    conversation,
    message,
)
from fireside.testing.durable import QUICK
from tests.databases import database_fixture

from .conftest import BOX, MIGRATIONS, Start
from .fakes import Script

PHRASE = "the unmistakable phrase of a private question"
database_url = database_fixture("chat", MIGRATIONS)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, service="chat", migrations=MIGRATIONS, settings=QUICK)
    await database.open()
    yield database
    await database.close()


class TestSealedConversationStore(
    ConversationStoreConformance, ConversationSearchConformance, ConversationErasingConformance
):
    @pytest.fixture
    def store(self, database: Database) -> SealedConversationStore:
        return SealedConversationStore(SqlConversationStore(database), BOX)

    @pytest.fixture
    def facts(self, database: Database) -> Facts:
        async def topics() -> list[str]:
            async with database.read() as session:
                return [entry.topic for entry in await event_log.read(session, after=0)]

        return topics


@pytest.mark.requirement("D8")
async def test_no_phrase_of_a_conversation_is_found_on_the_disk(start_chat: Start, tmp_path: Path) -> None:
    app = await start_chat()
    app.respond.script = Script(words=tuple(f"{word} " for word in PHRASE.upper().split()))
    kept = await app.me.call(chat.CREATE, chat.CreateConversation(authors_note=f"note {PHRASE}"))
    heard = await app.ask(kept, PHRASE)
    rating = chat.GiveFeedback(message_id=heard.message_id, rating=1, comment=f"comment {PHRASE}")
    await app.me.call(chat.FEEDBACK, rating)

    assert PHRASE in (await app.messages(kept))[0].content
    assert len(stored_bytes(tmp_path)) > 10_000
    assert PHRASE.encode() not in stored_bytes(tmp_path).lower()


def stored_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_what_was_sealed_for_one_message_opens_in_no_other() -> None:
    seals, record = RecordSeals(BOX), conversation()
    sealed = seals.sealed_message(message(record, content="mine"))

    assert seals.message(sealed).content == "mine"
    with pytest.raises(SecretUnreadableError):
        seals.message(replace(sealed, id=new_id()))
    batch = seals.sealed_batch(EventBatch(sealed.id, 1, 2, b"events"))
    with pytest.raises(SecretUnreadableError):
        seals.batch(replace(batch, first_id=2))
