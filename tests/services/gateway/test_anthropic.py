"""`/v1/messages`: what reaches a model's server, what comes back, and how the pipeline cites."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest

from fireside.contracts.answer import Failed, Token
from fireside.contracts.inference import ForwardHead
from fireside.core.errors import UnavailableError
from tests.services.gateway.gateway_house import FakeChat, FakeInference, gateway

QUESTION = [{"role": "user", "content": "why?"}]
TOOL = {"name": "weather", "description": "of a town", "input_schema": {"type": "object"}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
CALL = [
    {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": ""}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"town": '}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '"Bonn"}'}}]},
]


@dataclass
class House:
    client: httpx.AsyncClient = field(init=False)
    inference: FakeInference = field(default_factory=FakeInference)
    chat: FakeChat = field(default_factory=FakeChat)

    async def ask(self, **fields: Any) -> httpx.Response:
        body = {"model": "tiny", "max_tokens": 9, "messages": QUESTION, **fields}
        return await self.client.post("/v1/messages", json=body)

    async def passed_on(self, **fields: Any) -> Any:
        self.inference.streams({"content": "so"})
        assert (await self.ask(**fields)).status_code == 200
        return self.inference.last_body


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    async with gateway(house.inference, house.chat) as house.client:
        yield house


def events(reply: httpx.Response) -> list[Any]:
    found = []
    for block in reply.content.decode().strip().split("\n\n"):
        name, data = block.split("\n")
        found.append(orjson.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


async def test_a_model_answers_whole(house: House) -> None:
    house.inference.streams({"role": "assistant", "content": ""}, {"content": "It is "}, {"content": "so."})

    message = (await house.ask()).json()

    assert message["id"].startswith("msg_")
    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", "tiny")
    assert message["content"] == [{"type": "text", "text": "It is so.", "citations": None}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)
    assert (message["usage"]["input_tokens"], message["usage"]["cache_read_input_tokens"]) == (5, 2)
    assert message["usage"]["output_tokens"] == 3


async def test_a_stream_has_the_events_of_the_real_api_in_their_order(house: House) -> None:
    house.inference.streams({"content": "It is "}, {"content": "so."}, finish_reason="length")

    reply = await house.ask(stream=True)

    assert reply.headers["content-type"].startswith("text/event-stream")
    found = events(reply)
    assert [event["type"] for event in found] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert found[0]["message"]["content"] == []
    assert found[3]["delta"] == {"type": "text_delta", "text": "It is "}
    assert found[-2]["delta"] == {"stop_reason": "max_tokens", "stop_sequence": None}
    assert found[-2]["usage"]["output_tokens"] == 3


async def test_a_tool_call_is_a_block_of_its_own_whole_and_streamed(house: House) -> None:
    house.inference.streams({"content": "Let me look."}, *CALL, finish_reason="tool_calls")

    whole = (await house.ask(tools=[TOOL])).json()
    streamed = events(await house.ask(tools=[TOOL], stream=True))

    assert whole["stop_reason"] == "tool_use"
    assert whole["content"][1] == {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"town": "Bonn"}}
    starts = [event for event in streamed if event["type"] == "content_block_start"]
    assert [(start["index"], start["content_block"]["type"]) for start in starts] == [(0, "text"), (1, "tool_use")]
    pieces = [e["delta"]["partial_json"] for e in streamed if e.get("delta", {}).get("type") == "input_json_delta"]
    assert "".join(pieces) == '{"town": "Bonn"}'
    assert [event["index"] for event in streamed if event["type"] == "content_block_stop"] == [0, 1]


async def test_a_message_with_a_call_stops_for_it_though_its_server_says_that_it_is_done(house: House) -> None:
    house.inference.streams(*CALL, finish_reason="stop")
    forced = {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "weather"}}

    whole = (await house.ask(**forced)).json()
    streamed = events(await house.ask(**forced, stream=True))

    assert whole["stop_reason"] == "tool_use"
    assert streamed[-2]["delta"]["stop_reason"] == "tool_use"


async def test_everything_that_a_model_can_use_is_passed_on(house: House) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    body = await house.passed_on(
        system=[{"type": "text", "text": "be brief"}],
        stop_sequences=["END"],
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        tools=[TOOL],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        output_config={"format": {"type": "json_schema", "schema": schema}},
        metadata={"user_id": "x"},
    )

    assert body["messages"] == [{"role": "system", "content": "be brief"}, *QUESTION]
    assert (body["max_tokens"], body["stop"], body["top_k"]) == (9, ["END"], 4)
    assert body["tools"][0]["function"]["parameters"] == {"type": "object"}
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert body["stream_options"] == {"include_usage": True}
    assert "metadata" not in body


async def test_an_instruction_among_the_messages_is_passed_on_in_its_place(house: House) -> None:
    brief = {"role": "system", "content": [{"type": "text", "text": "be brief"}]}

    body = await house.passed_on(messages=[*QUESTION, brief, *QUESTION])
    await house.ask(model="fireside", system="be kind", messages=[*QUESTION, brief])

    assert body["messages"] == [*QUESTION, {"role": "system", "content": "be brief"}, *QUESTION]
    assert house.chat.asked[0].instructions == "be kind\nbe brief"


async def test_images_tools_and_their_results_become_openais_messages(house: House) -> None:
    use = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"town": "Bonn"}}
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "rain"}]}
    body = await house.passed_on(
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "look"}, IMAGE]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}, use]},
            {"role": "user", "content": [result, {"type": "text", "text": "and?"}]},
        ],
        tool_choice={"type": "tool", "name": "weather"},
    )

    look, called, told, asked = body["messages"]
    assert look["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    assert called["content"] is None
    assert called["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"town":"Bonn"}'}
    assert told == {"role": "tool", "tool_call_id": "call_1", "content": "rain"}
    assert asked == {"role": "user", "content": "and?"}
    assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"content": []}, ""),
        ({}, ""),
        ({"content": "no such town", "is_error": True}, "Error: no such town"),
        ({"content": [{"type": "text", "text": "no such town"}], "is_error": True}, "Error: no such town"),
        ({"content": [], "is_error": True}, "Error: the tool failed"),
    ],
)
async def test_what_a_tool_answered_is_text_that_tells_a_failure(house: House, result: Any, told: str) -> None:
    block = {"type": "tool_result", "tool_use_id": "call_1", **result}

    body = await house.passed_on(messages=[{"role": "user", "content": [block]}])

    assert body["messages"] == [{"role": "tool", "tool_call_id": "call_1", "content": told}]


async def test_a_failure_that_a_tool_shows_begins_with_that_word(house: House) -> None:
    block = {"type": "tool_result", "tool_use_id": "call_1", "content": [IMAGE], "is_error": True}

    body = await house.passed_on(messages=[{"role": "user", "content": [block]}])

    said, shown = body["messages"][0]["content"]
    assert (said, shown["type"]) == ({"type": "text", "text": "Error:"}, "image_url")


@pytest.mark.parametrize(
    "source",
    [
        {"type": "text", "media_type": "text/plain", "data": "rain\nsun"},
        {"type": "content", "content": "rain\nsun"},
        {"type": "content", "content": [{"type": "text", "text": "rain"}, {"type": "text", "text": "sun"}]},
    ],
)
async def test_a_document_of_text_is_read_with_its_title_and_context(house: House, source: Any) -> None:
    document = {"type": "document", "title": "Weather", "context": "of Bonn", "source": source}

    body = await house.passed_on(messages=[{"role": "user", "content": [document]}])

    assert body["messages"] == [{"role": "user", "content": "Weather\nof Bonn\nrain\nsun"}]


async def test_the_images_of_a_document_stand_behind_its_text(house: House) -> None:
    source = {"type": "content", "content": [IMAGE, {"type": "text", "text": "rain"}]}

    body = await house.passed_on(messages=[{"role": "user", "content": [{"type": "document", "source": source}]}])

    said, shown = body["messages"][0]["content"]
    assert (said["text"], shown["image_url"]["url"]) == ("rain", "data:image/png;base64,QUJD")


async def test_the_pipeline_cites_in_its_text_block_whole_and_streamed(house: House) -> None:
    whole = (await house.ask(model="fireside", system="be brief")).json()
    streamed = events(await house.ask(model="fireside", stream=True))

    [block] = whole["content"]
    assert block["text"] == "It is so [1]."
    [citation] = block["citations"]
    assert (citation["type"], citation["title"], citation["cited_text"]) == ("search_result_location", "A", "so")
    assert citation["source"].startswith("http://")
    assert "/documents/" in citation["source"]
    deltas = [event["delta"] for event in streamed if event["type"] == "content_block_delta"]
    assert "".join(delta["text"] for delta in deltas if delta["type"] == "text_delta") == "It is so [1]."
    assert deltas[-1]["citation"]["title"] == "A"
    assert (house.chat.asked[0].instructions, house.chat.asked[0].max_tokens) == ("be brief", 9)


async def test_a_failure_before_the_first_word_has_its_own_status(house: House) -> None:
    house.chat.events = [Failed(code="unavailable", title="Gone", status=503, detail="no model")]

    for stream in (True, False):
        reply = await house.ask(model="fireside", stream=stream)
        assert reply.status_code == 503
        assert reply.json()["error"]["type"] == "overloaded_error"


async def test_a_failure_after_the_first_word_is_the_last_event(house: House) -> None:
    house.chat.events, house.chat.fails = [Token(text="It ")], UnavailableError("the model went away")

    found = events(await house.ask(model="fireside", stream=True))

    assert found[-1]["error"]["message"] == "the model went away"
    assert found[-2]["delta"]["text"] == "It "


async def test_a_refusal_of_the_models_server_is_told_in_anthropics_shape(house: House) -> None:
    house.inference.head = ForwardHead(status=400, media_type="application/json")
    house.inference.reply = [b'{"error": {"message": "the prompt is too long"}}']

    reply = await house.ask()

    assert reply.status_code == 400
    assert reply.json()["type"] == "error"
    assert "too long" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "content"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "base64"}}]}]},
            "plain text",
        ),
    ],
)
async def test_a_wrong_request_is_refused_by_the_name_of_its_field(house: House, fields: Any, named: str) -> None:
    reply = await house.ask(**fields)

    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"
    assert named in reply.json()["error"]["message"]
    assert reply.json()["request_id"] == "request-1"


async def test_tokens_are_counted_by_the_model_without_generating(house: House) -> None:
    house.inference.reply = [b'{"input_tokens": 12}']

    for model in ("tiny", "fireside"):
        body = {"model": model, "messages": QUESTION, "system": "x"}
        counted = await house.client.post("/v1/messages/count_tokens", json=body)
        assert counted.json() == {"input_tokens": 12}

    assert house.inference.asked[0].path == "/v1/chat/completions/input_tokens"
    assert {asked.model for asked in house.inference.asked} == {"tiny"}


async def test_a_server_that_cannot_count_is_asked_for_one_token(house: House) -> None:
    house.inference.reply = [b'{"choices": [], "usage": {"prompt_tokens": 5}}']

    counted = await house.client.post("/v1/messages/count_tokens", json={"model": "tiny", "messages": QUESTION})

    assert counted.json() == {"input_tokens": 5}
    assert house.inference.asked[-1].path == "/v1/chat/completions"
    assert house.inference.last_body["max_tokens"] == 1


async def test_without_a_model_the_pipelines_tokens_are_estimated(house: House) -> None:
    house.inference.is_absent = True
    question = [{"role": "user", "content": "word " * 100}]

    counted = await house.client.post("/v1/messages/count_tokens", json={"model": "fireside", "messages": question})

    assert 100 <= counted.json()["input_tokens"] <= 200
    assert house.inference.asked == []
