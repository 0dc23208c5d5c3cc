"""The official `anthropic` package against Fireside."""

from collections.abc import Iterator

import pytest
from anthropic import Anthropic, AuthenticationError, BadRequestError, NotFoundError

from fireside.testing.process import FiresideProcess

QUESTION = [{"role": "user", "content": "When does the travel desk close?"}]
HELLO = [{"role": "user", "content": "Say hello."}]
MODEL = "smollm2-135m-instruct"


@pytest.fixture
def client(house: FiresideProcess) -> Iterator[Anthropic]:
    with Anthropic(base_url=house.url, api_key=house.key, max_retries=0) as client:
        yield client


def test_the_models_are_listed(client: Anthropic) -> None:
    assert {"fireside", MODEL} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("fireside").display_name == "fireside"


def test_the_pipeline_answers_with_citations(client: Anthropic) -> None:
    message = client.messages.create(model="fireside", max_tokens=400, messages=QUESTION)

    [block] = message.content
    assert block.type == "text"
    assert "4:30" in block.text
    assert block.citations
    assert block.citations[0].type == "search_result_location"
    assert "travel" in (block.citations[0].title or "").lower()
    assert message.stop_reason == "end_turn"


def test_the_pipeline_streams_the_same_answer(client: Anthropic) -> None:
    with client.messages.stream(model="fireside", max_tokens=400, messages=QUESTION) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()

    assert "4:30" in text
    assert message.content[0].text == text
    assert message.content[0].citations


def test_a_plain_model_counts_streams_and_stops(client: Anthropic) -> None:
    question = {"model": MODEL, "messages": HELLO, "system": "Be brief."}
    greedy = {"max_tokens": 8, "extra_body": {"temperature": 0}}

    counted = client.messages.count_tokens(**question)
    whole = client.messages.create(**question, **greedy)
    with client.messages.stream(**question, **greedy) as stream:
        streamed = stream.get_final_message()
    stopped = client.messages.create(**question, **greedy, stop_sequences=[whole.content[0].text[:3]])

    usage = whole.usage
    assert counted.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)
    assert whole.stop_reason == "max_tokens"
    assert 0 < usage.output_tokens <= 8
    assert streamed.content[0].text == whole.content[0].text
    assert streamed.usage.output_tokens == usage.output_tokens
    assert len(stopped.content[0].text) < len(whole.content[0].text)
    assert stopped.stop_reason == "end_turn"


def test_errors_have_the_classes_of_the_package(client: Anthropic, house: FiresideProcess) -> None:
    with pytest.raises(NotFoundError) as unknown:
        client.messages.create(model="claude-nowhere", max_tokens=8, messages=HELLO)
    with pytest.raises(BadRequestError):
        client.messages.create(model=MODEL, max_tokens=0, messages=HELLO)
    with (
        Anthropic(base_url=house.url, api_key="fsk_wrong", max_retries=0) as stranger,
        pytest.raises(AuthenticationError) as refused,
    ):
        stranger.messages.create(model=MODEL, max_tokens=8, messages=HELLO)

    assert unknown.value.body["error"]["type"] == "not_found_error"
    assert refused.value.body["error"]["type"] == "authentication_error"
    assert refused.value.request_id or refused.value.body["request_id"]
