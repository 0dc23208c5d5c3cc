"""Conversations in MongoDB 5 or newer: a replica set, of one member at least, because only those have transactions.

A database has the collections of `Collections` and nothing else. Facts wait in its outbox until the chat service has
them in its log.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, IndexModel
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from fireside.adapters.conversation_store.mongodb_documents import Document, fact_from
from fireside.adapters.conversation_store.mongodb_reads import Collections, MongoReads
from fireside.adapters.conversation_store.mongodb_transaction import (
    ReplayedTransaction,
    translated_errors,
    unavailable,
)
from fireside.adapters.conversation_store.mongodb_work import MongoWork
from fireside.core.clock import Clock
from fireside.core.ids import EventId
from fireside.ports.conversation_store import Cause
from fireside.ports.separate_conversation_store import ConversationStoreUnavailableError
from fireside.ports.stated_fact import StatedFact

_NAME = "fireside"
_INDEXES: dict[str, list[IndexModel]] = {
    "conversations": [
        IndexModel([("owner_id", ASCENDING), ("pinned", DESCENDING), ("updated_at", DESCENDING), ("_id", DESCENDING)]),
        IndexModel([("deleted_at", ASCENDING)]),
    ],
    "messages": [
        IndexModel([("conversation_id", ASCENDING), ("position", ASCENDING)], unique=True),
        IndexModel([("parent_id", ASCENDING)]),
        IndexModel([("state", ASCENDING), ("owner_id", ASCENDING)]),
    ],
    "answer_events": [IndexModel([("message_id", ASCENDING), ("first_id", ASCENDING)], unique=True)],
    "item_words": [
        IndexModel([("owner_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)]),
        IndexModel([("conversation_id", ASCENDING)]),
    ],
    "facts": [IndexModel([("version", ASCENDING), ("_id", ASCENDING)])],
    "fact_counts": [],
    "owners": [],
}


class MongoConversationStore:
    """SeparateConversationStore on a MongoDB server."""

    def __init__(self, url: str, *, clock: Clock, wait_s: float = 10.0) -> None:
        """Describe a store; nothing is opened yet.

        Args:
            url: `mongodb://user:password@host/name`, also of several hosts; `mongodb+srv://...`. Its options, such as
                `maxPoolSize`, hold.
            clock: Tells when facts were stated.
            wait_s: Longest wait for the server, for a free connection, and for other transactions.
        """
        self._url = url
        self._clock = clock
        self._wait_s = wait_s
        self._client: AsyncMongoClient[Document] | None = None
        self._listeners: list[Callable[[], None]] = []

    async def open(self) -> None:
        """See SeparateConversationStore."""
        if self._client is not None:
            return
        wait_ms = round(self._wait_s * 1000)
        options: dict[str, Any] = {
            "appname": _NAME,
            "uuidRepresentation": "standard",
            "waitQueueTimeoutMS": wait_ms,
            "serverSelectionTimeoutMS": wait_ms,
            "connectTimeoutMS": wait_ms,
        }
        try:
            self._client = AsyncMongoClient(self._url, **options)
            await self._make_ready()
        except PyMongoError as error:
            await self.close()
            raise unavailable(error) from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """See SeparateConversationStore."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def check(self) -> None:
        """See SeparateConversationStore."""
        with translated_errors():
            told = await self._opened.admin.command("hello")
        if not told.get("isWritablePrimary"):
            raise ConversationStoreUnavailableError(
                "the replica set has no primary at the moment: nothing can be stored"
            )

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[MongoReads]:
        """See ConversationStore."""
        async with self._transaction() as transaction:
            yield MongoReads(transaction, self._collections)

    @asynccontextmanager
    async def transaction(self, cause: Cause | None = None) -> AsyncGenerator[MongoWork]:
        """See ConversationStore."""
        async with self._transaction() as transaction:
            work = MongoWork(transaction, self._collections, cause=cause, clock=self._clock)
            yield work
            if work.stated:
                await work.write_facts()
            await transaction.commit()
        if work.stated:
            for listener in tuple(self._listeners):
                listener()

    async def waiting_facts(self, *, limit: int) -> list[StatedFact]:
        """See SeparateConversationStore."""
        with translated_errors():
            # in order of their numbers, so that no limit comes between two of one aggregate the wrong way round
            found = self._collections.facts.find().sort([("version", ASCENDING), ("_id", ASCENDING)]).limit(limit)
            return [fact_from(document) for document in await found.to_list()]

    async def forget_facts(self, ids: Sequence[EventId]) -> None:
        """See SeparateConversationStore."""
        with translated_errors():
            await self._collections.facts.delete_many({"_id": {"$in": list(ids)}})

    def when_stated(self, wake: Callable[[], None]) -> None:
        """See SeparateConversationStore."""
        self._listeners.append(wake)

    @property
    def _opened(self) -> AsyncMongoClient[Document]:
        if self._client is None:
            raise ConversationStoreUnavailableError("the store of conversations is not open")
        return self._client

    @property
    def _collections(self) -> Collections:
        # outside of transactions, too, only what cannot be rolled back any more is read
        read, write = ReadConcern("majority"), WriteConcern("majority", j=True)
        return Collections.of(self._opened.get_default_database(_NAME, read_concern=read, write_concern=write))

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[ReplayedTransaction]:
        async with self._opened.start_session() as session:
            transaction = ReplayedTransaction(session, within_s=self._wait_s)
            with translated_errors():
                await transaction.begin()
            yield transaction

    async def _make_ready(self) -> None:
        told = await self._opened.admin.command("hello")
        if "setName" not in told and told.get("msg") != "isdbgrid":
            raise ConversationStoreUnavailableError(
                "this MongoDB server is no member of a replica set and has no transactions: start it with --replSet "
                "and run rs.initiate() once"
            )
        database = self._opened.get_default_database(_NAME)
        present = set(await database.list_collection_names())
        for name, indexes in _INDEXES.items():
            if name not in present:
                await database.create_collection(name, check_exists=False)
            if indexes:
                await database[name].create_indexes(indexes)
