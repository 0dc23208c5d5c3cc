"""Two nodes of nothing but a driver, nats-py with orjson, for `mesh`: what Python itself needs for a call over NATS.

Run as `python -m benchmarks.mesh_bare caller|callee URL NAMESPACE`; measures calls as `mesh_nodes` does.
"""

import asyncio
import sys
from itertools import count
from typing import Any

import nats
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.mesh_nodes import calls_of, read_commands
from fireside.bootstrap.server import new_event_loop


class BareCaller:
    """Matches answers to questions, and does nothing else."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client, self._namespace = client, namespace
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._numbers = count()

    async def take(self, message: Msg) -> None:
        """An answer has come."""
        answer = orjson.loads(message.data)
        self._waiting.pop(answer["id"]).set_result(answer["data"])

    async def calls(self, *, callers: int, seconds: float) -> dict[str, float]:
        """Calls/s and how long they take."""
        return await calls_of(self._echo, callers=callers, seconds=seconds)

    async def _echo(self) -> None:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._client.publish(f"{self._namespace}.ask", orjson.dumps({"id": number, "params": {"value": 1}}))
        await answer


async def run(role: str, url: str, namespace: str) -> None:
    """Be a node until standard input ends."""
    client = await nats.connect(url)
    caller = BareCaller(client, namespace)

    async def answer(message: Msg) -> None:
        asked = orjson.loads(message.data)
        await client.publish(f"{namespace}.answer", orjson.dumps({"id": asked["id"], "data": asked["params"]}))

    if role == "callee":
        await client.subscribe(f"{namespace}.ask", cb=answer)
    else:
        await client.subscribe(f"{namespace}.answer", cb=caller.take)
    await client.flush()
    await read_commands(caller)
    await client.close()


def main() -> None:
    """Run on the event loop that the server uses."""
    with asyncio.Runner(loop_factory=new_event_loop()) as runner:
        runner.run(run(*sys.argv[1:]))


if __name__ == "__main__":
    main()
