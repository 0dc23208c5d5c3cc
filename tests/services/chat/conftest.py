"""A chat service on a node of its own, with stand-ins around it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from fireside.adapters.secret_box.aes_gcm import AesGcmSecretBox
from fireside.adapters.secret_box.key_ring import KeyRing, MasterKey
from fireside.contracts import chat
from fireside.contracts.answer import AnswerEvent, Token
from fireside.contracts.conversation import ConversationView, MessageView, NumberedEvent
from fireside.contracts.permissions import CHAT_READ, CHAT_WRITE, MODELS_USE
from fireside.core.clock import Clock, SystemClock
from fireside.core.identity import user_identity
from fireside.core.ids import MessageId, UserId, new_id
from fireside.ports.event_stream import EventStream
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.runtime.mesh import Node
from fireside.services.chat.service import ChatService
from fireside.services.chat.settings import ChatSettings
from fireside.services.chat.tables import answer_events, messages
from fireside.testing.durable import QUICK
from fireside.testing.mesh import local_node
from tests.databases import database_fixture

from .fakes import FakeAct, FakeRespond, FakeThink

MIGRATIONS = Path(chat.__file__).parents[1] / "services/chat/migrations"
QUICKLY = {"flush_interval_s": 0.02, "poll_interval_s": 0.02, "drain_s": 0.1}


@dataclass
class Chat:
    """A running chat service and ways to talk to it."""

    node: Node
    service: ChatService
    think: FakeThink
    act: FakeAct
    respond: FakeRespond
    me: Context
    someone_else: Context
    store: Any = None

    async def conversation(self, **fields: Any) -> ConversationView:
        return await self.me.call(chat.CREATE, chat.CreateConversation(**fields))

    async def ask(self, conversation: ConversationView, content: str = "How many days?", **fields: Any) -> "Heard":
        request = chat.AskQuestion(conversation_id=conversation.id, content=content, **fields)
        return await heard(self.me.stream(chat.ASK, request))

    async def messages(self, conversation: ConversationView) -> list[MessageView]:
        page = await self.me.call(chat.LIST_MESSAGES, chat.ListMessages(conversation_id=conversation.id))
        return list(page.items)

    async def message(self, message_id: MessageId) -> MessageView:
        return await self.me.call(chat.GET_MESSAGE, chat.MessageRef(message_id=message_id))

    async def events(self, message_id: MessageId, *, after: int = 0) -> "Heard":
        return await heard(self.me.stream(chat.EVENTS, chat.FollowAnswer(message_id=message_id, after=after)))

    async def stored_events(self, message_id: MessageId, *, at_least: int) -> int:
        """Wait until so many events are stored; in how many rows they are."""
        columns = select(func.count(), func.max(answer_events.c.last_id)).where(
            answer_events.c.message_id == message_id
        )
        async with asyncio.timeout(5):
            while True:
                async with self.service.database.read() as session:
                    rows, last = (await session.execute(columns)).one()
                if (last or 0) >= at_least:
                    return int(rows)
                await asyncio.sleep(0.005)

    async def lease_until(self, message_id: MessageId) -> datetime:
        """Until when the answer's node is believed to be alive."""
        async with self.service.database.read() as session:
            until = await session.scalar(select(messages.c.lease_until).where(messages.c.id == message_id))
        assert until is not None
        return until


class ManualClock(SystemClock):
    """The machine's clock, put forward by a test."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def move(self, by: timedelta) -> None:
        self._ahead += by

    def now(self) -> datetime:
        return super().now() + self._ahead


@dataclass
class Heard:
    """The events of an answer, as one reader got them."""

    numbered: list[NumberedEvent]

    @property
    def events(self) -> list[AnswerEvent]:
        return [item.event for item in self.numbered]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Token))

    @property
    def ids(self) -> list[int]:
        return [item.id for item in self.numbered]

    @property
    def message_id(self) -> MessageId:
        return self.numbered[0].message_id

    def of(self, kind: type[Any]) -> Any:
        (event,) = (event for event in self.events if isinstance(event, kind))
        return event


async def heard(stream: Any) -> Heard:
    async with aclosing(stream) as events:
        return Heard([event async for event in events])


def user_context(node: Node, user_id: UserId | None = None) -> Context:
    permissions = {CHAT_READ, CHAT_WRITE, MODELS_USE}
    return node.context(identity=user_identity(user_id or UserId(new_id()), roles={"user"}, permissions=permissions))


Start = Callable[..., Any]
_KEY = MasterKey(1, b"k" * 32, datetime(2026, 1, 1, tzinfo=UTC))
BOX = AesGcmSecretBox(KeyRing((_KEY,)))
"""The same in every process of a test."""


database_url = database_fixture("chat", MIGRATIONS)


@pytest.fixture
async def start_chat(database_url: str) -> AsyncIterator[Start]:
    """Starts a chat service on the test's database; starting again is another node, or the same one after a crash."""
    async with AsyncExitStack() as stack:

        async def start(
            *,
            node_id: str = "one",
            clock: Clock | None = None,
            make_store: Callable[[Database], Any] | None = None,
            stream: EventStream | None = None,
            **settings: Any,
        ) -> Chat:
            clock = clock or SystemClock()
            database = Database(
                database_url, service="chat", migrations=MIGRATIONS, settings=QUICK, clock=clock, stream=stream
            )
            store = make_store(database) if make_store else None
            chosen = ChatSettings(**{**QUICKLY, **settings})
            service = ChatService(
                database=database, settings=chosen, clock=clock, node_id=node_id, store=store, box=BOX
            )
            think, act, respond = FakeThink(), FakeAct(), FakeRespond()
            node = await stack.enter_async_context(local_node(think, act, respond, service))
            return Chat(node, service, think, act, respond, user_context(node), user_context(node), store)

        yield start


@pytest.fixture
async def app(start_chat: Start) -> Chat:
    return await start_chat()
