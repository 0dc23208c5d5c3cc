import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from fireside import web
from fireside.adapters.rate_windows.memory import MemoryRateWindows
from fireside.core.errors import TooManyRequestsError
from fireside.ports.rate_windows import RateWindows, RateWindowsError, Window
from fireside.runtime.durable import Database
from fireside.services.gateway.rate_limits import RateLimiter, RateLimits, Rates
from fireside.services.gateway.settings import GatewaySettings
from fireside.services.gateway.shared_windows import SharedOrOwnWindows
from tests.services.auth.house import ADMIN_EMAIL, ManualClock
from tests.services.gateway.door import Door, open_door


async def statuses(door: Door, count: int, headers: dict[str, str] | None = None) -> list[int]:
    return [(await door.get("/who", headers)).status_code for _ in range(count)]


@pytest.mark.requirement("P19")
async def test_the_request_beyond_the_limit_is_refused_and_told_when_to_come_back(database: Database) -> None:
    async with open_door(database, anonymous_rate="100/hour") as door:
        assert await statuses(door, 100) == [200] * 100
        door.house.clock.pass_time(minutes=10)

        reply = await door.get("/who")

        assert (reply.status_code, reply.json()["code"]) == (429, "rate_limited")
        assert reply.headers["retry-after"] == reply.headers["ratelimit-reset"] == "3000"
        assert (reply.headers["ratelimit-limit"], reply.headers["ratelimit-remaining"]) == ("100", "0")


@pytest.mark.requirement("P19")
async def test_the_window_moves_so_that_no_double_burst_fits_around_the_full_hour(database: Database) -> None:
    async with open_door(database, anonymous_rate="10/hour") as door:
        door.house.clock.pass_time(minutes=59)
        assert await statuses(door, 10) == [200] * 10
        door.house.clock.pass_time(minutes=2)
        assert await statuses(door, 1) == [429]
        door.house.clock.pass_time(minutes=58)
        assert await statuses(door, 1) == [200]


@pytest.mark.requirement("P19")
async def test_a_parallel_burst_gets_no_more_than_one_after_another(database: Database) -> None:
    async with open_door(database, anonymous_rate="10/minute") as door:
        replies = await asyncio.gather(*(door.get("/who") for _ in range(30)))

        assert sum(reply.status_code == 200 for reply in replies) == 10


async def test_every_credential_and_every_header_of_a_user_counts_for_the_user(database: Database) -> None:
    async with open_door(database, user_rate="10/minute") as door:
        bearer = await door.bearer()
        first, second = await door.key(bearer), await door.key(bearer)
        door.house.clock.pass_time(minutes=1)

        used = []
        for headers in (bearer, {"x-api-key": first}, {"authorization": f"Bearer {second}"}):
            used.extend(await statuses(door, 4, headers))

        assert used == [200] * 10 + [429] * 2


async def test_a_single_credential_can_be_limited_more_tightly(database: Database) -> None:
    async with open_door(database, credential_rate="3/minute") as door:
        bearer = await door.bearer()
        key = {"x-api-key": await door.key(bearer)}

        assert await statuses(door, 4, key) == [200] * 3 + [429]
        assert await statuses(door, 1, bearer) == [200]


async def test_users_do_not_use_up_each_others_limits(database: Database) -> None:
    async with open_door(database, user_rate="4/minute") as door:
        await door.house.add_user("ada@example.org")
        admin, ada = await door.bearer(), await door.bearer("ada@example.org")

        assert await statuses(door, 5, admin) == [200] * 4 + [429]
        assert await statuses(door, 4, ada) == [200] * 4


async def test_signing_in_is_limited_by_address_and_failures_once_more(database: Database) -> None:
    async with open_door(database, failed_rate="3/minute") as door:
        wrong = [(await door.token(f"{name}@example.org", "wrong")).status_code for name in "abcde"]
        right = await door.token()

        assert wrong == [401] * 3 + [429] * 2
        assert right.status_code == 429
        door.house.clock.pass_time(seconds=61)
        assert (await door.token()).status_code == 200


async def test_signing_in_is_limited_even_when_it_succeeds(database: Database) -> None:
    async with open_door(database, sign_in_rate="2/minute") as door:
        assert [(await door.token()).status_code for _ in range(3)] == [200, 200, 429]


async def test_probes_are_never_limited(database: Database) -> None:
    async with open_door(database, anonymous_rate="1/minute") as door:
        assert [(await door.get("/health/live")).status_code for _ in range(3)] == [404] * 3


class AwayWindows:
    """Shared windows whose server is gone until it is back."""

    def __init__(self, inner: RateWindows) -> None:
        self.inner = inner
        self.away = True
        self.asked = 0

    async def hit(self, key: str, *, limit: int, window_s: float) -> Window:
        self._answer()
        return await self.inner.hit(key, limit=limit, window_s=window_s)

    async def look(self, key: str, *, limit: int, window_s: float) -> Window:
        self._answer()
        return await self.inner.look(key, limit=limit, window_s=window_s)

    async def aclose(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.asked += 1
        if self.away:
            raise RateWindowsError("Redis did not answer: gone")


async def test_while_the_shared_windows_are_gone_each_node_counts_alone_and_says_so() -> None:
    clock = ManualClock()
    shared = AwayWindows(MemoryRateWindows(clock))
    windows = SharedOrOwnWindows(shared=shared, own=MemoryRateWindows(clock), clock=clock)

    admitted = [(await windows.hit("a", limit=2, window_s=60)).admitted for _ in range(3)]

    assert admitted == [True, True, False]
    assert shared.asked == 1, "nobody waits for a server that was away a moment ago"
    await windows.aclose()
    assert not (await windows.look("a", limit=2, window_s=60)).hits
    check = await windows.check()
    assert (check.status, "gone; this node counts alone" in check.detail) == ("degraded", True)

    shared.away = False
    clock.pass_time(seconds=2)

    assert (await windows.check()).status == "ok"
    assert (await windows.hit("a", limit=2, window_s=60)).admitted


async def test_limits_hold_for_requests_while_the_shared_windows_are_gone(database: Database) -> None:
    clock = ManualClock()
    windows = SharedOrOwnWindows(
        shared=AwayWindows(MemoryRateWindows(clock)), own=MemoryRateWindows(clock), clock=clock
    )
    async with open_door(database, windows=windows, anonymous_rate="2/minute") as door:
        assert await statuses(door, 3) == [200, 200, 429]


async def test_two_processes_that_share_windows_share_the_limit() -> None:
    windows = MemoryRateWindows(ManualClock())
    rates = Rates(GatewaySettings(anonymous_rate="3/minute"))
    one, two = (RateLimiter(rates=rates, windows=windows) for _ in range(2))

    for limiter in (one, two, one):
        await limiter.admit(rates.anonymous, "anonymous", "10.0.0.1")
    with pytest.raises(TooManyRequestsError):
        await two.admit(rates.anonymous, "anonymous", "10.0.0.1")


@pytest.mark.parametrize("rate", ["", "many", "10", "10/fortnight"])
def test_a_rate_that_cannot_be_read_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="anonymous_rate"):
        GatewaySettings(anonymous_rate=rate)


async def test_the_answer_to_too_many_wrong_passwords_says_when_to_come_back(door: Door) -> None:
    for _ in range(10):
        await door.token(ADMIN_EMAIL, "wrong")

    reply = await door.token()

    assert (reply.status_code, reply.json()["code"], reply.headers["retry-after"]) == (429, "sign_ins_delayed", "30")


def test_every_file_of_the_page_lies_where_nothing_is_counted() -> None:
    folder = web.static_folder()
    files = [f"/{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_file()]

    assert [file for file in files if not file.startswith((*web.FILES, "/index.html", "/reference.html"))] == []


async def test_what_is_uncounted_is_never_refused() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["path"])

    passed: list[str] = []
    limiter = RateLimiter(rates=Rates(GatewaySettings()), windows=MemoryRateWindows(ManualClock()))
    limits = RateLimits(app, limiter=limiter, uncounted_prefixes=("/app/",))

    for _ in range(3):
        await limits({"type": "http", "path": "/app/main.js"}, _nothing, _nothing)

    assert passed == ["/app/main.js"] * 3


async def _nothing(*_: object) -> Message:
    return {"type": "http.disconnect"}
