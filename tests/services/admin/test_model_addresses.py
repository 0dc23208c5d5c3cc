"""`inference.url.changed`: from the configuration and from outside, to the next request and no earlier one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest
from aiohttp import web
from pydantic import SecretStr

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.bootstrap.models import make_catalogue, make_room
from fireside.bootstrap.providers import Connector
from fireside.contracts.admin import ConfigRefused
from fireside.contracts.inference import (
    CHAT,
    URLS_SETTING,
    Chat,
    ChatDelta,
    ChatMessage,
    InferenceUrlChanged,
    MoveInferenceUrl,
)
from fireside.core.clock import SystemClock
from fireside.core.identity import service_identity, user_identity
from fireside.core.ids import EventId, UserId, new_id
from fireside.ports.event_stream import EventEnvelope
from fireside.runtime.durable import Database
from fireside.runtime.mesh import Node
from fireside.runtime.metrics import Metrics
from fireside.services.admin.service import AdminService
from fireside.services.inference.model import ServedModel
from fireside.services.inference.service import InferenceService
from fireside.services.inference.settings import InferenceSettings
from fireside.testing.durable import QUICK
from fireside.testing.durable import eventually as seen
from fireside.testing.mesh import MeshOfNodes, eventually, mesh_of_nodes
from fireside.testing.scripted_model import ScriptedModel, serve
from tests.boxes import BOX
from tests.databases import on_both_databases
from tests.services.admin.conftest import SERVERS, Office, follower, full_book, open_office

METADATA = "http://169.254.169.254/latest"


@asynccontextmanager
async def model_server(model: ScriptedModel) -> AsyncGenerator[str]:
    runner = web.AppRunner(serve(model))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class TwoNodes:
    """Two nodes that host inference; the first keeps the configuration too. And two servers of one model."""

    def __init__(self, mesh: MeshOfNodes, office: Office, other: Node, old: ScriptedModel, new_url: str) -> None:
        self.mesh, self.office, self.other, self.old, self.new_url = mesh, office, other, old, new_url

    @property
    def urls(self) -> dict[str, str]:
        settings = self.office.book.of(InferenceSettings)
        return {name: str(url) for name, url in settings.urls.items()}

    async def answers(self) -> list[str]:
        """What each node answers now."""
        return [await answer(self.office.node), await answer(self.other)]

    async def answer_from(self, text: str) -> None:
        async def look() -> bool | None:
            return True if await self.answers() == [text, text] else None

        await seen(look)

    async def publish(self, name: str, url: str | None, **more: Any) -> None:
        """State the fact as another program does that speaks to the event stream."""
        payload = orjson.dumps({"name": name, "url": url, **more}).decode()
        fact = EventEnvelope(
            id=EventId(uuid4()),
            topic="inference.url.changed",
            source="elsewhere",
            sequence=1,
            aggregate_id=uuid4(),
            aggregate_version=1,
            occurred_at=datetime.now(UTC),
            actor_id=None,
            request_id="",
            payload=payload,
        )
        await self.office.stream.publish("admin", [fact])

    async def refusals(self, count: int) -> list[ConfigRefused]:
        async def look() -> list[ConfigRefused] | None:
            events = await self.office.log("admin.config_refused")
            found = [ConfigRefused.model_validate_json(event.payload) for event in events]
            return found if len(found) == count else None

        return await seen(look)


def remote_models(settings: InferenceSettings) -> list[ServedModel]:
    return Connector(settings=settings, box=BOX, clock=SystemClock(), metrics=Metrics()).connect_fixed()[1]


async def answer(node: Node) -> str:
    user = user_identity(UserId(new_id()), roles=(), permissions=["models:use"])
    asked = Chat(messages=(ChatMessage(role="user", content="hello"),), model="small")
    items = [item async for item in node.context(identity=user).stream(CHAT, asked)]
    return "".join(item.text for item in items if isinstance(item, ChatDelta))


@pytest.fixture
async def nodes(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TwoNodes]:
    old, new = ScriptedModel(script=lambda _: ["old"]), ScriptedModel(script=lambda _: ["new"])
    async with model_server(old) as old_url, model_server(new) as new_url, mesh_of_nodes() as mesh:
        servers = [{"url": old_url, "models": ["small", "large"], "name": "shelf"}]
        monkeypatch.setenv("FIRESIDE_INFERENCE_SERVERS", orjson.dumps(servers).decode())
        monkeypatch.setenv("FIRESIDE_INFERENCE_ENGINE", "off")
        stream, books = OutboxEventStream(), (full_book(), full_book())
        database = Database(database_url, service="admin", stream=stream, settings=QUICK)
        inferring = [book.of(InferenceSettings) for book in books]
        inference = [
            InferenceService(catalogue=make_catalogue(settings, remote_models(settings)), room=make_room(settings))
            for settings in inferring
        ]
        admin = AdminService(database=database, book=books[0])
        first = await mesh.add("first", follower(books[0]), admin, inference[0], foreign_events=["inference.url.*"])
        second = await mesh.add("second", follower(books[1]), inference[1])
        yield TwoNodes(mesh, Office(first, database, books[0], stream), second, old, new_url)


@on_both_databases
@pytest.mark.requirement("P4")
async def test_a_change_of_the_configuration_moves_both_nodes_and_is_stated_as_a_fact(nodes: TwoNodes) -> None:
    assert await nodes.answers() == ["old", "old"]

    await nodes.office.change({URLS_SETTING: {"shelf": nodes.new_url}})

    await nodes.answer_from("new")
    await nodes.office.roll_back(0)
    await nodes.answer_from("old")
    entries = await nodes.office.log("inference.url.changed")
    facts = [InferenceUrlChanged.model_validate_json(entry.payload) for entry in entries]
    assert [(fact.name, fact.url, fact.version) for fact in facts] == [
        ("shelf", nodes.new_url + "/", 1),
        ("shelf", None, 2),
    ]


@on_both_databases
@pytest.mark.requirement("P4")
async def test_a_fact_from_outside_moves_both_nodes_and_becomes_a_version(nodes: TwoNodes) -> None:
    await nodes.publish("small", nodes.new_url)

    await nodes.answer_from("new")
    assert len(await nodes.office.log("admin.config_changed")) == 1
    await nodes.publish("small", None)
    await nodes.answer_from("old")


@pytest.mark.requirement("P4")
async def test_a_fact_leaves_the_addresses_of_other_servers_as_they_are_configured(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("FIRESIDE_INFERENCE_SERVERS", SERVERS)
    monkeypatch.setenv(URLS_SETTING, '{"large": "http://elsewhere:1"}')
    async with open_office(database_url) as office:
        moved = MoveInferenceUrl(name="small", url="http://new:1")
        await office.node.context(identity=service_identity("elsewhere")).broadcast(moved)

        await eventually(lambda: set(office.book.of(InferenceSettings).urls) == {"small", "large"})


@pytest.mark.requirement("P4")
async def test_own_facts_that_come_late_do_not_bring_an_older_address_back(nodes: TwoNodes) -> None:
    await nodes.office.change({URLS_SETTING: {"small": nodes.new_url}})

    await nodes.publish("small", "http://127.0.0.1:1", version=0)
    await nodes.publish("large", "not an address")

    await nodes.refusals(1)
    assert nodes.urls == {"small": nodes.new_url + "/"}


@on_both_databases
@pytest.mark.requirement("P4")
@pytest.mark.parametrize(
    ("name", "url", "reason"),
    [
        ("small", METADATA, "metadata"),
        ("small", "ftp://host", "scheme"),
        ("small", "http://", "URL"),
        ("nobody", "http://host", "no server of FIRESIDE_INFERENCE_SERVERS is or has 'nobody'"),
    ],
)
async def test_an_address_that_is_not_allowed_is_ignored_and_kept_with_the_reason(
    nodes: TwoNodes, name: str, url: str, reason: str
) -> None:
    await nodes.publish(name, url)

    (refusal,) = await nodes.refusals(1)
    assert reason in refusal.reasons[URLS_SETTING]
    assert (nodes.urls, await nodes.answers()) == ({}, ["old", "old"])
    assert await nodes.office.log("admin.config_changed") == []


@pytest.mark.requirement("P4")
async def test_a_service_on_the_mesh_may_say_so_with_the_rights_of_whoever_it_acts_for(nodes: TwoNodes) -> None:
    moved = MoveInferenceUrl(name="small", url=nodes.new_url)
    someone = user_identity(UserId(new_id()), roles=(), permissions=["models:use"])

    await nodes.other.context(identity=someone).broadcast(MoveInferenceUrl(name="small", url="http://127.0.0.1:1"))
    await nodes.other.context(identity=service_identity("elsewhere")).broadcast(moved)

    await nodes.answer_from("new")
    assert len(await nodes.office.log("admin.config_changed")) == 1
    await nodes.other.context(identity=service_identity("elsewhere")).broadcast(
        MoveInferenceUrl(name="small", url=METADATA)
    )
    await nodes.refusals(1)
    assert await nodes.answers() == ["new", "new"]


@pytest.mark.requirement("P4")
async def test_a_node_without_the_cluster_key_is_heard_where_the_settings_name_the_event(nodes: TwoNodes) -> None:
    stranger = await nodes.mesh.add("stranger", cluster_key=SecretStr(""), foreign_events=["inference.url.*"])

    await stranger.context().broadcast(MoveInferenceUrl(name="small", url=nodes.new_url))

    await nodes.answer_from("new")


@pytest.mark.requirement("P4")
async def test_a_stream_under_way_ends_where_it_began(nodes: TwoNodes) -> None:
    nodes.old.gate = asyncio.Event()
    under_way = asyncio.create_task(answer(nodes.other))
    await eventually(lambda: bool(nodes.old.prompts))

    await nodes.office.change({URLS_SETTING: {"small": nodes.new_url}})
    await nodes.answer_from("new")
    nodes.old.gate.set()

    assert await under_way == "old"
