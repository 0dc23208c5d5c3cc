from collections.abc import Callable, Mapping, Sequence

import pytest

from fireside.bootstrap.transporters import Transporters, make_transporter
from fireside.contracts import node as contracts
from fireside.contracts.base import Nothing
from fireside.core.errors import ForbiddenError, InvalidInputError
from fireside.core.identity import service_identity
from fireside.ports.transporter import Receiver, Transporter, TransporterError
from fireside.runtime.mesh import Attachment, Check, Context, MeshSettings, Node, Service
from fireside.testing.mesh import TEST_CLUSTER_KEY, WAIT_S, eventually, local_node, mesh_of_nodes

from .parts import WHERE, NotesService, a_user


class Recorded(Service):
    """Writes down what is done to it."""

    name = "recorded"

    def __init__(self, log: list[str], *, name: str = "one", fails_at: str = "") -> None:
        self._log, self._label, self._fails_at = log, name, fails_at

    def _note(self, what: str) -> None:
        self._log.append(f"{self._label} {what}")
        if what == self._fails_at:
            raise RuntimeError(what)

    async def open(self) -> None:
        self._note("open")

    async def start(self, context: Context) -> None:
        self._note("start")

    async def stop(self) -> None:
        self._note("stop")

    async def close(self) -> None:
        self._note("close")

    def attachments(self) -> Sequence[Attachment]:
        return (RecordedAttachment(self),)


class RecordedAttachment:
    def __init__(self, service: Recorded) -> None:
        self._service = service

    async def start(self, context: Context) -> None:
        self._service._note(f"attachment as {context.identity.name}")

    async def stop(self) -> None:
        self._service._note("attachment stop")


class LateTransporter:
    """A broker that is not there at first."""

    def __init__(self, inner: Transporter) -> None:
        self._inner = inner
        self.is_there = False
        self.attempts = 0

    async def connect(self, receive: Receiver, *, on_reconnect: Callable[[], None]) -> None:
        self.attempts += 1
        self.reconnect = on_reconnect
        if not self.is_there:
            raise TransporterError("no broker")
        await self._inner.connect(receive, on_reconnect=on_reconnect)

    async def subscribe(self, command: str, *, node_id: str | None = None) -> None:
        await self._inner.subscribe(command, node_id=node_id)

    async def publish(self, command: str, packet: bytes, *, node_id: str | None = None) -> None:
        await self._inner.publish(command, packet, node_id=node_id)

    async def disconnect(self) -> None:
        await self._inner.disconnect()


class Unwell(Service):
    name = "unwell"

    async def health(self) -> Mapping[str, Check]:
        return {"database": Check("ok"), "model": Check("degraded", "still loading", 3.0)}


class Broken(Service):
    name = "broken"

    async def health(self) -> Mapping[str, Check]:
        raise OSError("disk")


async def test_parts_are_started_in_order_and_stopped_in_reverse() -> None:
    log: list[str] = []
    async with local_node(Recorded(log)):
        log.append("running")

    assert log == [
        "one open", "one start", "one attachment as recorded", "running",
        "one attachment stop", "one stop", "one close",
    ]  # fmt: skip


@pytest.mark.parametrize("fails_at", ["open", "start"])
async def test_what_had_begun_is_stopped_when_a_part_fails_to_start(fails_at: str) -> None:
    log: list[str] = []
    with pytest.raises(RuntimeError, match=fails_at):
        async with local_node(Recorded(log, fails_at=fails_at)):
            log.append("running")

    assert "running" not in log
    assert log[-1] == "one close"


async def test_a_part_that_fails_to_stop_keeps_none_of_the_others_from_stopping() -> None:
    log: list[str] = []
    async with local_node(Recorded(log, fails_at="stop")):
        pass

    assert log[-1] == "one close"


async def test_a_node_may_be_stopped_twice() -> None:
    log: list[str] = []
    async with local_node(Recorded(log)) as node:
        await node.stop()

    assert log.count("one close") == 1


async def test_without_a_broker_a_node_works_alone_and_joins_when_it_comes() -> None:
    transporters = Transporters()
    async with mesh_of_nodes(lambda _: transporters.make("memory://")) as mesh:
        other = await mesh.add("other", NotesService("other"))
        late = LateTransporter(transporters.make("memory://"))
        node = Node(node_id="late", transporter=late, settings=MeshSettings(cluster_key=TEST_CLUSTER_KEY))
        node.add(Unwell())
        await node.start()
        health = await node.health()
        assert health.checks["mesh.transporter"].status == "degraded"

        late.is_there = True

        assert await node.wait_for(WHERE, timeout_s=WAIT_S)
        assert (await node.health()).checks["mesh.transporter"].status == "ok"
        assert late.attempts >= 2
        await eventually(lambda: other.registry.find("late") is not None)
        known = other.registry.find("late")
        assert known is not None
        assert [service.name for service in known.info.services] == ["$node", "unwell"]
        await node.stop()


async def test_after_a_lost_connection_nodes_find_each_other_again() -> None:
    transporters = Transporters()
    async with mesh_of_nodes(lambda _: transporters.make("memory://")) as mesh:
        late = LateTransporter(transporters.make("memory://"))
        late.is_there = True
        node = Node(node_id="late", transporter=late, settings=MeshSettings(cluster_key=TEST_CLUSTER_KEY))
        await node.start()
        other = await mesh.add("other", NotesService("other"))
        await eventually(lambda: node.registry.find("other") is not None)
        node.registry.forget("other")
        other.registry.forget("late")

        late.reconnect()

        assert await node.wait_for(WHERE, timeout_s=WAIT_S)
        await eventually(lambda: other.registry.find("late") is not None)
        await node.stop()


async def test_a_node_that_is_heard_but_not_known_is_asked_what_it_is() -> None:
    async with mesh_of_nodes() as mesh:
        await mesh.add("server", NotesService("server"))
        client = await mesh.add("client")

        client.registry.forget("server")

        assert await client.wait_for(WHERE, timeout_s=WAIT_S)


async def test_waiting_for_an_action_that_never_comes_ends() -> None:
    async with local_node() as node:
        assert not await node.wait_for(WHERE, timeout_s=0.02)


async def test_with_latency_as_the_rule_nodes_measure_each_other() -> None:
    async with mesh_of_nodes() as mesh:
        await mesh.add("server", NotesService("server"))
        client = await mesh.add("client", balancing="latency")

        def measured() -> bool:
            node = client.registry.find("server")
            return node is not None and node.latency_s is not None

        await eventually(measured)
        assert client.tools.metrics.registry.get_sample_value("fireside_mesh_node_latency_seconds", {"node": "server"})


async def test_the_node_service_tells_what_the_node_sees() -> None:
    async with mesh_of_nodes() as mesh:
        await mesh.add("server", NotesService("server"))
        client = await mesh.add("client", Unwell())
        await client.ping("server")
        context = client.context(identity=service_identity("admin"))

        here, there = await context.call(contracts.LIST, Nothing())
        services = await context.call(contracts.SERVICES, Nothing())
        actions = await context.call(contracts.ACTIONS, Nothing())
        events = await context.call(contracts.EVENTS, Nothing())

    assert (here.id, here.local, here.services) == ("client", True, ("$node", "unwell"))
    assert (there.id, there.local, there.trusted, there.services) == ("server", False, True, ("$node", "notes"))
    assert there.latency_ms is not None
    assert {view.name: view.nodes for view in services} == {
        "$node": ("client", "server"),
        "notes": ("server",),
        "unwell": ("client",),
    }
    assert ("notes.echo", ("server",)) in [(view.name, view.nodes) for view in actions]
    assert not any(view.name.startswith("$") for view in actions)
    assert [(view.name, view.nodes) for view in events] == [("notes.told", ("server",))]


async def test_the_node_service_is_not_for_users() -> None:
    async with local_node() as node:
        with pytest.raises(ForbiddenError):
            await node.context(identity=a_user()).call(contracts.LIST, Nothing())


async def test_health_names_each_part_and_the_worst_decides() -> None:
    async with local_node(Unwell()) as node:
        health = await node.health()
        view = await node.context(identity=service_identity("admin")).call(contracts.HEALTH, Nothing())

    assert health.status == view.status == "degraded"
    assert health.is_ready
    assert health.checks["unwell.model"] == Check("degraded", "still loading", 3.0)
    assert health.checks["unwell.database"].latency_ms is not None
    assert [check.name for check in view.checks] == ["mesh.transporter", "unwell.database", "unwell.model"]


async def test_a_part_whose_check_breaks_has_failed() -> None:
    async with local_node(Broken(), Unwell()) as node:
        health = await node.health()

    assert health.checks["broken"].status == "failed"
    assert "OSError" in health.checks["broken"].detail
    assert not health.is_ready


def test_a_transporter_of_an_unknown_scheme_is_refused_with_what_is_possible() -> None:
    with pytest.raises(InvalidInputError, match=r"FIRESIDE_TRANSPORT_URL.*'foo'.*memory"):
        make_transporter("foo://localhost")
