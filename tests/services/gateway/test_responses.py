"""`/v1/responses`: events in their order, what reaches a model's server, and what is kept."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from fireside.contracts import stored_responses
from fireside.contracts.answer import Token
from fireside.contracts.base import Nothing
from fireside.core.errors import NotFoundError, UnavailableError
from fireside.runtime.context import Context
from fireside.runtime.mesh import action
from tests.services.gateway.gateway_house import FakeChat, FakeInference, gateway

TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}
CALL = [
    {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": ""}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"town": "Bonn"}'}}]},
]


class KeepingChat(FakeChat):
    """A chat service that keeps responses in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.kept: dict[UUID, stored_responses.StoredResponse] = {}

    @action(stored_responses.KEEP)
    async def keep(self, context: Context, request: stored_responses.StoredResponse) -> Nothing:
        if self.full:
            raise UnavailableError("the disk is full")
        self.kept[request.id] = request
        return Nothing()

    @action(stored_responses.THREAD)
    async def thread(self, context: Context, request: stored_responses.ResponseRef) -> stored_responses.ResponseThread:
        found, wanted = [], request.response_id
        while wanted in self.kept:
            found.append(self.kept[wanted])
            wanted = found[-1].previous_id
        if not found:
            raise NotFoundError
        return stored_responses.ResponseThread(items=tuple(reversed(found)))

    @action(stored_responses.GET)
    async def get(self, context: Context, request: stored_responses.ResponseRef) -> stored_responses.StoredResponse:
        return (await self.thread(context, request)).items[-1]

    @action(stored_responses.DELETE)
    async def delete(self, context: Context, request: stored_responses.ResponseRef) -> Nothing:
        await self.thread(context, request)
        del self.kept[request.response_id]
        return Nothing()


@dataclass
class House:
    client: httpx.AsyncClient = field(init=False)
    inference: FakeInference = field(default_factory=FakeInference)
    chat: KeepingChat = field(default_factory=KeepingChat)

    async def ask(self, **fields: Any) -> httpx.Response:
        return await self.client.post("/v1/responses", json={"model": "tiny", "input": "why?", **fields})


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    async with gateway(house.inference, house.chat) as house.client:
        yield house


def events(reply: httpx.Response) -> list[Any]:
    found = [orjson.loads(block.split(b"data: ")[1]) for block in reply.content.strip().split(b"\n\n")]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


async def test_a_stream_has_the_events_of_the_real_api_in_their_order(house: House) -> None:
    house.inference.streams({"content": "It is "}, {"content": "so."})

    found = events(await house.ask(stream=True))

    assert [event["type"] for event in found] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert found[0]["response"]["output"] == []
    assert found[2]["item"]["content"] == []
    assert found[6]["text"] == "It is so."
    response = found[-1]["response"]
    assert response["output"] == [found[-2]["item"]]
    assert (response["status"], response["usage"]["total_tokens"]) == ("completed", 10)
    assert {event["item_id"] for event in found if "item_id" in event} == {response["output"][0]["id"]}


async def test_calls_of_tools_are_items_of_their_own_whole_and_streamed(house: House) -> None:
    house.inference.streams({"content": "Let me look."}, *CALL, finish_reason="tool_calls")

    whole = (await house.ask(tools=[TOOL], tool_choice={"type": "function", "name": "weather"})).json()
    found = events(await house.ask(tools=[TOOL], stream=True))

    message, call = whole["output"]
    assert message["content"][0]["text"] == "Let me look."
    assert (call["type"], call["call_id"], call["arguments"]) == ("function_call", "call_1", '{"town": "Bonn"}')
    assert [event["type"].removeprefix("response.") for event in found[8:]] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event["output_index"] for event in found[8:12]] == [1, 1, 1, 1]
    body = orjson.loads(house.inference.asked[0].body)
    assert body["tools"][0] == {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object"}, "strict": True},
    }
    assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


async def test_a_tool_called_before_anything_is_said_is_the_first_item(house: House) -> None:
    house.inference.streams(*CALL, {"content": "Wait."})

    found = events(await house.ask(stream=True))

    assert [item["type"] for item in found[-1]["response"]["output"]] == ["function_call", "message"]
    assert [e["output_index"] for e in found if e["type"] == "response.output_item.done"] == [0, 1]


async def test_text_after_a_call_is_a_message_of_its_own(house: House) -> None:
    house.inference.streams({"content": "Look."}, *CALL, {"content": "\n"}, {"content": "Wait."})

    whole = (await house.ask()).json()
    found = events(await house.ask(stream=True))

    response = found[-1]["response"]
    ids = [item["id"] for item in response["output"]]
    told = [event for event in found if event["type"].endswith(("output_text.delta", "arguments.delta"))]
    assert [(event["output_index"], event["delta"]) for event in told] == [
        (0, "Look."),
        (1, '{"town": "Bonn"}'),
        (2, "\n"),
        (2, "Wait."),
    ]
    assert all(event["item_id"] == ids[event["output_index"]] for event in found if "item_id" in event)
    assert [event["item"] for event in found if event["type"] == "response.output_item.done"] == response["output"]
    assert len(set(ids)) == 3
    assert [item["type"] for item in whole["output"]] == ["message", "function_call", "message"]
    assert [item["content"][0]["text"] for item in whole["output"][::2]] == ["Look.", "\nWait."]


async def test_pieces_of_calls_that_are_written_at_once_belong_to_their_own_items(house: House) -> None:
    pieces = [(0, "a", '{"x":'), (1, "b", '{"y":'), (0, "", "1}"), (1, "", "2}")]
    deltas = [{"index": n, "id": call_id, "function": {"name": call_id, "arguments": a}} for n, call_id, a in pieces]
    house.inference.streams(*({"tool_calls": [delta]} for delta in deltas), finish_reason="tool_calls")

    found = events(await house.ask(stream=True))

    told = [event for event in found if event["type"] == "response.function_call_arguments.delta"]
    done = [event for event in found if event["type"] == "response.output_item.done"]
    assert [(event["output_index"], event["delta"]) for event in told] == [(n, a) for n, _, a in pieces]
    assert [(event["output_index"], event["item"]["arguments"]) for event in done] == [(0, '{"x":1}'), (1, '{"y":2}')]


async def test_everything_that_a_model_can_use_is_passed_on(house: House) -> None:
    house.inference.streams({"content": "so"})
    schema = {"type": "object", "properties": {}}
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA"}
    items = [
        {"role": "developer", "content": "be kind"},
        {"role": "user", "content": [{"type": "input_text", "text": "look"}, image]},
        {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "rain"},
    ]
    wishes = {"max_output_tokens": 5, "temperature": 0, "top_p": 0.5, "reasoning": {"effort": "low"}}
    text = {"format": {"type": "json_schema", "name": "door", "schema": schema, "strict": True}}

    reply = await house.ask(input=items, instructions="be brief", text=text, **wishes)

    body = house.inference.last_body
    assert [message["role"] for message in body["messages"]] == ["system", "system", "user", "assistant", "tool"]
    assert body["messages"][2]["content"][1]["image_url"]["url"] == image["image_url"]
    assert body["messages"][3]["tool_calls"][0]["id"] == body["messages"][4]["tool_call_id"] == "c"
    assert (body["max_tokens"], body["reasoning_effort"]) == (5, "low")
    assert body["response_format"]["json_schema"] == {"name": "door", "schema": schema, "strict": True}
    assert reply.json()["text"] == text


async def test_a_response_goes_on_from_one_before(house: House) -> None:
    house.inference.streams({"content": "Because."})
    first = (await house.ask(instructions="be brief")).json()
    second = (await house.ask(input="And then?", previous_response_id=first["id"])).json()

    assert house.inference.last_body["messages"] == [
        {"role": "user", "content": "why?"},
        {"role": "assistant", "content": "Because."},
        {"role": "user", "content": "And then?"},
    ]
    assert second["previous_response_id"] == first["id"]
    assert (await house.client.get(f"/v1/responses/{second['id']}")).json() == second
    listed = (await house.client.get(f"/v1/responses/{second['id']}/input_items?order=asc")).json()
    assert [item["content"][0]["text"] for item in listed["data"]] == ["why?", "Because.", "And then?"]


async def test_a_stream_is_kept_before_its_end_is_told(house: House) -> None:
    found = events(await house.ask(model="fireside", stream=True))
    kept = (await house.client.get(f"/v1/responses/{found[-1]['response']['id']}")).json()
    house.chat.full = True
    told = events(await house.ask(model="fireside", stream=True))

    assert kept["output"] == found[-1]["response"]["output"]
    assert "response.completed" not in [event["type"] for event in told]
    assert told[-1]["type"] == "response.failed"


async def test_what_was_said_after_a_call_goes_back_before_what_the_tool_answered(house: House) -> None:
    house.inference.streams(*CALL, {"content": "Wait."}, finish_reason="tool_calls")
    first = (await house.ask()).json()["id"]
    output = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
    await house.ask(input=[output], previous_response_id=first)

    _, said, answered = house.inference.last_body["messages"]
    assert (said["role"], said["content"], said["tool_calls"][0]["id"]) == ("assistant", "Wait.", "call_1")
    assert (answered["role"], answered["tool_call_id"]) == ("tool", "call_1")


async def test_what_was_said_between_answers_of_tools_joins_the_calls(house: House) -> None:
    calls = [{"type": "function_call", "call_id": c, "name": "weather", "arguments": ""} for c in "ab"]
    outputs = [{"type": "function_call_output", "call_id": c, "output": c} for c in "ab"]
    said = [{"role": "assistant", "content": text} for text in ("Look.", "Wait.", "So.")]
    house.inference.streams({"content": "so"})
    await house.ask(input=[said[0], *calls, outputs[0], said[1], outputs[1], said[2]])

    messages = house.inference.last_body["messages"]
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "assistant"]
    assert (messages[0]["content"], messages[3]["content"]) == ("Look.\nWait.", "So.")
    assert [call["function"]["arguments"] for call in messages[0]["tool_calls"]] == ["{}", "{}"]


async def test_a_call_without_arguments_has_an_empty_object(house: House) -> None:
    house.inference.streams(CALL[0], finish_reason="tool_calls")

    [call] = (await house.ask()).json()["output"]
    found = events(await house.ask(stream=True))

    assert call["arguments"] == "{}"
    assert [event.get("delta") for event in found[2:5]] == [None, "{}", None]
    assert found[4]["arguments"] == "{}"


@pytest.mark.parametrize(
    ("finish_reason", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
async def test_what_was_being_written_when_an_answer_was_cut_is_incomplete(
    house: House, finish_reason: str, reason: str
) -> None:
    house.inference.streams({"content": "Look."}, CALL[0], finish_reason=finish_reason)

    whole = (await house.ask()).json()
    found = events(await house.ask(stream=True))

    assert (whole["status"], whole["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert [(item["status"], item.get("arguments")) for item in whole["output"]] == [
        ("completed", None),
        ("incomplete", ""),
    ]
    assert found[-1]["type"] == "response.incomplete"
    assert found[-2]["item"]["status"] == "incomplete"


async def test_a_refusal_is_a_part_of_its_own_and_goes_back_as_text(house: House) -> None:
    house.inference.streams({"refusal": "I will "}, {"refusal": "not."})

    whole = (await house.ask()).json()
    found = events(await house.ask(stream=True))
    await house.ask(input="And now?", previous_response_id=whole["id"])

    part = {"type": "refusal", "refusal": "I will not."}
    assert whole["output"][0]["content"] == [part]
    assert [event["type"].removeprefix("response.") for event in found[2:]] == [
        "output_item.added",
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert found[3]["part"] == {"type": "refusal", "refusal": ""}
    assert (found[5]["delta"], found[6]["refusal"], found[7]["part"]) == ("not.", "I will not.", part)
    assert house.inference.last_body["messages"][1] == {"role": "assistant", "content": "I will not."}


async def test_calls_that_all_have_the_same_index_are_told_apart_by_their_ids(house: House) -> None:
    named = [{"index": 0, "id": c, "function": {"name": c, "arguments": "{"}} for c in "ab"]
    rest = [{"index": 0, "id": again, "function": {"arguments": "}"}} for again in ("a", "")]
    deltas = [named[0], rest[0], named[1], rest[1]]
    house.inference.streams(*({"tool_calls": [delta]} for delta in deltas), finish_reason="tool_calls")

    output = (await house.ask()).json()["output"]

    assert [(call["call_id"], call["name"], call["arguments"]) for call in output] == [
        ("a", "a", "{}"),
        ("b", "b", "{}"),
    ]


async def test_content_in_parts_is_joined_and_thoughts_are_no_text(house: House) -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    house.inference.streams(
        {"content": [thought]}, {"content": [{"type": "text", "text": "It is "}]}, {"content": "so."}
    )

    [message] = (await house.ask()).json()["output"]

    assert message["content"][0]["text"] == "It is so."


async def test_null_is_no_wish(house: House) -> None:
    house.inference.streams({"content": "so"})
    tool = TOOL | {"description": None, "parameters": None, "strict": None}
    names = "background conversation instructions max_output_tokens metadata parallel_tool_calls previous_response_id"
    more = "reasoning service_tier store stream temperature top_p truncation"
    nothing = dict.fromkeys((names + " " + more).split())
    text = {"format": {"type": "json_schema", "name": "door", "schema": {}, "strict": None}}

    reply = await house.ask(**nothing, tools=[tool], text=text)

    assert reply.status_code == 200
    assert reply.json()["parallel_tool_calls"] is True
    assert "parallel_tool_calls" not in house.inference.last_body


async def test_what_is_flexible_waits_behind_the_others(house: House) -> None:
    house.inference.streams({"content": "so"})

    told = [(await house.ask(service_tier=tier)).json()["service_tier"] for tier in ("flex", "auto")]

    assert [asked.priority for asked in house.inference.asked] == ["background", "interactive"]
    assert told == ["flex", "default"]


async def test_the_field_that_is_wrong_is_named(house: House) -> None:
    items = [{"role": "user", "content": "why?"}, {"type": "item_reference", "id": "x"}]

    for fields, param in (({"input": items}, "input.1.type"), ({"tool_choice": "some"}, "tool_choice")):
        error = (await house.ask(**fields)).json()["error"]
        assert error["param"] == param
        assert error["message"].startswith(f"{param}: ")
    assert (await house.ask(tools=[{"type": "function"}])).json()["error"]["param"] == "tools.0.name"


async def test_only_the_allowed_tools_are_offered(house: House) -> None:
    house.inference.streams({"content": "so"})
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]}

    reply = await house.ask(tools=[TOOL, TOOL | {"name": "clock"}], tool_choice=allowed)

    body = house.inference.last_body
    assert [tool["function"]["name"] for tool in body["tools"]] == ["weather"]
    assert body["tool_choice"] == "required"
    assert (reply.json()["tool_choice"], len(reply.json()["tools"])) == (allowed, 2)


async def test_items_of_the_input_come_in_pages(house: House) -> None:
    house.inference.streams({"content": "so"})
    kept = (await house.ask(input=[{"role": "user", "content": str(n)} for n in range(30)])).json()["id"]

    async def page(**wanted: Any) -> Any:
        return (await house.client.get(f"/v1/responses/{kept}/input_items", params=wanted)).json()

    first = await page()
    rest = await page(after=first["last_id"])
    few = await page(limit=5, order="asc")
    assert [item["content"][0]["text"] for item in first["data"] + rest["data"]] == [str(n) for n in range(29, -1, -1)]
    assert (len(first["data"]), first["has_more"], rest["has_more"]) == (20, True, False)
    assert (few["first_id"], few["last_id"]) == (rest["last_id"], few["data"][4]["id"])
    assert (len(few["data"]), few["has_more"]) == (5, True)
    for wrong in ({"limit": 0}, {"limit": 101}, {"after": "msg_x"}):
        assert (await page(**wrong))["error"]["type"] == "invalid_request_error"


async def test_what_shall_not_be_kept_is_not_and_what_is_deleted_is_gone(house: House) -> None:
    house.inference.streams({"content": "so"})
    await house.ask(store=False)
    assert house.chat.kept == {}
    kept = (await house.ask()).json()["id"]

    assert (await house.client.delete(f"/v1/responses/{kept}")).json()["deleted"]
    for gone in (kept, "resp_nonsense"):
        assert (await house.client.get(f"/v1/responses/{gone}")).status_code == 404
        refused = await house.ask(previous_response_id=gone)
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "previous_response_not_found"


async def test_the_pipeline_cites(house: House) -> None:
    whole = (await house.ask(model="fireside", instructions="be brief")).json()
    found = events(await house.ask(model="fireside", stream=True))

    [part] = whole["output"][0]["content"]
    [citation] = part["annotations"]
    assert (citation["type"], citation["title"]) == ("url_citation", "A")
    assert "/documents/" in citation["url"]
    [added] = [event for event in found if event["type"] == "response.output_text.annotation.added"]
    assert added["annotation"] == citation | {"url": added["annotation"]["url"]}
    assert house.chat.asked[0].instructions == "be brief"


async def test_an_answer_that_was_cut_is_incomplete_and_one_that_broke_failed(house: House) -> None:
    house.inference.streams({"content": "so"}, finish_reason="length")
    cut = (await house.ask()).json()
    house.chat.events, house.chat.fails = [Token(text="It ")], UnavailableError("the model went away")
    failed = events(await house.ask(model="fireside", stream=True))[-1]

    assert (cut["status"], cut["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (failed["type"], failed["response"]["error"]["message"]) == ("response.failed", "the model went away")
    assert [item["status"] for item in failed["response"]["output"]] == ["incomplete"]


@pytest.mark.parametrize(
    "fields",
    [
        {"input": []},
        {"tools": [{"type": "web_search"}]},
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "clock"}]}},
        {"background": True},
        {"conversation": "conv_1"},
        {"input": [{"type": "item_reference", "id": "x"}]},
        {"input": [{"content": [{"type": "input_file", "file_id": "x"}]}]},
    ],
)
async def test_what_cannot_be_done_is_refused(house: House, fields: Any) -> None:
    reply = await house.ask(**fields)

    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"
