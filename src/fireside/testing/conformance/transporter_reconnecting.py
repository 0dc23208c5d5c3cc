"""What a transporter must do whose broker may go away. Inherit `ReconnectingConformance` and give it a broker."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import pytest

from fireside.ports.transporter import Transporter, TransporterError
from fireside.testing.conformance.transporter import WAIT_S, Station


class Broker(Protocol):
    """A server of the test's own, which can be stopped and started again under the same address."""

    url: str

    async def start(self) -> None:
        """Run until it answers."""
        ...

    async def stop(self) -> None:
        """End it, as abruptly as a crash."""
        ...


MakeAt = Callable[[str, str], Transporter]


class ReconnectingConformance:
    """Behaviour of a transporter whose broker may go away.

    The subclass gives the fixtures `broker`, a Broker that has not been started, and `make_at`, which makes a
    transporter for the URL of a broker and a node id.
    """

    async def test_a_broker_that_is_away_is_named_without_its_password_and_may_come_later(
        self, broker: Broker, make_at: MakeAt
    ) -> None:
        scheme, _, place = broker.url.partition("://")
        station = Station("one", make_at(f"{scheme}://guest:guest@{place.rpartition('@')[2]}", "one"))

        with pytest.raises(TransporterError) as caught:
            await station.connect()

        assert place.rpartition("@")[2].partition("/")[0] in caught.value.message
        assert "guest" not in caught.value.message
        with pytest.raises(TransporterError):
            await station.transporter.publish("INFO", b"x")
        await station.transporter.disconnect()

    async def test_when_the_broker_was_away_the_subscriptions_stand_again_and_it_is_told(
        self, broker: Broker, make_at: MakeAt
    ) -> None:
        await broker.start()
        one, two = (Station(name, make_at(broker.url, name)) for name in ("one", "two"))
        for station in (one, two):
            await station.connect()
        await two.subscribe("REQ", "INFO")
        await one.transporter.publish("REQ", b"before", node_id="two")
        assert await two.next() == ("REQ", b"before")

        await broker.stop()
        with pytest.raises(TransporterError):
            await _publish_until_refused(one)
        with pytest.raises(TransporterError):
            await one.transporter.subscribe("HEARTBEAT")
        await broker.start()
        async with asyncio.timeout(6 * WAIT_S):
            while not (one.reconnects and two.reconnects):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)

        await one.transporter.publish("REQ", b"after", node_id="two")
        assert await two.next() == ("REQ", b"after")
        await one.transporter.publish("INFO", b"after")
        assert await two.next() == ("INFO", b"after")
        assert (one.reconnects, two.reconnects) == (1, 1)
        for station in (one, two):
            await station.transporter.disconnect()

    async def test_one_that_is_disconnected_while_the_broker_is_away_stops_trying(
        self, broker: Broker, make_at: MakeAt
    ) -> None:
        await broker.start()
        station = Station("one", make_at(broker.url, "one"))
        await station.connect()

        await broker.stop()
        with pytest.raises(TransporterError):
            await _publish_until_refused(station)
        await station.transporter.disconnect()
        await station.transporter.disconnect()

        async with asyncio.timeout(WAIT_S):
            while asyncio.all_tasks() != {asyncio.current_task()}:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert station.reconnects == 0


async def _publish_until_refused(station: Station) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            await station.transporter.publish("HEARTBEAT", b"is anyone there?")
            await asyncio.sleep(0.01)
