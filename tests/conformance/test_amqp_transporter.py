from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from fireside.bootstrap.transporters import make_transporter
from fireside.ports.transporter import Transporter, TransporterError
from fireside.testing.conformance.transporter import MakeTransporter, Station, TransporterConformance
from fireside.testing.conformance.transporter_reconnecting import MakeAt, ReconnectingConformance
from tests.brokers import OwnServer, own_rabbitmq, remove_exchanges, shared_broker


@pytest.fixture
async def namespace() -> AsyncIterator[str]:
    name = f"test-{uuid4().hex}"
    yield name
    await remove_exchanges(shared_broker("amqp"), name)


def make_in(namespace: str) -> MakeTransporter:
    url = shared_broker("amqp")

    async def make(node_id: str) -> Transporter:
        return make_transporter(url, node_id=node_id, namespace=namespace)

    return make


class TestAmqpTransporter(TransporterConformance):
    @pytest.fixture
    def make_transporter(self, namespace: str) -> MakeTransporter:
        return make_in(namespace)

    @pytest.fixture
    async def make_elsewhere(self) -> AsyncIterator[MakeTransporter]:
        name = f"test-{uuid4().hex}"
        yield make_in(name)
        await remove_exchanges(shared_broker("amqp"), name)


class TestAmqpReconnecting(ReconnectingConformance):
    @pytest.fixture
    async def broker(self, tmp_path: Path) -> AsyncIterator[OwnServer]:
        server = own_rabbitmq(tmp_path)
        yield server
        await server.stop()

    @pytest.fixture
    def make_at(self) -> MakeAt:
        return lambda url, node_id: make_transporter(url, node_id=node_id)

    async def test_a_second_node_of_the_same_name_is_refused(self, broker: OwnServer, make_at: MakeAt) -> None:
        await broker.start()
        first, second = (Station("one", make_at(broker.url, "one")) for _ in range(2))
        for station in (first, second):
            await station.connect()
        await first.subscribe("REQ")

        with pytest.raises(TransporterError, match="exclusive"):
            await second.transporter.subscribe("REQ", node_id="one")

        await second.transporter.disconnect()
        await first.transporter.publish("REQ", b"x", node_id="one")
        assert await first.next() == ("REQ", b"x")
        await first.transporter.disconnect()
