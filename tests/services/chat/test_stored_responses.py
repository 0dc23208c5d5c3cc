"""Responses that are kept: for their owner alone, sealed, in threads, for a time."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.contracts.auth_facts import UserDeleted
from fireside.contracts.stored_responses import DELETE, GET, KEEP, THREAD, ResponseRef, StoredResponse
from fireside.core.errors import NotFoundError
from fireside.core.ids import new_id
from fireside.services.chat.repository import responses
from fireside.services.chat.tables import stored_responses
from fireside.testing.durable import eventually
from tests.databases import on_both_databases

from .conftest import Chat, Start


def response(text: str = "the secret answer", previous_id: UUID | None = None) -> StoredResponse:
    body: dict[str, Any] = {"output": [{"text": text}]}
    item = {"type": "message", "content": "the question"}
    return StoredResponse(
        id=new_id(), previous_id=previous_id, created_at=datetime.now(UTC), response=body, input=(item,)
    )


@pytest.fixture
async def kept(app: Chat) -> StoredResponse:
    kept = response()
    await app.me.call(KEEP, kept)
    return kept


async def test_a_response_comes_back_to_its_owner_alone(app: Chat, kept: StoredResponse) -> None:
    ref = ResponseRef(response_id=kept.id)

    found = await app.me.call(GET, ref)

    assert (found.response, found.input) == (kept.response, kept.input)
    for action in (GET, THREAD, DELETE):
        with pytest.raises(NotFoundError):
            await app.someone_else.call(action, ref)


async def test_what_is_stored_cannot_be_read(app: Chat, kept: StoredResponse) -> None:
    async with app.service.database.read() as session:
        [row] = (await session.execute(select(stored_responses))).mappings()

    assert row["id"] == kept.id
    assert b"secret answer" not in row["content"]
    assert b"question" not in row["content"]


async def test_a_thread_is_oldest_first_and_begins_after_what_is_gone(app: Chat, kept: StoredResponse) -> None:
    second = response("two", kept.id)
    third = response("three", second.id)
    for each in (second, third):
        await app.me.call(KEEP, each)
    ref = ResponseRef(response_id=third.id)

    assert [each.id for each in (await app.me.call(THREAD, ref)).items] == [kept.id, second.id, third.id]
    await app.me.call(DELETE, ResponseRef(response_id=second.id))
    assert [each.id for each in (await app.me.call(THREAD, ref)).items] == [third.id]


async def test_a_response_expires(app: Chat, kept: StoredResponse) -> None:
    late = response("late")
    await app.me.call(KEEP, late)
    database = app.service.database
    async with database.transaction() as unit:
        over = stored_responses.update().where(stored_responses.c.id == kept.id)
        await unit.session.execute(over.values(expires_at=datetime(2020, 1, 1, tzinfo=UTC)))

    with pytest.raises(NotFoundError):
        await app.me.call(GET, ResponseRef(response_id=kept.id))
    await app.service.responses.erase_expired()

    async with database.read() as session:
        assert list(await session.scalars(select(stored_responses.c.id))) == [late.id]


@on_both_databases
@pytest.mark.requirement("D9")
async def test_responses_of_a_user_who_is_gone_are_erased_and_none_is_kept_later(start_chat: Start) -> None:
    app: Chat = await start_chat(stream=OutboxEventStream())
    database, me = app.service.database, app.me.identity.require_user()
    await app.me.call(KEEP, response())
    theirs = response("theirs")
    await app.someone_else.call(KEEP, theirs)

    async def kept() -> list[Any]:
        async with database.read() as session:
            return list(await session.scalars(select(stored_responses.c.id)))

    async def only_theirs() -> bool | None:
        return True if await kept() == [theirs.id] else None

    assert len(await kept()) == 2
    for _ in range(2):
        async with database.transaction() as unit:
            unit.emit(UserDeleted(user_id=me))
    await eventually(only_theirs, within_s=20)
    async with database.transaction() as unit:
        await responses.erase_of(unit.session, me)
    await app.me.call(KEEP, response("late"))

    assert await kept() == [theirs.id]
    assert (await app.someone_else.call(GET, ResponseRef(response_id=theirs.id))).response == theirs.response
