"""`/api`: what reaches a model's server, and the lines that come back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest

from fireside.contracts import explore
from fireside.contracts.answer import Token
from fireside.contracts.base import Contract, Nothing
from fireside.contracts.jobs import JobRef, JobView, jobs_of
from fireside.contracts.permissions import ROLES
from fireside.core.clock import SystemClock
from fireside.core.errors import UnavailableError
from fireside.core.identity import user_identity
from fireside.core.ids import JobId
from fireside.runtime.context import Context
from fireside.runtime.mesh import Service, action
from fireside.services.gateway import job_following
from tests.services.gateway.gateway_house import USER_ID, FakeChat, FakeEmbeddings, FakeInference, gateway

QUESTION = [{"role": "user", "content": "why?"}]
CALLED = {"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": '{"town": "Bonn"}'}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@dataclass
class House:
    client: httpx.AsyncClient = field(init=False)
    inference: FakeInference = field(default_factory=FakeInference)
    chat: FakeChat = field(default_factory=FakeChat)
    explore: "FakeExplore" = field(default_factory=lambda: FakeExplore())

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.client.post(path, json={"model": "tiny", **body})

    async def passed_on(self, path: str, **body: Any) -> Any:
        self.inference.streams({"content": "so"})
        assert (await self.post(path, **body)).status_code == 200
        return self.inference.last_body


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    admin = user_identity(USER_ID, roles=["admin"], permissions=ROLES["admin"])
    services = (house.inference, house.chat, house.explore, FakeEmbeddings())
    async with gateway(*services, identity=admin) as house.client:
        yield house


def lines(reply: httpx.Response) -> list[Any]:
    return [orjson.loads(line) for line in reply.content.splitlines()]


async def test_a_chat_streams_lines_unless_told_otherwise(house: House) -> None:
    house.inference.streams({"content": "It is "}, {"content": "so."}, finish_reason="length")

    reply = await house.post("/api/chat", messages=QUESTION)
    whole = (await house.post("/api/chat", messages=QUESTION, stream=False)).json()

    assert reply.headers["content-type"].startswith("application/x-ndjson")
    first, second, last = lines(reply)
    assert first["message"] == {"role": "assistant", "content": "It is "}
    assert (first["model"], first["done"], second["done"]) == ("tiny", False, False)
    assert (last["done"], last["done_reason"], last["message"]["content"]) == (True, "length", "")
    assert (last["prompt_eval_count"], last["eval_count"]) == (7, 3)
    assert last["total_duration"] >= last["prompt_eval_duration"] + last["eval_duration"] > 0
    assert whole["message"]["content"] == "It is so."
    assert whole["done"]
    assert whole["created_at"].endswith("Z")


@pytest.mark.parametrize("deltas", [({"content": "It is "}, {"content": "so."}), ()])
async def test_an_answer_in_one_piece_tells_how_long_it_took_once_it_had_begun(house: House, deltas: Any) -> None:
    house.inference.streams(*deltas)

    whole = (await house.post("/api/chat", messages=QUESTION, stream=False)).json()

    assert whole["eval_count"] / whole["eval_duration"] > 0
    assert whole["total_duration"] == whole["prompt_eval_duration"] + whole["eval_duration"]


@pytest.mark.parametrize("character", "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
async def test_no_line_breaks_within_its_json_however_its_reader_finds_line_breaks(
    house: House, character: str
) -> None:
    house.inference.streams({"content": f"a{character}b"})

    reply = await house.post("/api/chat", messages=QUESTION)

    first, _ = [orjson.loads(line) for line in reply.content.decode().splitlines()]
    assert first["message"]["content"] == f"a{character}b"


async def test_a_prompt_is_answered(house: House) -> None:
    house.inference.streams({"reasoning_content": "hm"}, {"content": "so."})

    thought, said, last = lines(await house.post("/api/generate", prompt="why?", system="be brief"))

    assert (thought["thinking"], said["response"], last["response"]) == ("hm", "so.", "")
    assert house.inference.last_body["messages"] == [{"role": "system", "content": "be brief"}, *QUESTION]


async def test_a_raw_prompt_goes_to_the_model_as_it_is(house: House) -> None:
    house.inference.streams()
    house.inference.reply.insert(0, b'data: {"choices": [{"text": "so."}]}\n\n')

    whole = (await house.post("/api/generate", prompt="<s>why", raw=True, stream=False)).json()

    assert whole["response"] == "so."
    assert house.inference.asked[-1].path == "/v1/completions"
    assert house.inference.last_body["prompt"] == "<s>why"


async def test_options_formats_and_thinking_get_the_names_that_servers_know(house: House) -> None:
    schema = {"type": "object", "properties": {}}
    options = {"num_predict": 5, "temperature": 0, "seed": 3, "stop": ["x"], "top_k": 2, "num_ctx": 99, "min_p": 0.1}
    body = await house.passed_on(
        "/api/chat", messages=QUESTION, options=options, format=schema, think="low", keep_alive="5m", tools=[TOOL]
    )
    other = await house.passed_on(
        "/api/generate", prompt="why?", options={"num_predict": -1}, format="json", think=False, logprobs=True
    )

    assert (body["max_tokens"], body["seed"], body["stop"], body["top_k"]) == (5, 3, ["x"], 2)
    assert body["response_format"]["json_schema"] == {"name": "answer", "schema": schema}
    assert (body["reasoning_effort"], body["tools"]) == ("low", [TOOL])
    assert not {"num_ctx", "keep_alive", "num_predict", "format"} & body.keys()
    assert other["response_format"] == {"type": "json_object"}
    assert other["chat_template_kwargs"] == {"enable_thinking": False}
    assert other["logprobs"]
    assert "max_tokens" not in other


async def test_what_is_null_was_not_said(house: House) -> None:
    call = {"id": None, "function": {"name": "time", "arguments": None}}
    turns = [{"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "content": "noon"}]
    chosen = {"stream": None, "options": {"stop": None}, "tools": None, "format": None, "think": None}
    nothing = dict.fromkeys(("system", "suffix", "template", "raw", "images", "context", "stream"))

    chatted = await house.passed_on("/api/chat", messages=turns, **chosen)
    generated = await house.passed_on("/api/generate", prompt="why?", **nothing)
    loaded = await house.post("/api/chat", messages=None)

    assert chatted["messages"][0]["content"] == ""
    assert chatted["messages"][0]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert generated["messages"] == QUESTION
    assert loaded.json()["done_reason"] == "load"


async def test_images_and_tools_become_openais_messages(house: House) -> None:
    call = {"function": {"name": "weather", "arguments": {"town": "Bonn"}}}
    body = await house.passed_on(
        "/api/chat",
        messages=[
            {"role": "user", "content": "look", "images": ["/9j/AAAA"]},
            {"role": "assistant", "content": "", "tool_calls": [call, {"function": {"name": "time"}}]},
            {"role": "tool", "tool_name": "time", "content": "noon"},
            {"role": "tool", "tool_name": "weather", "content": "rain"},
        ],
    )

    look, called, noon, rain = body["messages"]
    assert look["content"][1]["image_url"]["url"] == "data:image/jpeg;base64,/9j/AAAA"
    first, second = called["tool_calls"]
    assert first["function"]["arguments"] == '{"town":"Bonn"}'
    assert (noon["tool_call_id"], rain["tool_call_id"]) == (second["id"], first["id"])
    assert first["id"] != second["id"]


async def test_tool_calls_are_told_whole_before_the_end(house: House) -> None:
    house.inference.streams({"tool_calls": [CALLED]}, finish_reason="tool_calls")

    called, last = lines(await house.post("/api/chat", messages=QUESTION, tools=[TOOL]))
    whole = (await house.post("/api/chat", messages=QUESTION, stream=False)).json()

    told = [{"id": "call_1", "function": {"name": "weather", "arguments": {"town": "Bonn"}}}]
    assert called["message"]["tool_calls"] == told == whole["message"]["tool_calls"]
    assert (called["done"], last["done"], last["done_reason"]) == (False, True, "stop")


async def test_the_pipeline_answers_under_its_name_with_or_without_the_default_tag(house: House) -> None:
    for name in ("fireside", "fireside:latest"):
        whole = (await house.post("/api/chat", model=name, messages=QUESTION, stream=False)).json()
        assert (whole["message"]["content"], whole["model"]) == ("It is so [1].", name)
    assert house.chat.asked[0].turns[0].content == "why?"


async def test_an_error_after_the_first_words_is_the_last_line(house: House) -> None:
    house.chat.events, house.chat.fails = [Token(text="It ")], UnavailableError("the model went away")

    said, error = lines(await house.post("/api/chat", model="fireside", messages=QUESTION))

    assert said["message"]["content"] == "It "
    assert error["error"] == "the model went away"


async def test_models_are_listed_and_shown(house: House) -> None:
    listed = (await house.client.get("/api/tags")).json()["models"]
    running = (await house.client.get("/api/ps")).json()["models"]
    shown = (await house.post("/api/show")).json()

    assert [model["name"] for model in listed] == ["fireside:latest", "tiny:latest", "mini:latest", "mini@2:latest"]
    assert len({model["digest"] for model in listed}) == 4
    assert [(model["name"], model["context_length"]) for model in running] == [("tiny:latest", 8)]
    assert shown["capabilities"] == ["completion", "tools"]
    assert shown["model_info"][f"{shown['details']['family']}.context_length"] == 8
    embedder = (await house.post("/api/show", model="mini@2:latest")).json()
    assert embedder["capabilities"] == ["embedding"]
    assert embedder["model_info"]["unknown.embedding_length"] == 4
    assert (await house.post("/api/show", name="fireside", model="")).json()["capabilities"] == ["completion"]
    assert (await house.client.get("/api/version")).json()["version"]


async def test_texts_become_vectors_in_both_ways(house: House) -> None:
    made = (await house.post("/api/embed", model="mini", input=["a", "b c"])).json()
    older = (await house.post("/api/embeddings", model="mini", prompt="a")).json()

    assert made["embeddings"] == [[1.0, 0.0], [1.0, 0.0]]
    assert (made["prompt_eval_count"], made["model"]) == (3, "mini")
    assert older["embedding"] == [1.0, 0.0]
    assert (await house.post("/api/embed", model="mini@2:latest", input="a")).json()["embeddings"] == [[1, 0, 1, 0]]
    assert (await house.post("/api/embed", model="mini", input="a", dimensions=7)).status_code == 400


@pytest.mark.parametrize("nothing", [[], "", None])
async def test_no_texts_have_no_vectors(house: House, nothing: Any) -> None:
    made = await house.post("/api/embed", model="mini", input=nothing)
    unknown = await house.post("/api/embed", model="nowhere", input=nothing)

    assert (made.status_code, made.json()["embeddings"]) == (200, [])
    assert unknown.status_code == 404


@pytest.mark.parametrize("path", ["/api/version", "/api/tags"])
async def test_clients_that_only_look_whether_there_is_a_server_find_it(house: House, path: str) -> None:
    assert (await house.client.head(path)).status_code == 200


async def test_a_served_model_is_asked_for_vectors_of_the_length_that_is_wanted(house: House) -> None:
    house.inference.reply = [b'{"data": [{"index": 0, "embedding": [0.5, 0.5, 0.5]}]}']

    made = (await house.post("/api/embed", model="tiny", input="a", dimensions=3)).json()

    assert made["embeddings"] == [[0.5, 0.5, 0.5]]
    assert house.inference.last_body["dimensions"] == 3


async def test_a_request_without_a_question_only_asks_that_the_model_be_there(house: House) -> None:
    for path in ("/api/chat", "/api/generate"):
        assert (await house.post(path, keep_alive=0)).json()["done_reason"] == "load"
        assert (await house.post(path, model="nowhere")).status_code == 404
    assert house.inference.asked == []


class FakeExplore(Service):
    """Installs in steps that a test sets."""

    name = "explore"

    def __init__(self) -> None:
        self.asked: list[Contract] = []
        self.steps: list[dict[str, Any]] = []

    @action(explore.INSTALL)
    async def install(self, context: Context, request: explore.InstallModel) -> explore.InstallStarted:
        self.asked.append(request)
        return explore.InstallStarted(job_id=JobId(USER_ID), source=request.source)

    @action(explore.COPY)
    async def copy(self, context: Context, request: explore.CopyModel) -> explore.ModelView:
        self.asked.append(request)
        return explore.ModelView(name=request.to, state="installed")

    @action(explore.REMOVE)
    async def remove(self, context: Context, request: explore.ModelRef) -> Nothing:
        self.asked.append(request)
        return Nothing()

    @action(jobs_of("explore").get)
    async def job(self, context: Context, request: JobRef) -> JobView:
        step = self.steps.pop(0)
        now = SystemClock().now()
        return JobView(id=request.id, kind="explore.install", created_at=now, updated_at=now, **step)


async def test_a_model_that_is_there_need_not_be_pulled(house: House) -> None:
    assert lines(await house.post("/api/pull")) == [{"status": "success"}]
    assert (await house.post("/api/pull", stream=False)).json() == {"status": "success"}
    assert house.explore.asked == []


@pytest.mark.requirement("I6")
@pytest.mark.parametrize(
    ("name", "source", "installed_as"),
    [
        ("llama3.2:1b", "ollama:llama3.2:1b", "llama3.2:1b"),
        ("llama3.2:latest", "ollama:llama3.2", "llama3.2"),
        ("acme/tiny", "ollama:acme/tiny", None),
        ("hf.co/acme/tiny-GGUF:Q4_K_M", "hf:acme/tiny-GGUF:Q4_K_M", None),
    ],
)
async def test_a_model_is_pulled_as_an_installation_whose_progress_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch, name: str, source: str, installed_as: str | None
) -> None:
    monkeypatch.setattr(job_following, "_LOOK_S", 0)
    house.explore.steps = [
        {"state": "queued"},
        {"state": "running", "percent": 40.5, "stage": "downloading"},
        {"state": "running", "percent": 40.7, "stage": "downloading"},
        {"state": "succeeded", "percent": 100},
    ]

    told = lines(await house.post("/api/pull", model=name))

    assert told == [
        {"status": "pulling manifest"},
        {"status": "downloading", "total": 100, "completed": 40},
        {"status": "success"},
    ]
    assert house.explore.asked == [explore.InstallModel(source=source, name=installed_as)]


async def test_a_pull_that_fails_says_why(house: House) -> None:
    failed = {"state": "failed", "error": {"message": "no such model"}}
    house.explore.steps = [failed, failed]

    assert lines(await house.post("/api/pull", model="x")) == [{"error": "no such model"}]
    whole = await house.post("/api/pull", model="x", stream=False)
    assert (whole.status_code, whole.json()["error"]) == (502, "no such model")


async def test_models_are_copied_and_deleted(house: House) -> None:
    copied = await house.client.post("/api/copy", json={"source": "tiny", "destination": "other:latest"})
    deleted = await house.client.request("DELETE", "/api/delete", json={"model": "tiny:latest"})

    assert (copied.status_code, deleted.status_code) == (200, 200)
    assert house.explore.asked == [explore.CopyModel(name="tiny", to="other"), explore.ModelRef(name="tiny")]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", {"messages": [{"role": "nobody"}]}),
        ("/api/chat", {"messages": QUESTION, "model": ""}),
        ("/api/generate", {"prompt": "x", "suffix": "y"}),
        ("/api/generate", {"prompt": "x", "options": {"seed": "y"}}),
        ("/api/show", {"model": ""}),
        ("/api/copy", {"source": "tiny", "destination": ""}),
        ("/api/pull", {"model": "x" * 2000}),
    ],
)
async def test_a_wrong_request_is_refused_in_ollamas_shape(house: House, path: str, body: Any) -> None:
    reply = await house.post(path, **body)

    assert reply.status_code == 400
    assert isinstance(reply.json()["error"], str)


async def test_a_path_that_is_not_there_is_told_in_ollamas_shape(house: House) -> None:
    reply = await house.client.post("/api/blobs/sha256:1")

    assert reply.status_code == 404
    assert isinstance(reply.json()["error"], str)
