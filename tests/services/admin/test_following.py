"""Nodes follow the live settings: told at once, healed when a signal is lost, started without the admin service."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.bootstrap.environment import read_settings
from fireside.contracts.inference import URLS_SETTING
from fireside.runtime.durable import Database
from fireside.runtime.mesh import Node
from fireside.services.admin.service import AdminService
from fireside.services.chat.settings import ChatSettings
from fireside.services.inference.settings import InferenceSettings
from fireside.testing.durable import QUICK
from fireside.testing.mesh import MeshOfNodes, eventually, mesh_of_nodes
from tests.services.admin.conftest import ANSWERS, Office, follower, full_book


def without_servers(kind: type[Any], **values: Any) -> Any:
    """Settings as on a node that knows no servers of models."""
    return read_settings(kind, **({"servers": ()} if kind is InferenceSettings else {}), **values)


class Cluster:
    """An admin service on a node of its own, and further nodes."""

    def __init__(self, mesh: MeshOfNodes, database_url: str) -> None:
        self.mesh, self._url = mesh, database_url

    async def office(self, name: str = "office") -> Office:
        book = full_book()
        stream = OutboxEventStream()
        database = Database(self._url, service="admin", stream=stream, settings=QUICK)
        node = await self.mesh.add(name, follower(book), AdminService(database=database, book=book))
        return Office(node, database, book, stream)

    async def other(self, *, reread_s: float = 60.0, read: Any = read_settings) -> tuple[Node, ChatSettings]:
        book = full_book(read)
        node = await self.mesh.add("other", follower(book, reread_s=reread_s))
        return node, book.of(ChatSettings)


@pytest.fixture
async def cluster(database_url: str) -> AsyncIterator[Cluster]:
    async with mesh_of_nodes() as mesh:
        yield Cluster(mesh, database_url)


@pytest.mark.requirement("P5")
async def test_a_change_is_pushed_to_other_nodes(cluster: Cluster) -> None:
    office = await cluster.office()
    _, there = await cluster.other()
    assert there.max_answers == 200

    await office.change({ANSWERS: 7})

    await eventually(lambda: there.max_answers == 7)
    await office.roll_back(0)
    await eventually(lambda: there.max_answers == 200)


@pytest.mark.requirement("P5")
async def test_a_lost_signal_heals(cluster: Cluster) -> None:
    office = await cluster.office()
    _, there = await cluster.other(reread_s=0.05)
    cluster.mesh.lines["office"].refuses.add("EVENT")

    await office.change({ANSWERS: 7})

    await eventually(lambda: there.max_answers == 7)


@pytest.mark.requirement("P5")
async def test_a_node_that_starts_without_the_admin_service_uses_its_own_layers_and_catches_up(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await cluster.office()
    await first.change({ANSWERS: 7})
    await cluster.mesh.stop("office")
    monkeypatch.setenv(ANSWERS, "50")

    _, there = await cluster.other()

    assert there.max_answers == 50
    await cluster.office("another office")
    await eventually(lambda: there.max_answers == 7)


@pytest.mark.requirement("P5")
async def test_a_node_that_starts_later_gets_what_holds(cluster: Cluster) -> None:
    office = await cluster.office()
    await office.change({ANSWERS: 7})

    _, there = await cluster.other()

    await eventually(lambda: there.max_answers == 7)


@pytest.mark.requirement("P5")
async def test_a_node_that_cannot_take_a_value_keeps_the_old_one_and_says_so_in_log_and_health(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESIDE_INFERENCE_SERVERS", '[{"url": "http://old:1", "models": ["small"]}]')
    office = await cluster.office()
    node, there = await cluster.other(read=without_servers)

    with capture_logs() as logs:
        await office.change({ANSWERS: 7, URLS_SETTING: {"small": "http://new:1"}})
        await eventually(lambda: there.max_answers == 7)

    assert [line["setting"] for line in logs if line["event"] == "setting_not_applied"] == [URLS_SETTING]
    health = await node.health()
    assert health.status == "degraded"
    assert "FIRESIDE_INFERENCE_URLS: " in health.checks["$settings.live settings"].detail
