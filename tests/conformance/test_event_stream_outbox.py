import pytest

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.ports.event_stream import EventStreamError
from fireside.testing.conformance.event_stream import Connect, EventStreamConformance
from fireside.testing.facts import Collector, envelope


class TestOutboxEventStream(EventStreamConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        stream = OutboxEventStream()

        async def the_same() -> OutboxEventStream:
            await stream.open()
            return stream

        return the_same


async def test_closing_the_stream_ends_all_subscriptions() -> None:
    stream = OutboxEventStream()
    await stream.subscribe("readers", frozenset({"ledger.entered"}), Collector().receive)
    await stream.close()
    assert stream.destinations() == {}
    with pytest.raises(EventStreamError, match="no member"):
        await stream.publish("readers", [envelope(1)])
