"""The Responses API of the official `openai` package against Fireside."""

import json
from collections.abc import Iterator

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from fireside.testing.process import FiresideProcess
from tests.journeys.conftest import new_user

QUESTION = "When does the travel desk close?"
MODEL = "smollm2-135m-instruct"


@pytest.fixture
def client(house: FiresideProcess) -> Iterator[OpenAI]:
    with OpenAI(base_url=house.url + "/v1", api_key=house.key, max_retries=0) as client:
        yield client


def test_the_pipeline_answers_with_citations_whole_and_streamed(client: OpenAI) -> None:
    whole = client.responses.create(model="fireside", input=QUESTION)
    with client.responses.stream(model="fireside", input=QUESTION) as stream:
        told = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()

    assert "4:30" in whole.output_text
    assert whole.output[0].content[0].annotations[0].type == "url_citation"
    assert final.output_text == told.strip()
    assert final.status == "completed"


def test_a_conversation_goes_on_from_what_is_kept(client: OpenAI, house: FiresideProcess) -> None:
    first = client.responses.create(model=MODEL, input="My name is Ada.", max_output_tokens=8, temperature=0)
    second = client.responses.create(
        model=MODEL, input="Say hello.", previous_response_id=first.id, max_output_tokens=8, temperature=0
    )

    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens
    assert client.responses.retrieve(second.id).output_text == second.output_text
    items = list(client.responses.input_items.list(second.id))
    assert [item.type for item in items] == ["message", "message", "message"]
    with (
        OpenAI(base_url=house.url + "/v1", api_key=new_user(house), max_retries=0) as stranger,
        pytest.raises(NotFoundError),
    ):
        stranger.responses.retrieve(second.id)
    client.responses.delete(first.id)
    with pytest.raises(BadRequestError) as gone:
        client.responses.create(model=MODEL, input="x", previous_response_id=first.id)
    assert gone.value.code == "previous_response_not_found"


def test_a_schema_is_kept_and_the_rest_passed_through(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }

    answer = client.responses.create(
        model=MODEL,
        input="The door is red. Which colour is the door?",
        text={"format": {"type": "json_schema", "name": "door", "schema": schema, "strict": True}},
        max_output_tokens=24,
        temperature=0,
        store=False,
    )

    assert json.loads(answer.output_text)["colour"] in {"red", "blue"}
    with pytest.raises(NotFoundError):
        client.responses.retrieve(answer.id)
