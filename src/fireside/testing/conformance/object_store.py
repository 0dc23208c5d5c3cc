"""What every object store does. Inherit, and provide the fixture `store`."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from fireside.ports.object_store import InvalidDigestError, ObjectNotFoundError, ObjectStore, ObjectTooLargeError

MISSING = hashlib.sha256(b"never stored").hexdigest()


class BrokenStreamError(Exception):
    """Raised in the middle of a stream."""


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    """The pieces, one after the other."""
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


async def broken_stream() -> AsyncIterator[bytes]:
    """A piece, and then an error."""
    yield b"the beginning"
    raise BrokenStreamError


async def content_of(store: ObjectStore, digest: str) -> bytes:
    """All of an object."""
    return b"".join([piece async for piece in store.open(digest)])


async def all_digests(store: ObjectStore) -> set[str]:
    """Every object there is."""
    return {digest async for digest in store.digests()}


class ObjectStoreConformance:
    """Behaviour of `ObjectStore`."""

    @pytest.mark.parametrize(
        "pieces",
        [
            (),
            (b"",),
            (b"one",),
            (b"one", b"", b"two"),
            (b"x" * 3_000_000, b"y"),
            (b"z" * 1024**2,),
            (bytes(1024),) * 2048,
        ],
    )
    async def test_what_was_stored_is_read_back_under_its_digest(
        self, store: ObjectStore, pieces: tuple[bytes, ...]
    ) -> None:
        content = b"".join(pieces)

        stored = await store.put(stream(*pieces))

        assert stored.digest == hashlib.sha256(content).hexdigest()
        assert stored.size_bytes == len(content)
        assert await store.exists(stored.digest)
        assert await content_of(store, stored.digest) == content

    async def test_storing_equal_bytes_again_changes_nothing(self, store: ObjectStore) -> None:
        first = await store.put(stream(b"equal ", b"bytes"))
        second = await store.put(stream(b"equal bytes"))

        assert first == second
        assert await all_digests(store) == {first.digest}
        assert await content_of(store, first.digest) == b"equal bytes"

    async def test_equal_bytes_may_be_stored_at_the_same_time(self, store: ObjectStore) -> None:
        stored = await asyncio.gather(*(store.put(stream(b"many ", b"at once")) for _ in range(8)))

        assert len(set(stored)) == 1
        assert await content_of(store, stored[0].digest) == b"many at once"

    async def test_a_stream_that_breaks_leaves_nothing(self, store: ObjectStore) -> None:
        with pytest.raises(BrokenStreamError):
            await store.put(broken_stream())

        assert await all_digests(store) == set()

    async def test_more_than_allowed_is_refused_and_leaves_nothing(self, store: ObjectStore) -> None:
        with pytest.raises(ObjectTooLargeError):
            await store.put(stream(b"12345", b"67890"), max_bytes=9)
        assert await all_digests(store) == set()

        assert (await store.put(stream(b"12345", b"67890"), max_bytes=10)).size_bytes == 10

    async def test_what_was_deleted_is_gone_and_can_be_stored_again(self, store: ObjectStore) -> None:
        stored = await store.put(stream(b"short-lived"))

        assert await store.delete(stored.digest) is True
        assert await store.delete(stored.digest) is False
        assert await store.exists(stored.digest) is False
        with pytest.raises(ObjectNotFoundError):
            await content_of(store, stored.digest)

        assert await store.put(stream(b"short-lived")) == stored
        assert await content_of(store, stored.digest) == b"short-lived"

    async def test_deleting_one_object_leaves_the_others(self, store: ObjectStore) -> None:
        kept = [(await store.put(stream(f"{number}".encode()))).digest for number in range(20)]
        gone = (await store.put(stream(b"gone"))).digest

        await store.delete(gone)

        assert await all_digests(store) == set(kept)

    async def test_objects_may_come_and_go_while_others_come_and_are_listed(self, store: ObjectStore) -> None:
        kept = [(await store.put(stream(f"kept {number}".encode()))).digest for number in range(10)]

        async def come_and_go(number: int) -> None:
            content = f"going {number}".encode()
            for _ in range(20):
                await store.delete((await store.put(stream(content))).digest)

        async def look() -> None:
            for _ in range(20):
                assert set(kept) <= await all_digests(store)

        await asyncio.gather(*(come_and_go(number % 2) for number in range(6)), look(), look())

        assert set(kept) == await all_digests(store)

    async def test_an_object_that_is_being_read_can_be_left_unread(self, store: ObjectStore) -> None:
        stored = await store.put(stream(b"x" * 5_000_000))
        reading = store.open(stored.digest)

        assert await anext(reading)
        await reading.aclose()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] # every adapter's is a generator

        assert await store.delete(stored.digest)

    async def test_an_object_never_stored_is_not_found(self, store: ObjectStore) -> None:
        assert await store.exists(MISSING) is False
        assert await store.delete(MISSING) is False
        with pytest.raises(ObjectNotFoundError):
            await content_of(store, MISSING)

    @pytest.mark.parametrize("digest", ["", "abc", "../" * 22, "A" * 64, "g" * 64, MISSING + "0", f"{MISSING[:-1]}/"])
    async def test_only_digests_name_objects(self, store: ObjectStore, digest: str) -> None:
        with pytest.raises(InvalidDigestError):
            await store.exists(digest)
        with pytest.raises(InvalidDigestError):
            await store.delete(digest)
        with pytest.raises(InvalidDigestError):
            await content_of(store, digest)

    async def test_it_can_be_closed_twice(self, store: ObjectStore) -> None:
        await store.aclose()
        await store.aclose()
