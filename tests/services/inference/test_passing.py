"""Bytes of a reply that are read past the mesh: whoever is told of what becomes of the stream is told all the same."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import orjson
import pytest

from fireside.contracts.inference import FORWARD, Forward, ForwardChunk, ForwardHead, Passage
from tests.adapters.upstream import Upstream, running_upstream
from tests.services.inference.faults import AFTER_THE_FIRST_WORD, ANSWER_S, WORD, begun
from tests.services.inference.provider_house import COMPLETIONS, ProviderHouse, provider, provider_house, says, set_up

Items = AsyncGenerator[ForwardHead | ForwardChunk, None]


@dataclass
class Passing:
    """A provider, and a stream of its model."""

    house: ProviderHouse
    upstream: Upstream

    def ask(self) -> Items:
        body = orjson.dumps({"model": "big", "messages": [], "stream": True})
        return self.house.context.stream(FORWARD, Forward(path=COMPLETIONS, model="big", body=body))


@pytest.fixture
async def passing() -> AsyncIterator[Passing]:
    async with (
        running_upstream() as upstream,
        provider_house(provider("one", upstream.base_url, answer_s=ANSWER_S)) as house,
    ):
        yield Passing(house, set_up(upstream, "a", " word"))


async def passage_of(items: Items) -> Passage:
    head = await anext(items)
    assert isinstance(head, ForwardHead)
    assert head.passage is not None
    return head.passage


async def read_all(passage: Passage) -> bytes:
    pieces = list[bytes]()
    while piece := await passage.read():
        pieces.append(piece)
    return b"".join(pieces)


async def pipe_all(passage: Passage) -> bytes:
    pieces = list[bytes]()

    async def write(data: bytes) -> None:
        pieces.append(data)

    await passage.pipe(write)
    return b"".join(pieces)


WAYS = pytest.mark.parametrize("take_all", [read_all, pipe_all], ids=["read", "piped"])
TakeAll = Callable[[Passage], Awaitable[bytes]]


@WAYS
async def test_what_is_read_past_the_mesh_is_the_whole_reply_and_then_the_stream_ends(
    passing: Passing, take_all: TakeAll
) -> None:
    async with aclosing(passing.ask()) as items:
        assert await take_all(await passage_of(items)) == b"".join(says("a", " word"))
        assert [item async for item in items] == []

    health = await passing.house.health("one")
    assert (health.answers, health.failures, health.running) == (1, 0, 0)


async def test_what_was_not_read_comes_in_chunks(passing: Passing) -> None:
    async with aclosing(passing.ask()) as items:
        first = await (await passage_of(items)).read()
        rest = b"".join([item.data async for item in items if isinstance(item, ForwardChunk)])

    assert first
    assert first + rest == b"".join(says("a", " word"))


@WAYS
@pytest.mark.parametrize("name", AFTER_THE_FIRST_WORD)
async def test_where_the_bytes_break_off_reading_ends_and_the_stream_tells_why(
    passing: Passing, name: str, take_all: TakeAll
) -> None:
    passing.upstream.handler, expected = AFTER_THE_FIRST_WORD[name]

    async with aclosing(passing.ask()) as items:
        assert (await take_all(await passage_of(items))).startswith(WORD)
        with pytest.raises(expected):
            await anext(items)

    health = await passing.house.health("one")
    assert (health.failures, health.running) == (1, 0)


@WAYS
async def test_whoever_leaves_while_reading_lets_go_of_the_provider(passing: Passing, take_all: TakeAll) -> None:
    passing.upstream.handler = begun(WORD, then="hangs")

    async def listen() -> None:
        async with aclosing(passing.ask()) as items:
            await take_all(await passage_of(items))

    listening = asyncio.create_task(listen())
    async with asyncio.timeout(ANSWER_S):
        while (await passing.house.health("one")).first_word_ms is None:
            await asyncio.sleep(0.005)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening

    health = await passing.house.health("one")
    assert (health.failures, health.running) == (0, 0)
