"""What all moving windows must do. Inherit `RateWindowsConformance`; give the fixtures `windows` and `wait`."""

import asyncio
from collections.abc import Awaitable, Callable

from fireside.ports.rate_windows import RateWindows

Wait = Callable[[float], Awaitable[None]]


class RateWindowsConformance:
    """Behaviour that rate limits rely on.

    The subclass gives the fixtures `windows`, without hits, and `wait`, a coroutine function that lets so many seconds
    pass for them.
    """

    async def test_as_many_hits_as_the_limit_are_admitted(self, windows: RateWindows) -> None:
        answers = [await windows.hit("a", limit=3, window_s=60) for _ in range(5)]

        assert [answer.admitted for answer in answers] == [True, True, True, False, False]
        assert [answer.hits for answer in answers] == [1, 2, 3, 3, 3]

    async def test_a_burst_gets_no_more_than_the_limit(self, windows: RateWindows) -> None:
        answers = await asyncio.gather(*(windows.hit("a", limit=20, window_s=60) for _ in range(60)))

        assert sum(answer.admitted for answer in answers) == 20

    async def test_keys_do_not_count_for_each_other(self, windows: RateWindows) -> None:
        for key in ("a", "ключ", "a/b"):
            assert (await windows.hit(key, limit=1, window_s=60)).admitted
            assert not (await windows.hit(key, limit=1, window_s=60)).admitted

    async def test_looking_counts_nothing(self, windows: RateWindows) -> None:
        empty = await windows.look("a", limit=1, window_s=60)
        await windows.look("a", limit=1, window_s=60)
        await windows.hit("a", limit=1, window_s=60)
        full = await windows.look("a", limit=1, window_s=60)

        assert (empty.hits, empty.admitted, empty.wait_s) == (0, True, 0)
        assert (full.hits, full.admitted) == (1, False)

    async def test_the_window_moves(self, windows: RateWindows, wait: Wait) -> None:
        await windows.hit("a", limit=2, window_s=1)
        await wait(0.6)
        await windows.hit("a", limit=2, window_s=1)
        refused = await windows.hit("a", limit=2, window_s=1)
        await wait(0.6)

        assert not refused.admitted
        assert 0.2 < refused.wait_s < 0.401
        assert (await windows.hit("a", limit=2, window_s=1)).admitted
        assert not (await windows.hit("a", limit=2, window_s=1)).admitted

    async def test_refused_hits_do_not_lengthen_the_wait(self, windows: RateWindows, wait: Wait) -> None:
        await windows.hit("a", limit=1, window_s=1)
        await wait(0.6)
        await windows.hit("a", limit=1, window_s=1)
        await wait(0.6)

        assert (await windows.hit("a", limit=1, window_s=1)).admitted

    async def test_closing_twice_is_safe(self, windows: RateWindows) -> None:
        await windows.aclose()
        await windows.aclose()
