from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from fireside.bootstrap.transporters import make_transporter
from fireside.ports.transporter import Transporter
from fireside.testing.conformance.transporter import MakeTransporter, OrderedTransporterConformance
from fireside.testing.conformance.transporter_reconnecting import MakeAt, ReconnectingConformance
from tests.brokers import OwnServer, own_nats, shared_broker


def make_in(namespace: str) -> MakeTransporter:
    url = shared_broker("nats")

    async def make(node_id: str) -> Transporter:
        return make_transporter(url, node_id=node_id, namespace=namespace)

    return make


@pytest.mark.requirement("P10")
class TestNatsTransporter(OrderedTransporterConformance):
    @pytest.fixture
    def make_transporter(self) -> MakeTransporter:
        return make_in(f"test-{uuid4().hex}")

    @pytest.fixture
    def make_elsewhere(self) -> MakeTransporter:
        return make_in(f"test-{uuid4().hex}")


@pytest.mark.requirement("P10")
class TestNatsReconnecting(ReconnectingConformance):
    @pytest.fixture
    async def broker(self, tmp_path: Path) -> AsyncIterator[OwnServer]:
        server = own_nats(tmp_path)
        yield server
        await server.stop()

    @pytest.fixture
    def make_at(self) -> MakeAt:
        return lambda url, node_id: make_transporter(url, node_id=node_id)
