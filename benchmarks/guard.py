"""What authentication, limits and headers cost a request: a bare ASGI application against the same one guarded.

Run `python -m benchmarks.guard`; each round takes the processor time of both in shuffled order, and the medians are
compared. The credential is known already, as it is for all but one request in ten seconds.
Goal: at most 200 us a request; all the gateway adds before a mock upstream shall stay below 1 ms.
"""

import asyncio
import random
import statistics
import sys
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireside.adapters.rate_windows.memory import MemoryRateWindows
from fireside.bootstrap.transporters import make_transporter
from fireside.contracts.auth import AUTHENTICATE, Authenticate, Authenticated
from fireside.core.clock import SystemClock
from fireside.core.ids import UserId, new_id
from fireside.runtime.mesh import Context, MeshSettings, Node, Service, action
from fireside.services.gateway.guard import Guard
from fireside.services.gateway.identities import Authenticator
from fireside.services.gateway.settings import GatewaySettings

GOAL_US = 200.0
ROUNDS = 40
REQUESTS = 1_000
HEADERS = (
    (b"host", b"127.0.0.1:8080"),
    (b"user-agent", b"benchmark"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip"),
    (b"content-type", b"application/json"),
    (b"content-length", b"100"),
    (b"authorization", b"Bearer fsk_000000000000_benchmark"),
)


class OneUser(Service):
    """Knows one user, whatever the credential."""

    name = "auth"

    def __init__(self) -> None:
        self._user_id = UserId(new_id())

    @action(AUTHENTICATE)
    async def authenticate(self, context: Context, request: Authenticate) -> Authenticated:
        """The user."""
        del context, request
        return Authenticated(user_id=self._user_id, name="x", roles=("user",), permissions=("chat:read",))


async def bare(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers at once."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}", "more_body": False})


async def microseconds(app: ASGIApp) -> float:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        del message

    started = time.process_time()
    for _ in range(REQUESTS):
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "scheme": "http", "state": {}}
        await app({**scope, "headers": list(HEADERS), "client": ("127.0.0.1", 1)}, receive, send)
    return (time.process_time() - started) / REQUESTS * 1e6


async def measure() -> dict[str, float]:
    node = Node(node_id="bench", transporter=make_transporter("memory://"), settings=MeshSettings())
    node.add(OneUser())
    await node.start()
    clock, unlimited = SystemClock(), "1000000/minute"
    settings = GatewaySettings(user_rate=unlimited, credential_rate=unlimited)
    guard = Guard(
        authenticator=Authenticator(clock=clock, remember_s=settings.remember_identity_s),
        make_context=node.context,
        settings=settings,
        windows=MemoryRateWindows(clock),
    )
    targets: dict[str, ASGIApp] = {"bare": bare, "guarded": guard.around(bare)}
    times: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(ROUNDS):
        for name in random.sample(list(targets), len(targets)):
            times[name].append(await microseconds(targets[name]))
    await node.stop()
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    medians = asyncio.run(measure())
    for name, value in medians.items():
        print(f"{name:10} {value:7.2f} us")
    added = medians["guarded"] - medians["bare"]
    print(f"added      {added:7.2f} us, {added / GOAL_US:.2f} x the goal of {GOAL_US:.0f} us")
    return 0 if added <= GOAL_US else 1


if __name__ == "__main__":
    sys.exit(main())
