"""The official `openai` package against Fireside."""

import json
from collections.abc import Iterator

import pytest
from openai import APIStatusError, NotFoundError, OpenAI

from fireside.testing.process import FiresideProcess

QUESTION = [{"role": "user", "content": "When does the travel desk close?"}]


@pytest.fixture
def client(house: FiresideProcess) -> Iterator[OpenAI]:
    with OpenAI(base_url=house.url + "/v1", api_key=house.key, max_retries=0) as client:
        yield client


def test_it_lists_the_models(client: OpenAI) -> None:
    names = {model.id for model in client.models.list()}

    assert {"fireside", "smollm2-135m-instruct"} <= names
    assert client.models.retrieve("fireside").id == "fireside"


def test_the_pipeline_streams_its_cited_answer(client: OpenAI) -> None:
    text, citations, usage = "", [], None
    stream = client.chat.completions.create(
        model="fireside", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            citations += (choice.delta.model_extra or {}).get("annotations") or []

    assert "4:30" in text
    assert citations
    assert usage is not None


def test_the_pipeline_answers_in_one_piece_with_citations(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="fireside", messages=QUESTION)

    message = answer.choices[0].message
    assert "4:30" in (message.content or "")
    assert message.annotations
    assert message.annotations[0].url_citation.title


def test_a_plain_model_is_passed_through_streamed_and_not(client: OpenAI) -> None:
    messages = [{"role": "user", "content": "Say hello."}]

    whole = client.chat.completions.create(
        model="smollm2-135m-instruct", messages=messages, max_tokens=8, temperature=0, seed=1
    )
    chunks = client.chat.completions.create(
        model="smollm2-135m-instruct", messages=messages, max_tokens=8, temperature=0, seed=1, stream=True
    )

    assert whole.usage is not None
    assert 0 < whole.usage.completion_tokens <= 8
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == whole.choices[0].message.content


def test_a_json_schema_and_tools_reach_the_engine(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="smollm2-135m-instruct",
        messages=[{"role": "user", "content": "The door is red. Which colour is the door?"}],
        response_format={"type": "json_schema", "json_schema": {"name": "door", "schema": schema, "strict": True}},
        max_tokens=24,
        temperature=0,
    )

    assert json.loads(answer.choices[0].message.content or "")["colour"] in {"red", "blue"}


def test_embeddings_are_unit_vectors_of_the_right_length(client: OpenAI) -> None:
    model = next(model.id for model in client.models.list() if "minilm" in model.id.lower())

    made = client.embeddings.create(model=model, input=["a cat sits", "a cat is sitting", "annual report"])

    first, second, third = (row.embedding for row in made.data)
    assert len(first) == 384
    assert abs(sum(x * x for x in first) - 1) < 1e-3
    assert sum(a * b for a, b in zip(first, second, strict=True)) > sum(
        a * b for a, b in zip(first, third, strict=True)
    )


def test_an_unknown_model_is_an_error_in_openais_shape(client: OpenAI) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.chat.completions.create(model="gpt-nowhere", messages=QUESTION)

    assert caught.value.code == "model_not_found"


def test_a_wrong_request_is_the_clients_error(client: OpenAI) -> None:
    with pytest.raises(APIStatusError) as caught:
        client.chat.completions.create(model="fireside", messages=[])

    assert 400 <= caught.value.status_code < 500


def test_a_wrong_key_is_refused_in_openais_shape(house: FiresideProcess) -> None:
    with (
        OpenAI(base_url=house.url + "/v1", api_key="fsk_wrong", max_retries=0) as client,
        pytest.raises(APIStatusError) as caught,
    ):
        client.models.list()
    assert caught.value.status_code == 401


def test_tools_stops_and_probabilities_reach_the_engine(client: OpenAI) -> None:
    tool = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
    question = {"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "Say hello."}]}
    greedy = {"max_tokens": 8, "temperature": 0, "seed": 1}

    whole = client.chat.completions.create(**question, **greedy, logprobs=True, top_logprobs=2, n=2, tools=[tool])
    first = whole.choices[0].message.content or ""
    stopped = client.chat.completions.create(**question, **greedy, tools=[tool], stop=[first[1:4]])
    prompted = client.completions.create(model="smollm2-135m-instruct", prompt="Once upon a", **greedy)

    assert len(whole.choices) == 2
    assert whole.choices[0].logprobs is not None
    assert len((whole.choices[0].logprobs.content or [])[0].top_logprobs) == 2
    assert first[1:4] not in (stopped.choices[0].message.content or "")
    assert prompted.choices[0].text


def test_texts_are_ranked(house: FiresideProcess) -> None:
    documents = ["Trains are booked at the travel desk.", "My cat is asleep on the sofa."]
    ranked = house.call("POST", "/v1/rerank", {"query": "Where is the pet?", "documents": documents})

    assert [result["index"] for result in ranked["results"]] == [1, 0]
