"""Someone who speaks the protocol by hand."""

import json
import time
from typing import Any

from fireside.ports.transporter import Transporter
from fireside.testing.mesh import eventually


class Outsider:
    """Someone on the same broker who writes packets by hand."""

    def __init__(self, line: Transporter) -> None:
        self._line = line
        self.packets: list[tuple[str, dict[str, Any]]] = []
        self.arrivals: list[float] = []

    async def connect(self) -> None:
        await self._line.connect(self._receive, on_reconnect=lambda: None)
        for command in ("RES", "EVENT", "INFO", "PONG", "REQ"):
            await self._line.subscribe(command, node_id="outsider")
        await self._line.subscribe("INFO")

    def _receive(self, command: str, packet: bytes) -> None:
        self.packets.append((command, json.loads(packet)))
        self.arrivals.append(time.monotonic())

    async def send(self, command: str, to: str | None, **fields: Any) -> None:
        packet = {"ver": "4", "sender": "outsider", **fields}
        await self._line.publish(command, json.dumps(packet).encode(), node_id=to)

    async def ask(self, action: str, params: Any, *, meta: dict[str, Any] | None = None, ver: str = "4") -> Any:
        """The response to a request made by hand."""
        call_id = f"call-{len(self.packets)}"
        await self.send("REQ", "server", id=call_id, action=action, params=params, meta=meta or {}, ver=ver)
        return await self.response(call_id)

    async def requests(self, count: int) -> list[dict[str, Any]]:
        """The first so many requests to this node."""

        def found() -> list[dict[str, Any]]:
            return [packet for command, packet in self.packets if command == "REQ"]

        await eventually(lambda: len(found()) >= count)
        return found()[:count]

    async def response(self, call_id: str) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [packet for command, packet in self.packets if command == "RES" and packet["id"] == call_id]

        await eventually(lambda: bool(found()))
        return found()[-1]
