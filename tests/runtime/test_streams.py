"""Events as bytes."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from uuid import UUID

import pytest

from fireside.contracts.answer import AnswerEvent, Done, Failed, Final, Step, Token
from fireside.contracts.conversation import NumberedEvent
from fireside.core.ids import MessageId
from fireside.runtime.streams import (
    KEEP_ALIVES,
    as_frame,
    as_line,
    as_server_sent,
    preferred_format,
    problem_bytes,
    server_sent,
    with_keep_alive,
)

ANSWER = MessageId(UUID(int=5))
NASTY = 'line\nbreak\r\n"quotes" \u2028 \x00 ünï 🔥'
EVENTS: list[AnswerEvent] = [
    Step(stage="think", name="analyze", status="done", elapsed_ms=1.5),
    Token(text=NASTY),
    Final(message_id=ANSWER, content=NASTY, mode="company", confidence=0.5),
    Failed(code="upstream", title="Bad Gateway", status=502, detail=NASTY),
    Done(),
]


def numbered(event: AnswerEvent, event_id: int = 7) -> NumberedEvent:
    return NumberedEvent(id=event_id, message_id=ANSWER, event=event)


def fields(event: AnswerEvent) -> dict[str, object]:
    return event.model_dump(mode="json", exclude={"type"})


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_a_server_sent_event_has_id_type_and_one_line_of_data(event: AnswerEvent) -> None:
    lines = as_server_sent(numbered(event)).decode().split("\n")

    assert lines[:2] == ["id: 7", f"event: {event.type}"]
    assert lines[2].startswith("data: ")
    assert json.loads(lines[2][6:]) == fields(event)
    assert lines[3:] == ["", ""]
    assert not set("\r\x85\u2028\u2029") & set(lines[2]) - {"\u2028"}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_a_line_and_a_frame_carry_the_same_with_the_type_inside(event: AnswerEvent) -> None:
    line, frame = as_line(numbered(event)), as_frame(numbered(event))

    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert json.loads(line) == {"id": 7, "type": event.type, **fields(event)}
    assert json.loads(frame) == {**json.loads(line), "message_id": str(ANSWER)}


def test_done_says_nothing_else() -> None:
    assert as_server_sent(numbered(Done())) == b"id: 7\nevent: done\ndata: {}\n\n"


def test_an_event_without_an_id_leaves_the_last_one_standing() -> None:
    assert server_sent("error", b"{}") == b"event: error\ndata: {}\n\n"


def test_a_problem_of_the_stream_has_no_id() -> None:
    failure = Failed(code="unavailable", title="T", status=503)

    assert problem_bytes(failure, "sse").startswith(b"event: error\ndata: {")
    line = json.loads(problem_bytes(failure, "ndjson"))
    assert (line["type"], line["code"], "id" in line) == ("error", "unavailable", False)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/html", "json"),
        ("text/event-stream", "sse"),
        ("Text/Event-Stream; charset=utf-8", "sse"),
        ("application/x-ndjson", "ndjson"),
        ("application/json, text/event-stream", "json"),
        ("application/json;q=0.5, text/event-stream;q=0.9", "sse"),
        ("text/event-stream;q=0", "json"),
        ("text/event-stream;q=x, application/x-ndjson;q=0.1", "ndjson"),
        ("text/event-stream, */*", "sse"),
    ],
)
def test_the_accept_header_chooses_the_format(accept: str, expected: str) -> None:
    assert preferred_format(accept) == expected


def test_where_accept_leaves_the_choice_the_route_has_it() -> None:
    assert preferred_format("*/*", otherwise="sse") == "sse"
    assert preferred_format("application/json", otherwise="sse") == "json"


async def test_silence_is_filled_with_keep_alives_and_no_chunk_is_lost() -> None:
    go_on = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        await go_on.wait()
        yield b"two"

    seen: list[bytes] = []
    async for chunk in with_keep_alive(chunks(), every_s=0.01, keep_alive=KEEP_ALIVES["sse"]):
        seen.append(chunk)
        if seen.count(KEEP_ALIVES["sse"]) == 3:
            go_on.set()

    assert seen[0] == b"one"
    assert seen[-1] == b"two"
    assert seen.count(KEEP_ALIVES["sse"]) >= 3
    assert seen.count(b"one") == seen.count(b"two") == 1


async def test_closing_ends_the_source_too() -> None:
    closed = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            closed.set()

    stream = with_keep_alive(chunks(), every_s=0.01, keep_alive=b":")
    assert [await anext(stream), await anext(stream)] == [b"one", b":"]
    await stream.aclose()

    assert closed.is_set()


async def test_an_error_of_the_source_is_passed_on() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        raise ValueError("broken")

    stream = with_keep_alive(chunks(), every_s=5, keep_alive=b":")
    assert await anext(stream) == b"one"
    with pytest.raises(ValueError, match="broken"):
        await anext(stream)


async def test_what_piles_up_comes_joined_and_only_a_little_is_fetched_ahead() -> None:
    fetched = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal fetched
        for number in range(1000):
            fetched += 1
            yield b"%d," % number

    stream = with_keep_alive(chunks(), every_s=5, keep_alive=b":")
    got = await anext(stream)
    for _ in range(200):
        await asyncio.sleep(0)
    assert fetched < 50

    async for chunk in stream:
        got += chunk
        await asyncio.sleep(0)
    assert got == b"".join(b"%d," % number for number in range(1000))


async def test_the_end_comes_at_once_and_not_with_the_next_keep_alive() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0)

    async with asyncio.timeout(5):
        assert [chunk async for chunk in with_keep_alive(chunks(), every_s=3600, keep_alive=b":")] == [b"one"]


async def test_what_came_before_an_error_is_passed_on_first() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"
        raise ValueError("broken")

    stream = with_keep_alive(chunks(), every_s=5, keep_alive=b":")
    assert await anext(stream) == b"onetwo"
    with pytest.raises(ValueError, match="broken"):
        await anext(stream)


async def test_closing_ends_a_source_that_loses_a_cancellation() -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        yield b"first"
        with suppress(asyncio.CancelledError):  # as `asyncio.wait_for` does that has its result
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    stream = with_keep_alive(chunks(), every_s=60.0, keep_alive=b":")
    assert await anext(stream) == b"first"
    await asyncio.sleep(0)

    async with asyncio.timeout(10):
        await stream.aclose()
