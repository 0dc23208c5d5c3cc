"""What a local call costs: the bare method, a call without middlewares, and one through the whole chain.

Run `python -m benchmarks.local_call`; each round takes the processor time of all of them in shuffled order, and the
medians are compared.
Goal: at most 15 us for a call through the whole chain (metrics and logs on, OpenTelemetry off).
"""

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from fireside.bootstrap.transporters import make_transporter
from fireside.contracts.base import PUBLIC, SIGNED_IN, Action, Contract
from fireside.core.identity import user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.mesh import Context, MeshSettings, Node, Service, action

GOAL_US = 15.0
ROUNDS = 40
CALLS = 2_000


class Echo(Contract):
    """What goes in and comes out."""

    value: int


OPEN = Action("bench.open", Echo, Echo, access=PUBLIC)
SIGNED = Action("bench.signed", Echo, Echo, access=SIGNED_IN, idempotent=True)


class BenchService(Service):
    """Does nothing, so that only the way to it is measured."""

    name = "bench"

    @action(OPEN)
    async def open_to_all(self, context: Context, request: Echo) -> Echo:
        """Give back what came."""
        del context
        return request

    @action(SIGNED)
    async def signed(self, context: Context, request: Echo) -> Echo:
        """Give back what came."""
        del context
        return request


async def microseconds(call: Callable[[], Awaitable[Echo]]) -> float:
    started = time.process_time()
    for number in range(CALLS):
        await call()
        if number % 50 == 0:
            await asyncio.sleep(0)  # lets the loop forget cancelled timers, as it does between real calls
    return (time.process_time() - started) / CALLS * 1e6


async def measure() -> dict[str, float]:
    settings, service = MeshSettings(), BenchService()
    bare = Node(node_id="bare", transporter=make_transporter("memory://"), settings=settings, middlewares=())
    whole = Node(node_id="whole", transporter=make_transporter("memory://"), settings=settings)
    for node in (bare, whole):
        node.add(service)
        await node.start()
    user = user_identity(UserId(new_id()), roles=["user"], permissions=[])
    request = Echo(value=1)
    direct, unwrapped, wrapped = (node.context(identity=user) for node in (whole, bare, whole))
    targets: dict[str, Callable[[], Awaitable[Echo]]] = {
        "method": lambda: service.signed(direct, request),
        "call without middlewares": lambda: unwrapped.call(SIGNED, request),
        "call through the whole chain": lambda: wrapped.call(SIGNED, request),
    }
    times: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(ROUNDS):
        for name in random.sample(list(targets), len(targets)):
            times[name].append(await microseconds(targets[name]))
    for node in (bare, whole):
        await node.stop()
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    medians = asyncio.run(measure())
    bare = medians["method"]
    for name, value in medians.items():
        print(f"{name:32} {value:7.2f} us  {value / bare:7.1f} x the method")
    whole = medians["call through the whole chain"]
    print(f"goal: {GOAL_US} us; {'kept' if whole <= GOAL_US else 'missed'}")
    return 0 if whole <= GOAL_US else 1


if __name__ == "__main__":
    sys.exit(main())
