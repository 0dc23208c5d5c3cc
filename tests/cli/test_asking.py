"""`fireside ask`."""

import signal
import time

import pytest

from fireside.testing.process import FiresideProcess
from tests.cli.conftest import CommandLine


def test_an_answer_into_a_pipe_is_the_answer_and_nothing_but_its_sources(fireside: CommandLine) -> None:
    asked = fireside("ask", "Hello!", "--mode", "general")

    assert asked.code == 0
    assert asked.out.strip()
    assert asked.err == ""


def test_json_holds_the_whole_answer_and_the_conversation_to_go_on_with(fireside: CommandLine) -> None:
    first = fireside("ask", "Hello!", "--mode", "general", "--json").json

    assert {"conversation_id", "message_id", "content", "sources", "confidence", "usage"} <= first.keys()
    more = fireside("ask", "Thank you!", "--conversation", first["conversation_id"], "--json").json
    assert more["conversation_id"] == first["conversation_id"]
    assert more["mode"] == "general", "the conversation's mode goes on"


def test_a_question_can_come_from_standard_input(fireside: CommandLine, server: FiresideProcess) -> None:
    answer = fireside("ask", "-", "--mode", "general", "--json", stdin="  Good morning!\n").json

    messages = server.call("GET", f"/api/v1/conversations/{answer['conversation_id']}/messages")["items"]
    assert messages[0]["content"] == "Good morning!"


@pytest.mark.parametrize("question", ["", "   "])
def test_an_empty_question_is_refused_before_anything_is_sent(fireside: CommandLine, question: str) -> None:
    asked = fireside("ask", question)

    assert (asked.code, asked.out) == (1, "")
    assert asked.err == "error: the question is empty\n"


def test_ctrl_c_stops_the_answer_on_the_server_too(fireside: CommandLine, server: FiresideProcess) -> None:
    before = {each["id"] for each in server.call("GET", "/api/v1/conversations")["items"]}
    asking = fireside.begin("ask", "Write a very long story about the sea, with many chapters.", "--mode", "general")
    answer = _begun_answer(server, before)

    asking.send_signal(signal.SIGINT)
    _, err = asking.communicate(timeout=30)

    assert asking.returncode == 130
    assert err.endswith("error: stopped\n")
    assert server.call("GET", f"/api/v1/messages/{answer['id']}")["state"] == "stopped"


def _begun_answer(server: FiresideProcess, before: set[str]) -> dict[str, str]:
    """The answer that is being written in the conversation that was not there before."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for conversation in server.call("GET", "/api/v1/conversations")["items"]:
            if conversation["id"] in before:
                continue
            for message in server.call("GET", f"/api/v1/conversations/{conversation['id']}/messages")["items"]:
                if message["role"] == "assistant" and message["content"]:
                    assert message["state"] == "streaming", "the answer ended before it could be stopped"
                    return message
        time.sleep(0.02)
    raise AssertionError("no answer began")
