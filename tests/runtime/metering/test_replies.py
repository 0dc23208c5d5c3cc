"""The usage in replies that pass by as bytes."""

from typing import Any

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


def said(index: int, **facts: object) -> bytes:
    return chunk(choices=[{"index": index, "delta": {"content": "a"}, "finish_reason": None}], **facts)


def timings(prompt: int, predicted: int) -> dict[str, int]:
    return {"cache_n": 3, "prompt_n": prompt - 3, "predicted_n": predicted}


def ended(index: int, *, prompt: int, predicted: int, with_usage: bool = False) -> bytes:
    """How llama.cpp ends a choice."""
    last: dict[str, object] = {"timings": timings(prompt, predicted)}
    end: list[dict[str, Any]] = [{"index": index, "delta": {}, "finish_reason": "stop"}]
    if not with_usage:
        return chunk(choices=end, **last)
    counts = {"prompt_tokens": prompt, "completion_tokens": predicted, "prompt_tokens_details": {"cached_tokens": 3}}
    return chunk(choices=end) + chunk(choices=[], usage=counts, **last)


@pytest.mark.parametrize("with_usage", [False, True])
@given(words=st.lists(st.integers(0, 90), min_size=1, max_size=4), cut=st.integers(1, 9000))
def test_choices_of_llama_cpp_each_tell_their_own_tokens_and_share_the_prompt(
    words: list[int], cut: int, with_usage: bool
) -> None:
    body = b"".join(
        said(index) * count + ended(index, prompt=9, predicted=count, with_usage=with_usage)
        for index, count in enumerate(words)
    )
    found = read(body + b"data: [DONE]\n\n", cut=cut).usage(lambda: len(words))

    completion = sum(words)
    assert found == Usage(prompt_tokens=9, completion_tokens=completion, total_tokens=9 + completion, cached_tokens=3)


def test_prompts_that_are_sent_together_count_each() -> None:
    ends = [ended(0, prompt=9, predicted=2), ended(1, prompt=9, predicted=2), ended(2, prompt=5, predicted=2)]
    body = b"".join([*ends, ended(3, prompt=5, predicted=2), b"data: [DONE]\n\n"])

    found = read(body).usage(lambda: 2)

    assert found is not None
    assert (found.prompt_tokens, found.completion_tokens) == (14, 8)


def test_timings_that_come_with_every_word_are_no_end_of_a_choice() -> None:
    body = said(0, timings=timings(9, 1)) + said(0, timings=timings(9, 2)) + ended(0, prompt=9, predicted=2)

    found = read(body + b"data: [DONE]\n\n").usage()

    assert found is not None
    assert (found.prompt_tokens, found.completion_tokens) == (9, 2)


def test_a_choice_that_is_left_in_the_middle_counts_as_far_as_it_came() -> None:
    first = (
        chunk(choices=[{"index": 0, "delta": {"role": "assistant"}}]) + said(0) * 4 + ended(0, prompt=9, predicted=4)
    )
    body = said(1) * 30 + first + said(1) * 30

    found = read(body).usage(lambda: 2)

    assert found is not None
    assert found.prompt_tokens == 9
    assert 60 <= found.completion_tokens <= 65


@pytest.mark.parametrize("end", [b"", b'data: {"usage": {"prompt_tokens": 1', b'data: {"usage": [1]}'])
def test_a_stream_that_tells_nothing_is_counted_by_its_events(end: bytes) -> None:
    reader = read(chunk(choices=[1]) * 20 + end)

    assert reader.usage() is None
    assert reader.completion_tokens in {20, 21}


def test_every_choice_of_an_event_counts() -> None:
    both = [{"index": index, "delta": {"content": "a"}, "finish_reason": None} for index in range(2)]

    assert read(chunk(choices=both) * 300).completion_tokens == 600


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


@pytest.mark.parametrize(
    ("told", "counted"),
    [
        ("1e30", 10**9),
        pytest.param("9" * 400, 10**9, id="long"),
        ("Infinity", 10**9),
        ("1e999", 10**9),
        ("NaN", 0),
        ("-5", 0),
        ('"4"', 0),
    ],
)
def test_absurd_numbers_of_tokens_are_bounded(told: str, counted: int) -> None:
    body = b'{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": %s}}' % told.encode()

    assert read(body).usage() == Usage(prompt_tokens=9, completion_tokens=counted, total_tokens=9 + counted)


@pytest.mark.parametrize("value", ["[" * 3000, "9" * 6000], ids=["deep", "long"])
def test_what_no_reader_of_json_takes_tells_no_usage(value: str) -> None:
    end = chunk(choices=[{"finish_reason": "stop"}]).replace(b"}]}", b'}], "timings": {"x": %s}}' % value.encode())

    assert read(chunk(choices=[1]) + end, cut=9000).usage() is None


NOTHING = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@pytest.mark.parametrize("told", [{}, NOTHING])
def test_usage_that_says_nothing_was_used_is_not_told(told: dict[str, int]) -> None:
    stream = read(chunk(choices=[1]) * 20 + chunk(choices=[], usage=told) + b"data: [DONE]\n\n")
    assert stream.usage() is None
    assert stream.completion_tokens >= 20

    assert read(orjson.dumps({"choices": [{"message": {"content": "hello"}}], "usage": told})).usage() is None
    assert read(orjson.dumps({"usage": told, "data": [0.123] * 5000}), cut=1000).usage() is None


def test_timings_tell_where_usage_says_nothing() -> None:
    body = orjson.dumps({"choices": [], "timings": {"cache_n": 8, "prompt_n": 1, "predicted_n": 4}, "usage": NOTHING})

    assert read(body).usage() == USAGE


@pytest.mark.parametrize("words", [20, 20_000])
def test_a_reply_in_one_piece_is_counted_by_its_length_whatever_it_says(words: int) -> None:
    body = b" " + orjson.dumps({"choices": [{"message": {"content": "lines begin with data: " + "word " * words}}]})

    assert read(body, cut=900).completion_tokens == -(-len(body) // 3)
