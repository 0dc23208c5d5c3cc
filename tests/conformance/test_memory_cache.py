import pytest

from fireside.adapters.cache.memory import MemoryCache
from fireside.testing.conformance.cache import CacheConformance, Wait
from tests.runtime.middleware.parts import HandClock


class TestMemoryCache(CacheConformance):
    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    @pytest.fixture
    def store(self, clock: HandClock) -> MemoryCache:
        return MemoryCache(clock=clock)

    @pytest.fixture
    def wait(self, clock: HandClock) -> Wait:
        async def wait(seconds: float) -> None:
            clock.seconds += seconds

        return wait

    @pytest.mark.requirement("C2")
    async def test_the_least_recently_used_value_goes_first(self, clock: HandClock) -> None:
        store = MemoryCache(max_entries=3, clock=clock)
        for key in "abc":
            await store.put(key, b"1", ttl_s=60)
        await store.get("a")

        await store.put("d", b"1", ttl_s=60)

        assert [key for key in "abcd" if await store.get(key) is not None] == ["a", "c", "d"]

    async def test_values_go_until_the_bytes_fit(self, clock: HandClock) -> None:
        store = MemoryCache(max_bytes=100, clock=clock)
        for key in "abc":
            await store.put(key, b"x" * 29, ttl_s=60)

        await store.put("d", b"x" * 59, ttl_s=60, tags=["big"])

        assert [key for key in "abcd" if await store.get(key) is not None] == ["c", "d"]
        assert (await store.usage()).used_bytes == 90

    async def test_a_value_larger_than_the_whole_cache_is_not_kept_and_pushes_nothing_out(
        self, clock: HandClock
    ) -> None:
        store = MemoryCache(max_bytes=100, clock=clock)
        await store.put("a", b"x", ttl_s=60)

        await store.put("huge", b"x" * 200, ttl_s=60)

        assert await store.get("a") == b"x"
        assert await store.get("huge") is None

    async def test_what_was_pushed_out_leaves_no_tag_behind(self, clock: HandClock) -> None:
        store = MemoryCache(max_entries=1, clock=clock)
        await store.put("a", b"1", ttl_s=60, tags=["red"])
        await store.put("b", b"1", ttl_s=60)

        assert await store.invalidate(["red"]) == 0
