"""A broker that stops to read, or takes no packet of this size, or does not let us in."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fireside.adapters.transporter import broker
from fireside.bootstrap.transporters import make_transporter
from fireside.core.errors import InvalidInputError
from fireside.ports.transporter import TransporterError
from fireside.testing.conformance.transporter import Station
from tests.brokers import OwnServer, own_nats, own_redis, shared_broker

PACKET = b"x" * 256 * 1024


def own_patient_redis(folder: Path) -> OwnServer:
    """A Redis that lets a subscriber fall behind as far as it likes, instead of 32 MB."""
    return own_redis(folder, "--client-output-buffer-limit", "pubsub 0 0 0")


@pytest.fixture(params=[own_nats, own_patient_redis], ids=["nats", "redis"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OwnServer]:
    server = request.param(tmp_path)
    await server.start()
    yield server
    await server.stop()


async def test_those_who_publish_wait_for_a_broker_that_does_not_read_and_go_on_with_it(server: OwnServer) -> None:
    one, two = (Station(name, make_transporter(server.url, node_id=name)) for name in ("one", "two"))
    for station in (one, two):
        await station.connect()
    await two.subscribe("REQ")
    sent = 0

    async def publish_on() -> None:
        nonlocal sent
        while sent < 400:  # 100 MiB
            await one.transporter.publish("REQ", PACKET, node_id="two")
            sent += 1

    server.pause()
    publishing = asyncio.create_task(publish_on())
    before = -1
    while before != sent:  # until it makes no more progress
        before = sent
        await asyncio.sleep(0.3)
    waiting, held_bytes = not publishing.done(), sent * len(PACKET)
    server.resume()
    await publishing
    for _ in range(400):
        assert await two.next() == ("REQ", PACKET)

    assert waiting
    assert held_bytes < 6 * broker.BACKLOG_BYTES  # what the socket holds counts too
    for station in (one, two):
        await station.transporter.disconnect()


async def test_a_broker_that_no_longer_answers_is_given_up(tmp_path: Path) -> None:
    servers = [own_nats(tmp_path), own_redis(tmp_path)]
    stations = [Station("one", make_transporter(server.url, node_id="one")) for server in servers]
    for server, station in zip(servers, stations, strict=True):
        await server.start()
        await station.connect()
        server.pause()

    outcomes = await asyncio.gather(*map(publish_for_ever, stations), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [TransporterError, TransporterError]
    for server, station in zip(servers, stations, strict=True):
        await station.transporter.disconnect()
        await server.stop()


async def publish_for_ever(station: Station) -> None:
    async with asyncio.timeout(2 * broker.SILENCE_S):
        while True:
            await station.transporter.publish("HEARTBEAT", PACKET)


async def test_a_packet_that_nats_does_not_take_is_named_with_its_size() -> None:
    station = Station("one", make_transporter(shared_broker("nats"), node_id="test-too-large"))
    await station.connect()

    with pytest.raises(TransporterError, match=r"REQ of 9000000 bytes; NATS takes \d+ \(max_payload\)"):
        await station.transporter.publish("REQ", b"x" * 9_000_000, node_id="test-nobody")

    await station.transporter.publish("REQ", b"small", node_id="test-nobody")
    await station.transporter.disconnect()


async def test_a_broker_that_does_not_let_us_in_says_so_without_the_password() -> None:
    url = shared_broker("amqp").replace("guest:guest@", "guest:wrong-password@")

    with pytest.raises(TransporterError, match=r"amqp://\*\*\*@.*ACCESS_REFUSED") as caught:
        await make_transporter(url, node_id="one").connect(lambda *_: None, on_reconnect=lambda: None)

    assert "wrong-password" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_driver_that_is_not_installed_names_what_installs_it(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = {"redis": "redis", "amqp": "aiormq"}[scheme]
    for name in [name for name in sys.modules if name.startswith("fireside.adapters.transporter.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [driver, *(name for name in sys.modules if name.startswith(f"{driver}."))]:
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(InvalidInputError, match=rf"pip install 'fireside-ai\[{scheme}\]'"):
        make_transporter(f"{scheme}://localhost")


def test_an_address_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="FIRESIDE_TRANSPORT_URL"):
        make_transporter("redis://localhost:port")
