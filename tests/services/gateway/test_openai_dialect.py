"""OpenAI's shapes: what is read, what is written, what is refused and how."""

import struct
from typing import Any

import orjson
import pytest

from fireside.contracts.answer import Source, Usage
from fireside.contracts.embeddings import Embeddings
from fireside.core.errors import InvalidInputError, NotFoundError, TooManyRequestsError, UnavailableError
from fireside.core.ids import ChunkId, DocumentId, new_id
from fireside.services.gateway.completions import Completion, Ended, TextPiece, located
from fireside.services.gateway.openai_dialect import (
    CompletionWriter,
    EmbeddingsRequest,
    PipelineRequest,
    annotations,
    embeddings_body,
    error_body,
    failed_chunk,
    read_envelope,
)
from fireside.services.gateway.request_bodies import read_json, read_request


def body(**fields: Any) -> bytes:
    return orjson.dumps({"model": "fireside", "messages": [{"role": "user", "content": "why?"}]} | fields)


def read_pipeline(**fields: Any) -> PipelineRequest:
    return read_request(PipelineRequest, read_json(body(**fields)))


def source(n: int, *, url: str | None = None) -> Source:
    return Source(
        n=n,
        document_id=DocumentId(new_id()),
        chunk_id=ChunkId(new_id()),
        path="a.md",
        title="A",
        url=url,
        text="text",
        score=1.0,
    )


USAGE = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5, cached_tokens=1)


def end(content: str = "It is so [1].") -> Ended:
    return Ended("stop", USAGE, (source(1),), content)


def events(data: bytes) -> list[Any]:
    found = [event[6:] for event in data.split(b"\n\n") if event]
    return [item.decode() if item == b"[DONE]" else orjson.loads(item) for item in found]


@pytest.mark.parametrize(
    ("text", "words"), [(b"{", "not JSON"), (b"[]", "JSON object"), (b"{}", "'model'"), (b'{"model": 3}', "'model'")]
)
def test_a_request_that_cannot_be_routed_says_why(text: bytes, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        read_envelope(text)


def test_system_messages_become_instructions_and_the_rest_turns() -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": [{"type": "text", "text": "be kind"}]},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image_url"}]},
        {"role": "assistant", "content": "two"},
        {"role": "tool", "content": "ignored"},
        {"role": "user", "content": "three"},
    ]

    turns = read_pipeline(messages=messages, max_completion_tokens=9).turns()

    assert [(turn.role, turn.content) for turn in turns.turns] == [
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
    ]
    assert (turns.instructions, turns.max_tokens) == ("be brief\nbe kind", 9)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "content": "hello"}],
        [{"role": "user", "content": "  "}],
        [{"role": "system", "content": "x"}],
    ],
)
def test_a_conversation_that_ends_without_a_question_is_refused(messages: list[Any]) -> None:
    with pytest.raises(InvalidInputError, match="last message"):
        read_pipeline(messages=messages).turns()


def test_instructions_as_long_as_those_of_agents_are_kept_whole() -> None:
    instructions = "be brief. " * 20_000

    asked = read_pipeline(messages=[{"role": "system", "content": instructions}, {"role": "user", "content": "why?"}])

    assert asked.turns().instructions == instructions


def test_of_a_talk_without_end_the_newest_turns_are_kept() -> None:
    talk = [{"role": "user", "content": f"turn {number}"} for number in range(1_500)]

    turns = read_pipeline(messages=talk).turns().turns

    assert len(turns) == 1_000
    assert turns[-1].content == "turn 1499"


def test_the_character_that_not_every_database_stores_is_left_out() -> None:
    messages = [
        {"role": "system", "content": "a\x00b"},
        {"role": "user", "content": [{"type": "text", "text": "c\x00d"}]},
    ]

    turns = read_pipeline(messages=messages).turns()

    assert (turns.instructions, turns.turns[0].content) == ("ab", "cd")


@pytest.mark.parametrize(
    "name", ["stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "response_format"]
)
def test_what_may_be_left_out_may_be_null(name: str) -> None:
    assert not getattr(read_pipeline(**{name: None}), name)


def test_a_wrong_field_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"messages\.0\.role") as caught:
        read_pipeline(messages=[{"role": "nobody", "content": "x"}])
    assert caught.value.details["param"] == "messages.0.role"


def test_a_stream_is_role_text_and_an_end_with_citations_and_usage() -> None:
    writer = CompletionWriter(with_usage=True)

    *chunks, done = events(writer.begin() + writer.write(TextPiece("It is so [1].")) + writer.write(end()))

    assert [chunk["object"] for chunk in chunks] == ["chat.completion.chunk"] * 4
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[1]["choices"][0]["delta"] == {"content": "It is so [1]."}
    last = chunks[2]["choices"][0]
    assert last["finish_reason"] == "stop"
    assert last["delta"]["annotations"][0]["url_citation"]["start_index"] == 9
    assert chunks[3]["usage"]["total_tokens"] == 5
    assert done == "[DONE]"
    assert len(events(CompletionWriter(with_usage=False).write(end()))) == 2


def test_a_whole_answer_holds_text_citations_and_usage() -> None:
    completion = Completion()
    completion.add(end())

    whole = CompletionWriter(with_usage=False).whole(completion)

    assert whole["object"] == "chat.completion"
    assert whole["choices"][0]["message"]["content"] == "It is so [1]."
    assert whole["usage"]["prompt_tokens_details"] == {"cached_tokens": 1}


def test_every_mark_in_the_text_is_a_citation_in_order_and_unused_sources_are_none() -> None:
    sources = [located(each, "http://here") for each in (source(1, url="https://x.example/1"), source(2), source(3))]
    cited = annotations("a [2] b [1] c [2]", sources)

    assert [each["url_citation"]["start_index"] for each in cited] == [2, 8, 14]
    assert cited[1]["url_citation"]["url"] == "https://x.example/1"
    assert cited[0]["url_citation"]["url"].startswith("http://here/documents/")


def test_embeddings_are_numbers_or_the_bytes_themselves() -> None:
    vector = struct.pack("<2f", 0.5, -1.0)

    made = Embeddings(model="m", dimensions=2, vectors=vector)
    numbers = embeddings_body(made, encoding="float", texts=["four words in it"])
    coded = embeddings_body(made, encoding="base64", texts=["x"])

    assert numbers["data"][0]["embedding"] == [0.5, -1.0]
    assert coded["data"][0]["embedding"] == "AAAAPwAAgL8="
    assert numbers["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


def test_texts_to_embed_are_one_or_many_and_token_ids_are_refused() -> None:
    def read(value: Any) -> tuple[str, ...]:
        return read_request(EmbeddingsRequest, {"model": "m", "input": value}).texts

    assert read("a") == ("a",)
    assert read(["a", "b"]) == ("a", "b")
    with pytest.raises(InvalidInputError, match="input"):
        read([1, 2])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotFoundError("no", model="x"), "invalid_request_error"),
        (TooManyRequestsError("slow down"), "requests"),
        (InvalidInputError("bad"), "invalid_request_error"),
        (UnavailableError("later"), "server_error"),
    ],
)
def test_errors_have_openais_shape(error: Any, kind: str) -> None:
    rendered = error_body(error)["error"]

    assert rendered["type"] == kind
    assert rendered["code"] == error.code
    assert rendered["param"] == ("model" if "model" in error.details else None)


def test_an_error_inside_a_stream_is_an_event() -> None:
    assert events(failed_chunk(UnavailableError("gone")))[0]["error"]["message"] == "gone"
