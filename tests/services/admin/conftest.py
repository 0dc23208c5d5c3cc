"""An admin service on a node, with every setting, and ways to act as somebody."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.bootstrap.environment import read_settings
from fireside.bootstrap.every_setting import every_settings_class
from fireside.contracts import admin
from fireside.contracts.base import Nothing
from fireside.core.identity import user_identity
from fireside.core.ids import UserId, new_id
from fireside.ports.event_stream import EventEnvelope, EventStream
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, event_log
from fireside.runtime.live import FollowingSettings, SettingsBook, SettingsFollower
from fireside.runtime.mesh import Node
from fireside.services.admin.service import AdminService
from fireside.testing.durable import QUICK
from fireside.testing.mesh import local_node
from tests.databases import database_fixture

RATE = "FIRESIDE_GATEWAY_USER_RATE"
ANSWERS = "FIRESIDE_CHAT_MAX_ANSWERS"
SERVERS = '[{"url": "http://old:1", "models": ["small", "large"], "name": "shelf", "api_key": "hunter2"}]'

database_url = database_fixture("admin")


@dataclass(frozen=True)
class Office:
    """A running admin service."""

    node: Node
    database: Database
    book: SettingsBook
    stream: EventStream

    def someone(self, *permissions: str) -> Context:
        return self.node.context(identity=user_identity(UserId(new_id()), roles=(), permissions=permissions))

    @property
    def manager(self) -> Context:
        return self.someone("admin:read", "admin:write")

    async def change(self, values: Mapping[str, Any], **more: Any) -> admin.ConfigVersion:
        request = admin.ChangeConfig(values=dict(values), **more)
        return await self.manager.call(admin.CHANGE_CONFIG, request)

    async def roll_back(self, version: int) -> admin.ConfigVersion:
        return await self.manager.call(admin.ROLL_BACK_CONFIG, admin.RollBackConfig(version=version))

    async def setting(self, name: str) -> admin.SettingView:
        view = await self.manager.call(admin.CONFIG, Nothing())
        return next(item for item in view.items if item.name == name)

    async def log(self, topic: str) -> list[EventEnvelope]:
        async with self.database.read() as session:
            return await event_log.read(session, after=0, topics=[topic])


def full_book(read: Any = read_settings) -> SettingsBook:
    """A book with every class of settings."""
    book = SettingsBook(read)
    for kind in every_settings_class():
        book.of(kind)
    return book


def follower(book: SettingsBook, *, reread_s: float = 60.0) -> SettingsFollower:
    """What keeps a book up to date."""
    return SettingsFollower(book=book, settings=FollowingSettings(reread_s=reread_s))


@asynccontextmanager
async def open_office(url: str) -> AsyncGenerator[Office]:
    """An admin service on a node of its own."""
    stream, book = OutboxEventStream(), full_book()
    database = Database(url, service="admin", stream=stream, settings=QUICK)
    async with local_node(follower(book), AdminService(database=database, book=book)) as node:
        yield Office(node, database, book, stream)


@pytest.fixture
async def office(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setenv("FIRESIDE_INFERENCE_SERVERS", SERVERS)
    async with open_office(database_url) as office:
        yield office
