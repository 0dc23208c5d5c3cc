"""`/v1` over services that answer, fail, and are not there."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from fireside.contracts.answer import Failed, Token
from fireside.contracts.inference import ForwardHead
from fireside.core.errors import UnavailableError
from fireside.core.identity import user_identity
from tests.services.gateway.gateway_house import (
    BASE,
    USER_ID,
    FakeChat,
    FakeEmbeddings,
    FakeInference,
    chunks,
    final,
    gateway,
)

COMPLETIONS = "/v1/chat/completions"
QUESTION = {"role": "user", "content": "why?"}
SSE = ForwardHead(status=200, media_type="text/event-stream")


@dataclass
class House:
    client: httpx.AsyncClient = field(init=False)
    inference: FakeInference = field(default_factory=FakeInference)
    chat: FakeChat = field(default_factory=FakeChat)

    async def ask(self, **fields: Any) -> httpx.Response:
        body = {"model": "fireside", "messages": [{"role": "user", "content": "why?"}], **fields}
        return await self.client.post(COMPLETIONS, json=body)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    async with gateway(house.inference, house.chat, FakeEmbeddings()) as house.client:
        yield house


async def test_models_are_the_pipeline_and_what_is_served(house: House) -> None:
    listed = (await house.client.get("/v1/models")).json()

    assert [model["id"] for model in listed["data"]] == ["fireside", "tiny", "mini", "mini@2"]
    assert (await house.client.get("/v1/models/tiny")).json()["object"] == "model"


async def test_an_unknown_model_is_not_found_in_openais_shape(house: House) -> None:
    reply = await house.client.get("/v1/models/nowhere")

    assert reply.status_code == 404
    assert "nowhere" in reply.json()["error"]["message"]
    assert (reply.json()["error"]["code"], reply.json()["error"]["param"]) == ("model_not_found", "model")


@pytest.mark.parametrize("path", ["openai/gpt-4o", "openai%2Fgpt-4o"])
async def test_a_model_whose_name_holds_a_slash_is_found(path: str) -> None:
    async with gateway(FakeInference("openai/gpt-4o")) as client:
        found = await client.get(f"/v1/models/{path}")

    assert (found.status_code, found.json()["id"]) == (200, "openai/gpt-4o")


async def test_the_pipeline_is_listed_when_nothing_else_is_there() -> None:
    async with gateway(FakeChat()) as client:
        listed = (await client.get("/v1/models")).json()

    assert [model["id"] for model in listed["data"]] == ["fireside"]


async def test_the_pipeline_answers_whole(house: House) -> None:
    answer = (await house.ask()).json()

    message = answer["choices"][0]["message"]
    assert message["content"] == "It is so [1]."
    cited = message["annotations"][0]["url_citation"]
    assert cited["title"] == "A"
    assert cited["url"].startswith(f"{BASE}/documents/")
    assert house.chat.asked[0].turns[0].content == "why?"


@pytest.mark.parametrize(
    ("path", "fields", "place"),
    [
        (COMPLETIONS, {}, "choices.0.finish_reason=length"),
        ("/v1/messages", {"max_tokens": 5}, "stop_reason=max_tokens"),
        ("/api/chat", {"stream": False}, "done_reason=length"),
        ("/v1/responses", {"input": "why?", "store": False}, "incomplete_details.reason=max_output_tokens"),
    ],
)
async def test_an_answer_of_the_pipeline_that_was_cut_says_so_in_every_dialect(
    house: House, path: str, fields: dict[str, Any], place: str
) -> None:
    house.chat.events[-1] = final().model_copy(update={"finish_reason": "length"})

    told = (await house.client.post(path, json={"model": "fireside", "messages": [QUESTION], **fields})).json()

    where, _, reason = place.partition("=")
    for part in where.split("."):
        told = told[int(part) if part.isdigit() else part]
    assert told == reason


async def test_the_pipeline_streams(house: House) -> None:
    reply = await house.ask(stream=True, stream_options={"include_usage": True})

    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-cache"
    *pieces, done = chunks(reply.content)
    assert done == "[DONE]"
    assert "".join(piece["choices"][0]["delta"].get("content") or "" for piece in pieces[:-1]) == "It is so [1]."
    assert pieces[-1]["usage"]["total_tokens"] == 0


async def test_an_answer_that_failed_is_an_error(house: House) -> None:
    house.chat.events = [Failed(code="upstream", title="Bad", status=502, detail="the model fell over")]

    reply = await house.ask()

    assert reply.status_code == 502
    assert reply.json()["error"]["message"] == "the model fell over"


@pytest.mark.parametrize("raised", [True, False])
async def test_an_error_after_the_first_words_stands_in_the_stream(house: House, raised: bool) -> None:
    house.chat.events = [Token(text="It ")]
    if raised:
        house.chat.fails = UnavailableError("the model went away")
    else:
        house.chat.events.append(Failed(code="unavailable", title="Gone", status=503, detail="the model went away"))

    reply = await house.ask(stream=True)

    assert reply.status_code == 200
    *_, error, done = chunks(reply.content)
    assert error["error"]["code"] == "unavailable"
    assert error["error"]["message"] == "the model went away"
    assert done == "[DONE]"


async def test_an_answer_without_its_end_is_an_error(house: House) -> None:
    house.chat.events = [Token(text="It ")]

    assert (await house.ask()).status_code == 502


async def test_a_plain_model_gets_the_very_bytes_and_its_reply_comes_back_as_it_is(house: House) -> None:
    body = b'{"model": "tiny",  "messages": [], "grammar": "root"}'

    reply = await house.client.post(COMPLETIONS, content=body)

    assert house.inference.asked[0].body == body
    assert house.inference.asked[0].path == COMPLETIONS
    assert (reply.status_code, reply.content) == (200, b'{"choices":[]}')


async def test_a_refusal_of_the_models_server_keeps_its_status(house: House) -> None:
    house.inference.head = ForwardHead(status=400, media_type="application/json")

    assert (await house.ask(model="tiny")).status_code == 400


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_plain_models_stream_is_passed_through(house: House, elsewhere: bool) -> None:
    house.inference.elsewhere = elsewhere
    house.inference.head, house.inference.reply = SSE, [b'data: {"a":', b"1}\n\n", b"data: [DONE]\n\n"]

    reply = await house.ask(model="tiny", stream=True)

    assert reply.content == b'data: {"a":1}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_plain_models_stream_that_breaks_ends_with_the_error(house: House, elsewhere: bool) -> None:
    house.inference.elsewhere = elsewhere
    house.inference.head, house.inference.reply = SSE, [b'data: {"a":1}\n\n']
    house.inference.fails = UnavailableError("the engine was killed")

    reply = await house.ask(model="tiny", stream=True)

    first, error, done = chunks(reply.content)
    assert first == {"a": 1}
    assert error["error"]["message"] == "the engine was killed"
    assert done == "[DONE]"


async def test_a_models_server_that_says_nothing_is_an_error(house: House) -> None:
    house.inference.head, house.inference.reply = None, []

    assert (await house.ask(model="tiny")).status_code == 502


@pytest.mark.parametrize(
    "fields",
    [{"n": 2}, {"response_format": {"type": "json_object"}}, {"max_tokens": 0}],
    ids=lambda fields: min(fields),
)
async def test_what_the_pipeline_cannot_give_is_refused(house: House, fields: Any) -> None:
    reply = await house.ask(**fields)

    assert reply.status_code == 400
    assert reply.json()["error"]["param"].startswith(min(fields))
    assert house.chat.asked == []


async def test_a_prompt_is_passed_through_and_the_pipeline_takes_none(house: House) -> None:
    body = b'{"model": "tiny", "prompt": "x", "n": 2}'

    assert (await house.client.post("/v1/completions", content=body)).content == b'{"choices":[]}'
    assert (house.inference.asked[0].path, house.inference.asked[0].body) == ("/v1/completions", body)
    refused = await house.client.post("/v1/completions", json={"model": "fireside", "prompt": "x"})
    assert refused.status_code == 400


async def test_texts_are_ranked_by_similarity_or_by_a_model_that_ranks(house: House) -> None:
    asked = {"query": "q", "documents": ["a", {"text": "b"}], "top_n": 1, "return_documents": True}

    ranked = (await house.client.post("/v1/rerank", json=asked)).json()
    passed = await house.client.post("/v1/rerank", json={**asked, "model": "tiny"})
    unknown = await house.client.post("/v1/rerank", json={**asked, "model": "nowhere"})

    assert ranked["results"] == [{"index": 0, "relevance_score": 1.0, "document": {"text": "a"}}]
    assert (ranked["model"], ranked["usage"]["total_tokens"]) == ("mini", 3)
    assert passed.content == b'{"choices":[]}'
    assert house.inference.asked[0].path == "/v1/rerank"
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (COMPLETIONS, {"messages": [{"role": "system", "content": "x" * 1_000_001}, QUESTION]}),
        ("/v1/responses", {"instructions": "x" * 1_000_001, "input": "why?"}),
        ("/v1/messages", {"system": "x" * 1_000_001, "messages": [QUESTION], "max_tokens": 5}),
        ("/api/chat", {"messages": [{"role": "system", "content": "x" * 1_000_001}, QUESTION]}),
    ],
)
async def test_instructions_beyond_all_measure_are_the_clients_error_in_every_dialect(
    house: House, path: str, body: dict[str, Any]
) -> None:
    reply = await house.client.post(path, json={"model": "fireside", **body})

    assert reply.status_code == 400
    assert "1000000" in str(reply.json()["error"])


async def test_too_many_texts_and_other_dimensions_are_refused(house: House) -> None:
    for fields in ({"input": []}, {"input": ["a"] * 8193}, {"input": "a", "dimensions": 3}):
        assert (await house.client.post("/v1/embeddings", json={"model": "mini", **fields})).status_code == 400


@pytest.mark.parametrize(
    "wish", [{"input": [15496, 995]}, {"input": [[15496], [995]]}, {"input": "a", "dimensions": 3}, {"input": None}]
)
async def test_what_a_served_model_embeds_its_server_decides(house: House, wish: dict[str, Any]) -> None:
    asked = {"model": "tiny", **wish}

    reply = await house.client.post("/v1/embeddings", json=asked)

    assert reply.content == b'{"choices":[]}'
    assert house.inference.asked[0].path == "/v1/embeddings"
    assert house.inference.last_body == asked


async def test_texts_become_vectors(house: House) -> None:
    made = (await house.client.post("/v1/embeddings", json={"model": "mini", "input": ["a", "b"]})).json()
    other = (await house.client.post("/v1/embeddings", json={"model": "mini@2", "input": "a"})).json()
    cards = {card["id"]: card for card in (await house.client.get("/v1/models")).json()["data"]}
    assert (other["model"], other["data"][0]["embedding"]) == ("mini@2", [1.0, 0.0, 1.0, 0.0])
    assert cards["mini@2"]["embedding"] == {"version": "2", "dimensions": 4, "max_tokens": 8, "pooling": "mean"}
    assert "embedding" not in cards["tiny"]

    assert [row["embedding"] for row in made["data"]] == [[1.0, 0.0], [1.0, 0.0]]
    refused = await house.client.post("/v1/embeddings", json={"model": "maxi", "input": "a"})
    assert refused.status_code == 404
    assert "mini" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"messages": []}', b'{"model": "fireside"}', b'{"model": "fireside", "messages": []}']
)
async def test_a_wrong_request_is_the_clients_error_in_openais_shape(house: House, body: bytes) -> None:
    reply = await house.client.post(COMPLETIONS, content=body)

    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"


async def test_who_may_not_use_models_is_refused() -> None:
    bystander = user_identity(USER_ID, roles=[], permissions=[])
    async with gateway(FakeInference(), identity=bystander) as client:
        reply = await client.get("/v1/models")

    assert reply.status_code == 403
