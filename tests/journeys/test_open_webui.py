"""The calls that Open WebUI makes as a front end, to a connection of OpenAI's kind and to one of Ollama's.

They are those of its `routers/openai.py` and `routers/ollama.py`: names are looked up with their tag, the version and
the list of models are compared and merged, and a chat carries fields of Open WebUI's own.
"""

import json
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from fireside.testing.process import FiresideProcess

QUESTION = [{"role": "user", "content": "When does the travel desk close?"}]
OWN_FIELDS: dict[str, Any] = {
    "metadata": {"task": "title_generation", "chat_id": "c-1"},
    "session_id": "s-1",
    "chat_id": "c-1",
    "id": "m-1",
    "features": {"web_search": False},
    "variables": {"{{USER_NAME}}": "Ada"},
    "background_tasks": {"title_generation": True},
    "user": {"name": "Ada", "id": "u-1", "email": "ada@example.org", "role": "admin"},
}
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "calculate_timestamp",
            "description": "Get the current Unix timestamp, adjusted by days.",
            "parameters": {"properties": {"days_ago": {"default": 0, "type": "integer"}}, "type": "object"},
        },
    }
]
"""Open WebUI 0.12 offers tools of its own with every chat."""
OWN_HEADERS = {"X-OpenWebUI-User-Name": "Ada", "X-OpenWebUI-User-Id": "u-1", "X-OpenWebUI-Chat-Id": "c-1"}


def lines(house: FiresideProcess, path: str, body: Any) -> Iterator[str]:
    headers = {"authorization": f"Bearer {house.key}", "content-type": "application/json", **OWN_HEADERS}
    request = urllib.request.Request(house.url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as reply:
        yield reply.headers["content-type"].partition(";")[0]
        yield from (line.decode().strip() for line in reply if line.strip())


def test_an_openai_connection_lists_models(house: FiresideProcess) -> None:
    listed = house.call("GET", "/v1/models")

    assert all({"id", "object", "owned_by"} <= model.keys() for model in listed["data"])


@pytest.mark.parametrize("model", ["fireside", "smollm2-135m-instruct"])
def test_an_openai_connection_streams_a_chat_whatever_else_is_sent(house: FiresideProcess, model: str) -> None:
    body = {
        "model": model,
        "messages": QUESTION,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 40,
        "tools": TOOLS,
        **OWN_FIELDS,
    }
    media_type, *found, done = lines(house, "/v1/chat/completions", body)

    assert (media_type, done) == ("text/event-stream", "data: [DONE]")
    chunks = [json.loads(line.removeprefix("data: ")) for line in found]
    assert "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert chunks[-1]["usage"]["total_tokens"] >= 0


def test_an_openai_connection_asks_for_titles_whole(house: FiresideProcess) -> None:
    body = {"model": "fireside", "messages": QUESTION, "stream": False, **OWN_FIELDS}

    answer = house.call("POST", "/v1/chat/completions", body)

    assert answer["choices"][0]["message"]["content"]


def test_an_ollama_connection_finds_every_model_by_its_tagged_name(house: FiresideProcess) -> None:
    with urllib.request.urlopen(house.url + "/api/version") as reply:  # asked without a key
        version = json.load(reply)["version"]
    models = {model["model"]: model for model in house.call("GET", "/api/tags")["models"]}
    running = house.call("GET", "/api/ps")["models"]

    assert tuple(map(int, version.split("."))) >= (0, 6, 4)
    assert "fireside:latest" in models
    assert all(":" in name and model["name"] == name for name, model in models.items())
    assert all(datetime.fromisoformat(model["expires_at"]).timestamp() for model in running)
    assert {model["name"] for model in running} <= models.keys()


def test_an_ollama_connection_streams_a_chat(house: FiresideProcess) -> None:
    body = {
        "model": "fireside:latest",
        "messages": [{**QUESTION[0], "images": []}],
        "stream": True,
        "options": {"temperature": 0.7, "num_ctx": 4096},
        "keep_alive": "5m",
        "tools": TOOLS,
        **OWN_FIELDS,
    }
    media_type, *found = lines(house, "/api/chat", body)

    assert media_type == "application/x-ndjson"
    parts = [json.loads(line) for line in found]
    assert "4:30" in "".join(part["message"]["content"] for part in parts)
    assert parts[-1]["done"]


def test_an_ollama_connection_unloads_and_embeds(house: FiresideProcess) -> None:
    unload = {"model": "fireside:latest", "keep_alive": 0, "prompt": ""}
    embedder = next(m["model"] for m in house.call("GET", "/api/tags")["models"] if "minilm" in m["model"].lower())

    assert house.call("POST", "/api/generate", unload)["done"]
    made = house.call("POST", "/api/embed", {"model": embedder, "input": ["a", "b"], "truncate": True})
    assert len(made["embeddings"]) == 2
