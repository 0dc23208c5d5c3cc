"""Responses kept for clients of OpenAI's Responses API: sealed rows of their owner that expire."""

from datetime import timedelta
from uuid import UUID

import orjson
from sqlalchemy import RowMapping

from fireside.contracts.base import Nothing
from fireside.contracts.stored_responses import DELETE, GET, KEEP, THREAD, ResponseRef, ResponseThread, StoredResponse
from fireside.core.clock import Clock
from fireside.ports.secret_box import SecretBox
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.runtime.mesh import action
from fireside.services.chat.errors import ResponseNotFoundError
from fireside.services.chat.repository import responses
from fireside.services.chat.settings import ChatSettings

_LONGEST_THREAD = 500


class ResponseBook:
    """The stored responses of everyone."""

    def __init__(self, *, database: Database, box: SecretBox, settings: ChatSettings, clock: Clock) -> None:
        self._database, self._box, self._clock = database, box, clock
        self._kept_for = timedelta(days=settings.response_retention_days)

    async def keep(self, context: Context, response: StoredResponse) -> None:
        """Store a response of the caller's."""
        content = orjson.dumps({"response": response.response, "input": response.input})
        row = {
            "id": response.id,
            "owner_id": context.identity.require_user(),
            "previous_id": response.previous_id,
            "content": self._box.seal(content, place=_place(response.id)),
            "created_at": response.created_at,
            "expires_at": self._clock.now() + self._kept_for,
        }
        async with self._database.transaction(context) as unit:
            await responses.add(unit.session, row)

    async def thread(self, context: Context, response_id: UUID, *, longest: int = _LONGEST_THREAD) -> ResponseThread:
        """A response of the caller's and those it goes on from, oldest first.

        Raises:
            ResponseNotFoundError: The caller has no such response.
        """
        owner_id, found, wanted = context.identity.require_user(), list[StoredResponse](), response_id
        async with self._database.read() as session:
            while wanted is not None and len(found) < longest:
                row = await responses.get(session, wanted, owner_id, at=self._clock.now())
                if row is None:
                    break
                found.append(self._opened(row))
                wanted = found[-1].previous_id
        if not found:
            raise ResponseNotFoundError
        return ResponseThread(items=tuple(reversed(found)))

    async def delete(self, context: Context, response_id: UUID) -> None:
        """Delete a response of the caller's.

        Raises:
            ResponseNotFoundError: The caller has no such response.
        """
        owner_id = context.identity.require_user()
        async with self._database.transaction(context) as unit:
            if not await responses.remove(unit.session, response_id, owner_id):
                raise ResponseNotFoundError

    async def erase_expired(self) -> None:
        """Erase what has been kept for long enough."""
        async with self._database.transaction() as unit:
            await responses.remove_expired(unit.session, at=self._clock.now())

    def _opened(self, row: RowMapping) -> StoredResponse:
        content = orjson.loads(self._box.open(row["content"], place=_place(row["id"])))
        facts = {name: row[name] for name in ("id", "previous_id", "created_at")}
        return StoredResponse.model_validate(facts | content)


class OffersResponses:
    """What a service offers and does about stored responses, when it has their book."""

    responses: ResponseBook

    @action(KEEP)
    async def keep_response(self, context: Context, request: StoredResponse) -> Nothing:
        """Store a response."""
        await self.responses.keep(context, request)
        return Nothing()

    @action(GET)
    async def get_response(self, context: Context, request: ResponseRef) -> StoredResponse:
        """One response."""
        return (await self.responses.thread(context, request.response_id, longest=1)).items[0]

    @action(THREAD)
    async def get_thread(self, context: Context, request: ResponseRef) -> ResponseThread:
        """A response and those it goes on from."""
        return await self.responses.thread(context, request.response_id)

    @action(DELETE)
    async def delete_response(self, context: Context, request: ResponseRef) -> Nothing:
        """Delete a response; those that go on from it stay."""
        await self.responses.delete(context, request.response_id)
        return Nothing()


def _place(response_id: UUID) -> str:
    return f"chat.responses:{response_id}"
