"""Finding the other nodes and keeping track of them: announcements, signs of life, pings, farewells."""

import asyncio
import os
import platform
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from fireside.core.clock import Clock
from fireside.core.errors import DeadlineExceededError
from fireside.core.ids import new_id
from fireside.core.tasks import Tasks
from fireside.ports.transporter import TransporterError
from fireside.runtime.mesh.link import Link
from fireside.runtime.mesh.packets import (
    FIRESIDE,
    Disconnect,
    Discover,
    Heartbeat,
    Info,
    Packet,
    Ping,
    Pong,
    ServiceInfo,
)
from fireside.runtime.mesh.passes import Passes
from fireside.runtime.mesh.registry import Registry
from fireside.runtime.mesh.settings import MeshSettings
from fireside.runtime.metrics import Metrics

log = structlog.stdlib.get_logger(__name__)

STREAMS_VERSION = 1
"""Says in announcements that streams are limited as `streams` describes."""
RECONNECT_FIRST_S, RECONNECT_LONGEST_S = 0.5, 15.0


@dataclass(frozen=True)
class Surroundings:
    """What discovery works with."""

    link: Link
    registry: Registry
    passes: Passes
    settings: MeshSettings
    clock: Clock
    metrics: Metrics


class Discovery:
    """Announces this node and learns of the others."""

    def __init__(self, around: Surroundings, *, on_lost: Callable[[str], None]) -> None:
        self._around, self._on_lost = around, on_lost
        self._link, self._registry = around.link, around.registry
        self._instance_id = str(new_id())
        self._services: Sequence[ServiceInfo] = ()
        self._seq = 0
        self._pongs: dict[str, asyncio.Future[float]] = {}
        self._tasks = Tasks()
        self._changed = asyncio.Event()
        self._stopping = False
        self._link.on(Discover, self._take_discover)
        self._link.on(Info, self._take_info)
        self._link.on(Heartbeat, self._take_heartbeat)
        self._link.on(Ping, self._take_ping)
        self._link.on(Pong, self._take_pong)
        self._link.on(Disconnect, lambda packet: self._lose(packet.sender, "left"))

    @property
    def connected(self) -> bool:
        """Whether the other nodes can be reached."""
        return self._link.connected

    async def start(self) -> None:
        """Connect and ask who is there. Without a broker the node works alone and keeps trying."""
        try:
            await self._connect()
        except TransporterError as error:
            log.warning("transporter_unavailable", detail=error.message)
            self._spawn(self._keep_connecting())
        self._spawn(self._beat())

    async def announce(self, services: Sequence[ServiceInfo]) -> None:
        """Tell everyone what this node offers from now on; nothing at all before it leaves."""
        self._services = services
        self._seq += 1
        await self._try_to_send(self._info())

    async def stop(self) -> None:
        """Say farewell and let the transporter go. Safe to call when never started."""
        self._stopping = True
        await self._tasks.end()
        if self._link.connected:
            await self._try_to_send(Disconnect(**self._from_here(None)))
        await self._link.disconnect()

    async def ping(self, node_id: str, *, timeout_s: float) -> float:
        """The round trip to a node, in seconds.

        Raises:
            DeadlineExceededError: It did not answer in time.
            TransporterError: The ping could not be sent.
        """
        ping_id, started = str(new_id()), self._around.clock.monotonic()
        pong = self._pongs[ping_id] = asyncio.get_running_loop().create_future()
        try:
            await self._link.send(
                Ping(time=time.time_ns() // 1_000_000, id=ping_id, **self._from_here(node_id)), to=node_id
            )
            async with asyncio.timeout(timeout_s):
                arrived = await pong
        except TimeoutError as error:
            raise DeadlineExceededError(f"node {node_id} did not answer the ping", node_id=node_id) from error
        finally:
            del self._pongs[ping_id]
        latency_s, node = arrived - started, self._registry.find(node_id)
        if node is not None:
            node.latency_s = latency_s
            self._around.metrics.node_latency_seconds.labels(node_id).set(latency_s)
        return latency_s

    async def wait_until(self, holds: Callable[[], bool], *, timeout_s: float) -> bool:
        """Wait for something to become true of the registry; whether it did in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def wait_for_offer(self, action: str) -> bool:
        """Wait for another node to offer an action that one has just ceased to offer; whether that is worth a look."""
        wait_s = self._around.settings.absence_wait_s
        lately = self._registry.offered_lately(action, wait_s)
        return lately and await self.wait_until(lambda: bool(self._registry.offering(action)), timeout_s=wait_s)

    def _take_discover(self, packet: Discover) -> None:
        """Answer with what this node is."""
        self._link.speaks(packet.sender, packet.ver)
        self._spawn(self._try_to_send(self._info(packet.sender), to=packet.sender))

    def _take_info(self, packet: Info) -> None:
        """Learn what another node is."""
        if packet.sender == self._link.node_id:
            if packet.instance_id != self._instance_id:
                log.error("node_id_taken", node_id=packet.sender, detail="give each node an id of its own")
            return
        self._link.speaks(packet.sender, packet.ver)
        trusted = self._around.passes.is_ours(packet)
        change = self._registry.learn(packet, trusted=trusted)
        if change == "same":
            return
        if change == "restarted":
            self._on_lost(packet.sender)
        names = [service.name for service in packet.services]
        log.info("node_seen", node_id=packet.sender, change=change, trusted=trusted, services=names)
        self._note_change()

    def _take_heartbeat(self, packet: Heartbeat) -> None:
        """Note a sign of life; a node that is unknown, or has changed unheard, is asked what it is."""
        node = self._registry.find(packet.sender)
        seen = self._registry.seen(packet.sender, cpu=packet.cpu)
        changed = node is not None and packet.seq is not None and packet.seq != node.info.seq
        if not seen or changed:
            self._spawn(self._try_to_send(Discover(**self._from_here(packet.sender)), to=packet.sender))

    def _take_ping(self, packet: Ping) -> None:
        """Answer it."""
        self._link.speaks(packet.sender, packet.ver)
        arrived = time.time_ns() // 1_000_000
        pong = Pong(time=packet.time, arrived=arrived, id=packet.id, **self._from_here(packet.sender))
        self._spawn(self._try_to_send(pong, to=packet.sender))

    def _take_pong(self, packet: Pong) -> None:
        """Hand it to who pinged."""
        pong = self._pongs.get(packet.id or "")
        if pong is not None and not pong.done():
            pong.set_result(self._around.clock.monotonic())

    async def _connect(self) -> None:
        await self._link.connect(on_reconnect=self._reconnected)
        await self._link.send(Discover(**self._from_here(None)))
        if self._seq:
            await self._link.send(self._info())

    async def _keep_connecting(self) -> None:
        delay_s = RECONNECT_FIRST_S
        while True:
            await asyncio.sleep(delay_s)
            try:
                await self._connect()
            except TransporterError as error:
                log.debug("transporter_unavailable", detail=error.message)
                delay_s = min(delay_s * 2, RECONNECT_LONGEST_S)
            else:
                log.info("transporter_connected")
                return

    def _reconnected(self) -> None:
        """What was on its way is lost, and announcements were missed.

        What waits for an answer is given up, so that it can be tried again; a new instance id has the others do the
        same with what they wait for from here. Then it is asked again who is there, and said again what is here.
        """
        self._instance_id = str(new_id())
        for node in self._registry.nodes:
            self._on_lost(node.node_id)
        for packet in (Discover(**self._from_here(None)), self._info()):
            self._spawn(self._try_to_send(packet))

    async def _beat(self) -> None:
        settings, clock = self._around.settings, self._around.clock
        while True:
            asleep_since = clock.monotonic()
            await asyncio.sleep(settings.heartbeat_interval_s)
            overslept_s = clock.monotonic() - asleep_since - settings.heartbeat_interval_s
            if overslept_s < settings.heartbeat_interval_s:  # else it was this node that did not listen
                for node_id in self._registry.silent_for(settings.heartbeat_timeout_s):
                    self._lose(node_id, "silent")
            await self._try_to_send(
                Heartbeat(cpu=_load_percent(), seq=self._seq, instance_id=self._instance_id, **self._from_here(None))
            )
            if settings.balancing == "latency":
                for node in self._registry.nodes:
                    self._spawn(self._measure(node.node_id))

    async def _measure(self, node_id: str) -> None:
        try:
            await self.ping(node_id, timeout_s=self._around.settings.heartbeat_timeout_s)
        except (DeadlineExceededError, TransporterError) as error:
            log.debug("ping_failed", node_id=node_id, detail=error.message)

    def _lose(self, node_id: str, how: str) -> None:
        if self._registry.forget(node_id):
            log.info("node_lost", node_id=node_id, how=how)
            self._on_lost(node_id)
            self._note_change()

    def _note_change(self) -> None:
        self._around.metrics.nodes.set(len(self._registry.nodes))
        self._changed.set()

    def _info(self, to: str | None = None) -> Info:
        return Info(
            services=list(self._services),
            ip_list=[],
            hostname=socket.gethostname(),
            client={"type": FIRESIDE, "version": "1", "langVersion": platform.python_version()},
            instance_id=self._instance_id,
            metadata={
                "fireside": {
                    "streams": STREAMS_VERSION,
                    "token": self._around.passes.for_node(self._link.node_id, self._instance_id),
                }
            },
            seq=self._seq,
            **self._from_here(to),
        )

    def _from_here(self, to: str | None) -> dict[str, Any]:
        return {"sender": self._link.node_id, "ver": self._link.version_for(to)}

    async def _try_to_send(self, packet: Packet, *, to: str | None = None) -> None:
        if not self._link.connected:
            return
        try:
            await self._link.send(packet, to=to)
        except TransporterError as error:
            log.debug("packet_not_sent", command=packet.command, detail=error.message)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._stopping:
            work.close()
        else:
            self._tasks.run(work)


def _load_percent() -> float:
    """The load of this machine over the last minute, in percent of its processors."""
    if not hasattr(os, "getloadavg"):  # Windows
        return 0.0
    return round(min(100.0, os.getloadavg()[0] / (os.cpu_count() or 1) * 100), 1)
