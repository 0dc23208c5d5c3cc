"""What every cache store must do. Inherit `CacheConformance` and give the fixtures `store` and `wait`."""

from collections.abc import Awaitable, Callable
from time import monotonic

from fireside.ports.cache import CacheStore, CacheUsage

Wait = Callable[[float], Awaitable[None]]


class CacheConformance:
    """Behaviour that `fireside.runtime.caching` relies on.

    The subclass gives the fixtures `store`, empty, and `wait`, a coroutine function that lets so many seconds pass for
    the store.
    """

    async def test_a_value_is_read_as_it_was_put(self, store: CacheStore) -> None:
        for key, value in [("a", b"x"), ("ключ: 🔑", b"\x00\xff"), ("empty", b""), ("big", b"y" * 300_000)]:
            await store.put(key, value, ttl_s=60)

            assert await store.get(key) == value
        assert await store.get("never put") is None

    async def test_a_later_value_replaces_an_earlier_one_with_its_tags(self, store: CacheStore) -> None:
        await store.put("a", b"1", ttl_s=60, tags=["old"])
        await store.put("a", b"2", ttl_s=60, tags=["new"])

        assert await store.invalidate(["old"]) == 0
        assert await store.get("a") == b"2"
        assert await store.invalidate(["new"]) == 1
        assert await store.get("a") is None

    async def test_a_value_is_gone_after_its_time_and_not_before(self, store: CacheStore, wait: Wait) -> None:
        began = monotonic()
        await store.put("short", b"1", ttl_s=1)
        await store.put("long", b"2", ttl_s=600)
        await wait(0.5)
        assert await store.get("short") == b"1" or monotonic() - began >= 1, "gone before its time"

        await wait(1.1)

        assert await store.get("short") is None
        assert await store.get("long") == b"2"

    async def test_putting_a_value_again_gives_it_its_time_anew(self, store: CacheStore, wait: Wait) -> None:
        await store.put("a", b"1", ttl_s=1)
        await wait(0.7)
        again = monotonic()
        await store.put("a", b"1", ttl_s=1)
        await wait(0.7)

        assert await store.get("a") == b"1" or monotonic() - again >= 1, "gone before its new time"

    async def test_a_deleted_value_is_gone(self, store: CacheStore) -> None:
        await store.put("a", b"1", ttl_s=60)
        await store.put("b", b"2", ttl_s=60)

        await store.delete("a")
        await store.delete("never put")

        assert await store.get("a") is None
        assert await store.get("b") == b"2"

    async def test_a_tag_forgets_all_that_carry_it_and_nothing_else(self, store: CacheStore) -> None:
        await store.put("a", b"1", ttl_s=60, tags=["red", "round"])
        await store.put("b", b"2", ttl_s=60, tags=["red"])
        await store.put("c", b"3", ttl_s=60, tags=["round"])
        await store.put("d", b"4", ttl_s=60)

        assert await store.invalidate(["red", "unused"]) == 2

        assert [await store.get(key) for key in "abcd"] == [None, None, b"3", b"4"]
        assert await store.invalidate([]) == 0

    async def test_clearing_forgets_everything(self, store: CacheStore) -> None:
        await store.put("a", b"1", ttl_s=60, tags=["red"])
        await store.put("b", b"2", ttl_s=60)

        await store.clear()

        assert await store.get("a") is None
        assert await store.get("b") is None
        assert await store.invalidate(["red"]) == 0

    async def test_usage_counts_entries_and_bytes(self, store: CacheStore) -> None:
        empty = await store.usage()
        await store.put("a", b"x" * 1000, ttl_s=60)
        await store.put("b", b"x" * 1000, ttl_s=60)

        usage = await store.usage()

        assert usage.entries == empty.entries + 2
        assert usage.used_bytes >= empty.used_bytes + 2000

    async def test_a_look_gives_the_value_with_its_tags_and_the_time_that_is_left(
        self, store: CacheStore, wait: Wait
    ) -> None:
        await store.put("a", b"1", ttl_s=60, tags=["red", "größe: 🔑"])
        await wait(0.5)

        look = await store.look_up("a")

        assert (look.value, look.tags) == (b"1", {"red", "größe: 🔑"})
        assert 55 < look.ttl_s <= 59.5
        assert ((await store.look_up("b")).value, (await store.look_up("b")).tags) == (None, frozenset())

    async def test_what_was_loaded_meanwhile_is_kept_when_nothing_was_forgotten(self, store: CacheStore) -> None:
        stamp = (await store.look_up("a")).stamp
        await store.put("b", b"2", ttl_s=60, tags=["blue"])
        await store.invalidate(["blue"])

        assert await store.put("a", b"1", ttl_s=60, tags=["red"], since=stamp)
        assert await store.get("a") == b"1"

    async def test_a_load_that_began_before_its_tag_was_forgotten_is_not_kept(self, store: CacheStore) -> None:
        stamp = (await store.look_up("a")).stamp
        await store.invalidate(["red"])

        assert not await store.put("a", b"old", ttl_s=60, tags=["round", "red"], since=stamp)
        assert await store.get("a") is None
        assert await store.put("a", b"new", ttl_s=60, tags=["red"], since=(await store.look_up("a")).stamp)
        assert await store.get("a") == b"new"

    async def test_a_load_that_began_before_its_key_was_deleted_is_not_kept(self, store: CacheStore) -> None:
        stamp = (await store.look_up("a")).stamp
        await store.delete("a")

        assert not await store.put("a", b"old", ttl_s=60, since=stamp)
        assert await store.put("b", b"1", ttl_s=60, since=(await store.look_up("b")).stamp)
        assert await store.get("a") is None

    async def test_a_load_that_began_before_everything_was_forgotten_is_not_kept(self, store: CacheStore) -> None:
        stamp = (await store.look_up("a")).stamp
        await store.clear()

        assert not await store.put("a", b"old", ttl_s=60, since=stamp)

    async def test_a_load_does_not_replace_a_value_that_came_after_it_began(self, store: CacheStore) -> None:
        await store.put("a", b"1", ttl_s=60)
        stamp = (await store.look_up("a")).stamp
        await store.put("a", b"2", ttl_s=60)

        assert not await store.put("a", b"1", ttl_s=60, since=stamp)
        assert await store.get("a") == b"2"

    async def test_a_value_that_is_put_without_a_stamp_is_kept_in_any_case(self, store: CacheStore) -> None:
        await store.invalidate(["red"])

        assert await store.put("a", b"1", ttl_s=60, tags=["red"])
        assert await store.get("a") == b"1"

    async def test_a_tag_of_very_many_values_forgets_them_all(self, store: CacheStore) -> None:
        for number in range(1203):
            await store.put(f"n{number}", b"1", ttl_s=60, tags=["many", f"odd{number % 2}"])

        assert await store.invalidate(["odd1"]) == 601
        assert await store.invalidate(["odd0", "many"]) == 602
        assert (await store.usage()).entries == 0

    async def test_usage_falls_when_values_go(self, store: CacheStore, wait: Wait) -> None:
        await store.put("a", b"x" * 1000, ttl_s=60, tags=["red"])
        await store.put("b", b"x" * 1000, ttl_s=60)
        await store.put("b", b"x", ttl_s=60)
        await store.put("c", b"x" * 1000, ttl_s=0.2)

        await store.invalidate(["red"])
        await wait(0.4)

        assert await store.get("c") is None
        assert await store.usage() == CacheUsage(entries=1, used_bytes=2)

    async def test_closing_twice_is_safe(self, store: CacheStore) -> None:
        await store.aclose()
        await store.aclose()
