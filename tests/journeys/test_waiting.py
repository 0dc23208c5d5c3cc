"""Whoever waits for a model is told how many come first and how long that takes, and answered when it is their turn."""

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from fireside.testing.process import FiresideProcess, running
from fireside.testing.scripted_model import ScriptedModel
from tests.journeys.conftest import events_of
from tests.journeys.scripted_server import serving

LONG = "Talk for a long time."


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiresideProcess]:
    """A server whose one model answers one request at a time, the long one for minutes."""
    model = ScriptedModel(
        script=lambda prompt: ["word "] * 5_000 if LONG in prompt.messages[-1].content else ["Now."], pause_s=0.02
    )
    with serving(model) as settings:
        servers = [server | {"parallel": 1} for server in json.loads(settings["FIRESIDE_INFERENCE_SERVERS"])]
        alone = settings | {"FIRESIDE_INFERENCE_SERVERS": json.dumps(servers)}
        with running(tmp_path_factory.mktemp("waiting"), alone) as house:
            yield house


@pytest.mark.requirement("I6")
def test_the_events_of_an_answer_tell_the_place_in_the_line_and_the_expected_wait(house: FiresideProcess) -> None:
    talking = http.client.HTTPConnection(urlsplit(house.url).netloc, timeout=60)
    body = {"model": "scripted", "stream": True, "messages": [{"role": "user", "content": LONG}]}
    headers = {"authorization": f"Bearer {house.key}", "content-type": "application/json"}
    talking.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    reply = talking.getresponse()
    assert reply.read(10)
    conversation = house.call("POST", "/api/v1/conversations", {"mode": "general"})
    steps: list[tuple[str, str]] = []
    final = ""

    question = {"content": "Write a poem about the sea."}
    for _, name, data in events_of(house, f"/api/v1/conversations/{conversation['id']}/messages", question):
        if name == "step" and data["name"] == "queue":
            if not steps:  # the place is free as soon as whoever has it hangs up
                reply.close()
                talking.close()
            steps.append((data["status"], data["detail"]))
        elif name == "final":
            final = data["content"]

    assert steps[0][0] == "started"
    assert steps[0][1].startswith("0 requests are ahead of this one; about ")
    assert (steps[-1], final) == (("done", ""), "Now.")
