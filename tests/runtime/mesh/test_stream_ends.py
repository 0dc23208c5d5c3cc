import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireside.core.errors import ConflictError, UpstreamError
from fireside.runtime.mesh.streams import Chunk, StreamGate, StreamReader


def reader(window: int | None = 8) -> tuple[StreamReader, list[int]]:
    told: list[int] = []
    return StreamReader(window=window, on_taken=told.append), told


def feed(end: StreamReader, seq: int, data: bytes | None = None, **fields: object) -> None:
    end.feed(seq, Chunk(data=data, **fields))  # type: ignore[arg-type]


async def everything(end: StreamReader) -> list[bytes]:
    got: list[bytes] = []
    while (data := await end.next()) is not None:
        got.append(data)
    return got


@settings(deadline=None)
@given(order=st.permutations(range(6)), repeated=st.lists(st.integers(0, 5), max_size=4))
def test_items_come_out_in_order_however_packets_arrive(order: list[int], repeated: list[int]) -> None:
    end, _ = reader(window=16)
    for seq in [*order[:3], *repeated[:2], *order[3:], *repeated[2:]]:
        feed(end, seq, None if seq in {0, 5} else b"%d" % seq, last=seq == 5)

    assert asyncio.run(everything(end)) == [b"1", b"2", b"3", b"4"]


async def test_the_consumer_tells_what_it_took_every_half_window() -> None:
    end, told = reader(window=8)
    for seq in range(10):
        feed(end, seq, None if seq == 0 else b"x")

    for _ in range(9):
        await end.next()

    assert told == [4, 8]


async def test_without_a_window_nothing_is_told() -> None:
    end, told = reader(window=None)
    for seq in range(50):
        feed(end, seq, None if seq == 0 else b"x")

    for _ in range(49):
        await end.next()

    assert told == []


async def test_a_producer_that_ignores_the_window_is_cut_off() -> None:
    end, _ = reader(window=4)
    for seq in range(20):
        feed(end, seq, None if seq == 0 else b"x")

    assert end.ended
    with pytest.raises(UpstreamError, match="faster"):
        await everything(end)


async def test_a_missing_packet_cannot_fill_the_memory() -> None:
    end, _ = reader(window=4)
    for seq in range(1, 20):
        feed(end, seq, b"x")

    with pytest.raises(UpstreamError, match="faster"):
        await everything(end)


async def test_packets_that_come_again_and_again_cannot_fill_the_memory() -> None:
    end, _ = reader(window=4)
    feed(end, 0)
    for seq in range(1, 21):
        feed(end, seq, b"x")
        await end.next()

    for seq in range(1, 21):
        feed(end, seq, b"x")
    feed(end, 21, last=True)

    assert await everything(end) == []


async def test_an_error_comes_after_the_items_before_it_and_again_for_who_asks_again() -> None:
    end, _ = reader()
    feed(end, 0)
    feed(end, 1, b"a")
    feed(end, 2, last=True, error=ConflictError("taken"))
    feed(end, 3, b"late")
    end.fail(ConflictError("later"))

    assert await end.next() == b"a"
    for _ in range(2):
        with pytest.raises(ConflictError, match="taken"):
            await end.next()


async def test_a_waiting_consumer_is_woken_by_an_item_and_by_the_end() -> None:
    end, _ = reader()
    waiting = asyncio.create_task(end.next())
    await asyncio.sleep(0)
    feed(end, 0)
    feed(end, 1, b"a")
    assert await waiting == b"a"

    waiting = asyncio.create_task(end.next())
    await asyncio.sleep(0)
    feed(end, 2, last=True)
    assert await waiting is None


async def test_a_gate_lets_a_window_through_and_then_waits_for_the_consumer() -> None:
    gate = StreamGate(2)
    await gate.pass_one()
    await gate.pass_one()
    third = asyncio.create_task(gate.pass_one())
    await asyncio.sleep(0)
    assert not third.done()

    gate.taken(1)

    await asyncio.wait_for(third, 5)


async def test_a_consumer_that_says_it_took_more_than_was_sent_opens_no_gate_for_ever() -> None:
    gate = StreamGate(1)
    await gate.pass_one()
    gate.taken(1_000_000)
    await gate.pass_one()

    stuck = asyncio.create_task(gate.pass_one())
    await asyncio.sleep(0)

    assert not stuck.done()
    stuck.cancel()


async def test_without_a_window_the_gate_is_open() -> None:
    gate = StreamGate(None)
    for _ in range(1000):
        await asyncio.wait_for(gate.pass_one(), 5)
