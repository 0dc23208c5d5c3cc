"""What every transporter must do. Inherit `TransporterConformance` and give the fixture `connect_to`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from fireside.ports.transporter import Transporter, TransporterError

MakeTransporter = Callable[[str], Awaitable[Transporter]]
WAIT_S = 30.0


class Station:
    """A node's end of a transporter: what arrived, in order."""

    def __init__(self, node_id: str, transporter: Transporter) -> None:
        self.node_id = node_id
        self.transporter = transporter
        self.reconnects = 0
        self.packets: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def connect(self) -> None:
        await self.transporter.connect(self._receive, on_reconnect=self._reconnected)

    async def subscribe(self, *commands: str) -> None:
        """Subscribe to each command, both to all and to this node."""
        for command in commands:
            await self.transporter.subscribe(command)
            await self.transporter.subscribe(command, node_id=self.node_id)

    async def next(self) -> tuple[str, bytes]:
        """The next packet."""
        async with asyncio.timeout(WAIT_S):
            return await self.packets.get()

    async def until(self, last: bytes) -> list[tuple[str, bytes]]:
        """The packets before the one with these bytes."""
        packets: list[tuple[str, bytes]] = []
        while (packet := await self.next())[1] != last:
            packets.append(packet)
        return packets

    def _receive(self, command: str, packet: bytes) -> None:
        self.packets.put_nowait((command, packet))

    def _reconnected(self) -> None:
        self.reconnects += 1


class TransporterConformance:
    """Behaviour that nodes rely on.

    The subclass gives the fixture `make_transporter`: a coroutine function that makes a transporter for a node id, not
    yet connected; all that one test makes share a broker and a namespace. What `make_elsewhere` makes shares the broker
    and has another namespace.
    """

    @pytest.fixture
    async def stations(self, make_transporter: MakeTransporter) -> AsyncIterator[tuple[Station, Station, Station]]:
        made = [Station(name, await make_transporter(name)) for name in ("one", "two", "three")]
        for station in made:
            await station.connect()
        yield made[0], made[1], made[2]
        for station in made:
            await station.transporter.disconnect()

    async def test_a_packet_to_one_node_reaches_that_node_alone(
        self, stations: tuple[Station, Station, Station]
    ) -> None:
        one, two, three = stations
        for station in stations:
            await station.subscribe("REQ", "INFO")

        await one.transporter.publish("REQ", b"for two", node_id="two")
        for station in stations:
            await one.transporter.publish("REQ", b"last", node_id=station.node_id)

        assert await two.until(b"last") == [("REQ", b"for two")]
        assert await one.until(b"last") == await three.until(b"last") == []

    async def test_a_packet_to_all_reaches_every_node_that_subscribed_and_the_sender_too(
        self, stations: tuple[Station, Station, Station]
    ) -> None:
        one, two, three = stations
        await one.subscribe("HEARTBEAT")
        await two.subscribe("HEARTBEAT", "INFO")
        await three.subscribe("INFO")

        await one.transporter.publish("HEARTBEAT", b"alive")
        await one.transporter.publish("HEARTBEAT", b"last")
        await one.transporter.publish("INFO", b"last")

        assert await one.next() == ("HEARTBEAT", b"alive")
        assert await two.until(b"last") == [("HEARTBEAT", b"alive")]
        assert await three.until(b"last") == []

    async def test_packets_of_one_sender_arrive_in_order_and_once(
        self, stations: tuple[Station, Station, Station]
    ) -> None:
        one, two, _ = stations
        await two.subscribe("RES")
        sent = [b"%d" % number for number in range(500)]

        for packet in sent:
            await one.transporter.publish("RES", packet, node_id="two")
        await one.transporter.publish("RES", b"last", node_id="two")

        assert await two.until(b"last") == [("RES", packet) for packet in sent]

    async def test_nothing_is_missed_once_subscribe_has_returned(
        self, stations: tuple[Station, Station, Station]
    ) -> None:
        one, two, _ = stations
        for number in range(20):
            await two.transporter.subscribe("REQ", node_id=f"two-{number}")
            await one.transporter.publish("REQ", b"%d" % number, node_id=f"two-{number}")

        assert [await two.next() for _ in range(20)] == [("REQ", b"%d" % number) for number in range(20)]

    @pytest.mark.parametrize("size", [0, 1, 256 * 1024], ids=["empty", "one byte", "256 KiB"])
    async def test_any_bytes_arrive_as_they_were_sent(
        self, stations: tuple[Station, Station, Station], size: int
    ) -> None:
        one, two, _ = stations
        await two.subscribe("REQ")
        packet = bytes(number % 256 for number in range(size))

        await one.transporter.publish("REQ", packet, node_id="two")

        assert await two.next() == ("REQ", packet)

    async def test_a_packet_that_nobody_subscribed_to_is_lost_quietly(
        self, stations: tuple[Station, Station, Station]
    ) -> None:
        one, _, _ = stations

        await one.transporter.publish("REQ", b"x", node_id="nobody")
        await one.transporter.publish("PING", b"x")

    async def test_subscribing_twice_delivers_once(self, stations: tuple[Station, Station, Station]) -> None:
        one, two, _ = stations
        await two.subscribe("REQ")
        await two.subscribe("REQ")

        await one.transporter.publish("REQ", b"x", node_id="two")
        await one.transporter.publish("REQ", b"last", node_id="two")

        assert await two.until(b"last") == [("REQ", b"x")]

    async def test_what_was_sent_before_disconnecting_arrives(self, stations: tuple[Station, Station, Station]) -> None:
        one, two, _ = stations
        await two.subscribe("DISCONNECT")

        await one.transporter.publish("DISCONNECT", b"farewell")
        await one.transporter.disconnect()

        assert await two.next() == ("DISCONNECT", b"farewell")

    async def test_a_disconnected_node_hears_nothing_and_can_send_nothing(
        self, stations: tuple[Station, Station, Station]
    ) -> None:
        one, two, three = stations
        for station in (two, three):
            await station.subscribe("INFO")
        await two.transporter.disconnect()
        await two.transporter.disconnect()

        await one.transporter.publish("INFO", b"x")

        assert await three.next() == ("INFO", b"x")
        assert two.packets.empty()
        with pytest.raises(TransporterError):
            await two.transporter.publish("INFO", b"x")
        with pytest.raises(TransporterError):
            await two.transporter.subscribe("INFO")

    async def test_a_transporter_that_was_disconnected_can_connect_again(
        self, stations: tuple[Station, Station, Station]
    ) -> None:
        one, two, _ = stations
        await two.transporter.disconnect()
        await two.connect()
        await two.subscribe("REQ")

        await one.transporter.publish("REQ", b"again", node_id="two")

        assert await two.next() == ("REQ", b"again")

    async def test_namespaces_do_not_mix(
        self, stations: tuple[Station, Station, Station], make_elsewhere: MakeTransporter
    ) -> None:
        one, two, _ = stations
        namesake = Station("two", await make_elsewhere("two"))
        await namesake.connect()
        for station in (two, namesake):
            await station.subscribe("REQ", "INFO")

        await namesake.transporter.publish("REQ", b"elsewhere", node_id="two")
        await namesake.transporter.publish("REQ", b"last elsewhere", node_id="two")
        await one.transporter.publish("REQ", b"here", node_id="two")
        await one.transporter.publish("REQ", b"last", node_id="two")
        assert await two.until(b"last") == [("REQ", b"here")]
        assert await namesake.until(b"last elsewhere") == [("REQ", b"elsewhere")]

        await namesake.transporter.publish("INFO", b"last elsewhere")
        await one.transporter.publish("INFO", b"last")
        assert await two.next() == ("INFO", b"last")
        assert await namesake.next() == ("INFO", b"last elsewhere")
        await namesake.transporter.disconnect()

    async def test_a_farewell_does_not_overtake_the_answers_before_it(
        self, stations: tuple[Station, Station, Station]
    ) -> None:
        one, two, _ = stations
        await two.subscribe("RES", "DISCONNECT")
        sent = [("RES", b"%d" % number) for number in range(50)]

        for command, packet in sent:
            await one.transporter.publish(command, packet, node_id="two")
        await one.transporter.publish("DISCONNECT", b"last")

        assert await two.until(b"last") == sent


class OrderedTransporterConformance(TransporterConformance):
    """For transporters that keep the order among all packets to a node, not only among those of one command."""

    async def test_a_packet_to_one_and_a_packet_to_all_keep_their_order(
        self, stations: tuple[Station, Station, Station]
    ) -> None:
        one, two, _ = stations
        await two.subscribe("RES", "DISCONNECT")
        sent = [("RES", b"%d" % number) if number % 2 else ("DISCONNECT", b"%d" % number) for number in range(200)]

        for command, packet in sent:
            await one.transporter.publish(command, packet, node_id="two" if command == "RES" else None)
        await one.transporter.publish("DISCONNECT", b"last")

        assert await two.until(b"last") == sent
