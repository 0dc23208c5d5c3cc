"""The usage in replies that pass by as bytes."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireside.contracts.answer import Usage
from fireside.runtime.metering.replies import ReplyReader

TOLD = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 8}}
USAGE = Usage(prompt_tokens=9, completion_tokens=4, total_tokens=13, cached_tokens=8)


def read(body: bytes, *, cut: int = 7) -> ReplyReader:
    reader = ReplyReader()
    for start in range(0, len(body), cut):
        reader.feed(body[start : start + cut])
    return reader


def chunk(**values: object) -> bytes:
    return b"data: " + orjson.dumps(values) + b"\n\n"


@given(text=st.text(), cut=st.integers(1, 5000))
def test_a_whole_reply_tells_its_usage_whatever_the_model_says(text: str, cut: int) -> None:
    said = f'{text} "usage": {{"prompt_tokens": 0}} \\"usage\\":{{"prompt_tokens": 1}}'
    body = orjson.dumps({"choices": [{"message": {"content": said}}], "usage": TOLD, "system_fingerprint": "x"})

    assert read(body, cut=cut).usage() == USAGE


def test_usage_before_a_long_list_of_vectors_is_found() -> None:
    body = orjson.dumps({"object": "list", "usage": {"prompt_tokens": 3}, "data": [0.123] * 5000})

    assert read(body, cut=1000).usage() == Usage(prompt_tokens=3, total_tokens=3)


def test_the_last_usage_of_a_stream_counts() -> None:
    first = chunk(choices=[], usage={"prompt_tokens": 9, "completion_tokens": 1})
    body = first + chunk(choices=[{"index": 0}], usage=None) + chunk(choices=[], usage=TOLD) + b"data: [DONE]\n\n"

    assert read(body).usage() == USAGE


def test_timings_tell_where_usage_was_not_asked_for() -> None:
    timings = {"cache_n": 8, "prompt_n": 1, "predicted_n": 4, "predicted_ms": 1.5}
    last = chunk(choices=[{"finish_reason": "stop"}], timings=timings)

    assert read(chunk(choices=[{"index": 0}]) + last).usage() == USAGE


@pytest.mark.parametrize("end", [b"", b'data: {"usage": {"prompt_tokens": 1', b'data: {"usage": [1]}'])
def test_a_stream_that_tells_nothing_is_counted_by_its_events(end: bytes) -> None:
    reader = read(chunk(choices=[1]) * 20 + end)

    assert reader.usage() is None
    assert reader.completion_tokens in {20, 21}


@given(events=st.integers(1, 400), size=st.integers(0, 300), cut=st.integers(1, 9000))
def test_events_are_counted_one_by_one_however_long_the_stream_and_wherever_it_is_cut(
    events: int, size: int, cut: int
) -> None:
    reader = read(chunk(text="x" * size) * events, cut=cut)

    assert reader.completion_tokens == events
    assert not reader.has_ended


@pytest.mark.parametrize("end", [chunk(choices=[{"finish_reason": "stop"}]), b"data: [DONE]\n\n"])
def test_a_stream_has_ended_when_it_says_so(end: bytes) -> None:
    begin = chunk(choices=[{"finish_reason": None}]) * 300

    assert not read(begin).has_ended
    assert read(begin + end).has_ended


def test_a_reply_that_tells_nothing_is_counted_by_its_length() -> None:
    assert read(b'{"choices": []}').completion_tokens == 5
