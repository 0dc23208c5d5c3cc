"""The official `ollama` package against Fireside."""

import json
from collections.abc import Iterator

import pytest
from ollama import Client, ResponseError

from fireside.testing.process import FiresideProcess

QUESTION = [{"role": "user", "content": "When does the travel desk close?"}]
MODEL = "smollm2-135m-instruct"
TAGGED = f"{MODEL}:latest"
GREEDY = {"temperature": 0, "num_predict": 8, "seed": 1}


@pytest.fixture
def client(house: FiresideProcess) -> Iterator[Client]:
    client = Client(host=house.url, headers={"authorization": f"Bearer {house.key}"}, timeout=120)
    yield client
    client._client.close()


def test_the_models_are_listed_shown_and_running(client: Client) -> None:
    listed = {model.model: model for model in client.list().models}

    assert {"fireside:latest", TAGGED} <= listed.keys()
    assert listed[TAGGED].size
    assert client.show(TAGGED).modelinfo
    assert TAGGED in {model.model for model in client.ps().models}


def test_the_pipeline_answers_whole_and_streamed(client: Client) -> None:
    whole = client.chat("fireside", QUESTION)
    streamed = list(client.chat("fireside:latest", QUESTION, stream=True))

    assert "4:30" in (whole.message.content or "")
    assert "4:30" in "".join(part.message.content or "" for part in streamed)
    assert [part.done for part in streamed] == [False] * (len(streamed) - 1) + [True]


def test_a_plain_model_chats_and_completes(client: Client) -> None:
    messages = [{"role": "user", "content": "Say hello."}]

    whole = client.chat(MODEL, messages, options=GREEDY)
    streamed = "".join(part.message.content or "" for part in client.chat(MODEL, messages, options=GREEDY, stream=True))
    generated = client.generate(MODEL, "Say hello.", options=GREEDY)
    raw = client.generate(MODEL, "Once upon a", raw=True, options=GREEDY)

    assert whole.message.content == streamed == generated.response
    assert raw.response
    assert 0 < (whole.eval_count or 0) <= 8
    assert (whole.total_duration or 0) > 0


def test_a_schema_is_kept(client: Client) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
        "required": ["colour"],
    }

    answer = client.chat(
        MODEL,
        [{"role": "user", "content": "The door is red. Which colour is the door?"}],
        format=schema,
        options={"temperature": 0, "num_predict": 24},
    )

    assert json.loads(answer.message.content or "")["colour"] in {"red", "blue"}


def test_texts_become_vectors(client: Client) -> None:
    model = next(model.model for model in client.list().models if "minilm" in (model.model or "").lower())

    made = client.embed(model, ["a cat sits", "annual report"])

    assert [len(vector) for vector in made.embeddings] == [384, 384]
    assert list(client.embeddings(model, "a cat sits").embedding) == list(made.embeddings[0])


def test_errors_are_those_of_the_package(client: Client, house: FiresideProcess) -> None:
    with pytest.raises(ResponseError) as unknown:
        client.chat("llama-nowhere", QUESTION)
    with pytest.raises(ResponseError) as pulled:
        client.pull("llama-nowhere")
    with pytest.raises(ResponseError) as deleted:
        client.delete(MODEL)
    stranger = Client(host=house.url, headers={"authorization": "Bearer fsk_wrong"})
    with pytest.raises(ResponseError) as refused:
        stranger.list()
    stranger._client.close()

    assert (unknown.value.status_code, pulled.value.status_code, deleted.value.status_code) == (404, 502, 409)
    assert refused.value.status_code == 401
    assert client.pull(MODEL).status == "success"
