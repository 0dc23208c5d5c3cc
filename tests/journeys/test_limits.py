"""Limits and usage of a whole Fireside: every dialect says in its own way that there is no room, and when there is."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from fireside.testing.process import FiresideProcess, running
from fireside.testing.scripted_model import ScriptedModel
from tests.journeys.scripted_server import serving

LIMITS = "FIRESIDE_USAGE_LIMITS"
MESSAGES = [{"role": "user", "content": "three words here"}]
CALLS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "scripted", "messages": MESSAGES},
    "/v1/messages": {"model": "scripted", "messages": MESSAGES, "max_tokens": 5},
    "/v1/responses": {"model": "scripted", "input": "three words here"},
    "/api/chat": {"model": "scripted", "messages": MESSAGES},
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiresideProcess]:
    with serving(ScriptedModel()) as settings, running(tmp_path_factory.mktemp("limits"), settings) as house:
        yield house


@pytest.fixture(autouse=True)
def without_limits(house: FiresideProcess) -> Iterator[None]:
    yield
    config(house, **{LIMITS: None})


def config(house: FiresideProcess, **values: Any) -> None:
    house.call("PATCH", "/api/v1/admin/config", {"values": values})


def limit(scope: str, unit: str, amount: float, **values: Any) -> dict[str, Any]:
    return {"scope": scope, "unit": unit, "window": "month", "amount": amount, **values}


def refused(house: FiresideProcess, path: str, body: Any, *, key: str | None = None) -> tuple[dict[str, str], Any]:
    """The headers and the body with which a call is refused for a limit."""
    with pytest.raises(urllib.error.HTTPError) as found:
        house.call("POST", path, body, key=key)
    with found.value as error:
        assert error.code == 429
        return dict(error.headers.items()), json.load(error)


@pytest.mark.requirement("P19")
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("path", CALLS)
def test_each_dialect_refuses_in_its_own_shape(house: FiresideProcess, path: str, stream: bool) -> None:
    config(house, **{LIMITS: [limit("user", "requests", 0)]})

    headers, body = refused(house, path, CALLS[path] | {"stream": stream})

    assert int(headers["retry-after"]) > 0
    assert headers["ratelimit-reset"] == headers["retry-after"]
    assert (headers["ratelimit-limit"], headers["ratelimit-remaining"]) == ("0", "0")
    message = body["error"] if path.startswith("/api/") else body["error"]["message"]
    assert message.startswith("the limit of 0 requests each month for you has no room for this")
    if path in {"/v1/chat/completions", "/v1/responses"}:
        assert (body["error"]["type"], body["error"]["code"]) == ("requests", "rate_limit_exceeded")
    elif path == "/v1/messages":
        assert (body["type"], body["error"]["type"]) == ("error", "rate_limit_error")
    else:
        assert body["code"] == "limit_exceeded"


def test_money_that_is_spent_is_an_insufficient_quota_to_clients_of_openai(house: FiresideProcess) -> None:
    prices = {"scripted": {"prompt": 1_000_000, "completion": 1_000_000}}
    config(house, FIRESIDE_USAGE_PRICES=prices, **{LIMITS: [limit("user", "cost", 0.5)]})

    _, body = refused(house, "/v1/chat/completions", CALLS["/v1/chat/completions"])

    config(house, FIRESIDE_USAGE_PRICES=None)
    assert (body["error"]["type"], body["error"]["code"]) == ("insufficient_quota", "insufficient_quota")
    assert "0.5 USD each month" in body["error"]["message"]


def test_embeddings_are_held_to_limits(house: FiresideProcess) -> None:
    embedder = next(card["id"] for card in house.call("GET", "/v1/models")["data"] if "embedding" in card)
    config(house, **{LIMITS: [limit("user", "tokens", 2, model=embedder)]})

    _, body = refused(house, "/v1/embeddings", {"model": embedder, "input": "three words here"})

    assert (body["error"]["type"], body["error"]["code"]) == ("tokens", "rate_limit_exceeded")


@pytest.mark.requirement("S9", "I15")
def test_a_key_has_its_own_limit_and_its_owner_sees_what_it_used(house: FiresideProcess) -> None:
    made = house.call("POST", "/api/v1/auth/api-keys", {"name": "batch"})
    config(house, **{LIMITS: [limit("key", "requests", 2, who=made["id"]), limit("user", "requests", 1000)]})
    path = "/v1/chat/completions"
    told = [house.call("POST", path, CALLS[path], key=made["key"])["usage"] for _ in range(2)]

    refused(house, path, CALLS[path], key=made["key"])
    house.call("POST", path, CALLS[path])
    mine = house.call("GET", "/api/v1/usage?group_by=key", key=made["key"])
    everybody = house.call("GET", "/api/v1/admin/usage?group_by=key")

    (used,) = [item for item in everybody["items"] if item["group"] == made["id"]]
    assert used["requests"] == 2
    assert used["prompt_tokens"] + used["completion_tokens"] == sum(usage["total_tokens"] for usage in told)
    left = {state["scope"]: state["remaining"] for state in mine["limits"]}
    assert left["key"] == 0
    assert left["user"] == 1000 - mine["total"]["requests"]


@pytest.mark.requirement("P19", "I15")
def test_a_question_to_the_page_says_which_limit_has_no_room_and_when_it_begins_anew(house: FiresideProcess) -> None:
    config(house, **{LIMITS: [limit("user", "requests", 0)]})
    conversation = house.call("POST", "/api/v1/conversations", {})
    request = urllib.request.Request(
        f"{house.url}/api/v1/conversations/{conversation['id']}/messages",
        json.dumps({"content": "Tell me a joke.", "mode": "general"}).encode(),
        {"authorization": f"Bearer {house.key}", "content-type": "application/json", "accept": "text/event-stream"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        events = [json.loads(line[5:]) for line in reply if line.startswith(b"data:")]

    (failed,) = [event for event in events if event.get("code")]
    assert (failed["code"], failed["status"]) == ("limit_exceeded", 429)
    assert "the limit of 0 requests each month for you" in failed["detail"]
    assert failed["detail"].endswith("UTC")


@pytest.mark.requirement("I15")
def test_what_was_used_is_kept_by_a_restart(house: FiresideProcess) -> None:
    path = "/v1/chat/completions"
    house.call("POST", path, CALLS[path] | {"stream": False})
    before = house.call("GET", "/api/v1/usage")["total"]
    config(house, **{LIMITS: [limit("user", "requests", before["requests"])]})
    house.stop()
    house.start()

    assert house.call("GET", "/api/v1/usage")["total"] == before
    refused(house, path, CALLS[path])


TOLD = {
    "/v1/chat/completions": "x-ratelimit-{what}-{unit}",
    "/v1/responses": "x-ratelimit-{what}-{unit}",
    "/v1/messages": "anthropic-ratelimit-{unit}-{what}",
}


def answered(house: FiresideProcess, path: str, *, stream: bool, model: str = "scripted") -> dict[str, str]:
    """The headers of a reply that went well."""
    body = json.dumps(CALLS[path] | {"stream": stream, "model": model}).encode()
    headers = {"authorization": f"Bearer {house.key}", "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(house.url + path, body, headers), timeout=60) as reply:
        assert reply.read()
        return {name.lower(): value for name, value in reply.headers.items()}


@pytest.mark.requirement("P19")
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("path", TOLD)
def test_a_reply_that_went_well_tells_what_is_left_in_the_headers_of_its_dialect(
    house: FiresideProcess, path: str, stream: bool
) -> None:
    general, own = limit("user", "tokens", 900_000), limit("user", "tokens", 800_000, model="scripted")
    config(house, **{LIMITS: [limit("user", "requests", 7000), limit("all", "requests", 9000), general, own]})

    headers = answered(house, path, stream=stream)
    left = {state["name"]: state["remaining"] for state in house.call("GET", "/api/v1/usage")["limits"]}

    def told(what: str, unit: str) -> str:
        return headers[TOLD[path].format(what=what, unit=unit)]

    assert (told("limit", "requests"), told("limit", "tokens")) == ("7000", "800000")
    assert int(told("remaining", "requests")) == left["user/*/*/requests/month"]
    remaining_tokens = int(told("remaining", "tokens"))
    if stream:  # room for the longest answer is held while it is written
        assert 0 < remaining_tokens < left["user/*/scripted/tokens/month"]
    else:
        assert remaining_tokens == left["user/*/scripted/tokens/month"]
    form = r"\d{4}-\d\d-01T00:00:00Z" if path == "/v1/messages" else r"\d+h\d+m\d+s"
    assert re.fullmatch(form, told("reset", "requests"))
    assert re.fullmatch(form, told("reset", "tokens"))


def test_without_a_limit_of_its_kind_nothing_is_told(house: FiresideProcess) -> None:
    without = answered(house, "/v1/chat/completions", stream=False)
    config(house, **{LIMITS: [limit("user", "cost", 1000), limit("user", "tokens", 1000, model="another")]})
    of_others = answered(house, "/v1/chat/completions", stream=False)
    config(house, **{LIMITS: [limit("user", "requests", 9000)]})
    ollama = answered(house, "/api/chat", stream=False)

    assert [name for headers in (without, of_others, ollama) for name in headers if "ratelimit" in name] == []
