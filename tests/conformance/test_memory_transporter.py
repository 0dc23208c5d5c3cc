import pytest

from fireside.bootstrap.transporters import Transporters
from fireside.ports.transporter import Transporter
from fireside.testing.conformance.transporter import MakeTransporter, OrderedTransporterConformance, Station


def make_in(transporters: Transporters, namespace: str) -> MakeTransporter:
    async def make(node_id: str) -> Transporter:
        return transporters.make("memory://", node_id=node_id, namespace=namespace)

    return make


class TestMemoryTransporter(OrderedTransporterConformance):
    @pytest.fixture
    def transporters(self) -> Transporters:
        return Transporters()

    @pytest.fixture
    def make_transporter(self, transporters: Transporters) -> MakeTransporter:
        return make_in(transporters, "here")

    @pytest.fixture
    def make_elsewhere(self, transporters: Transporters) -> MakeTransporter:
        return make_in(transporters, "elsewhere")

    async def test_a_packet_is_not_received_inside_the_call_that_sends_it(
        self, stations: tuple[Station, Station, Station]
    ) -> None:
        one, two, _ = stations
        await two.subscribe("REQ")

        await one.transporter.publish("REQ", b"x", node_id="two")

        assert two.packets.empty()
        assert await two.next() == ("REQ", b"x")
