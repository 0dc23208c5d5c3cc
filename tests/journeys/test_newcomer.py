"""From an empty data folder to a cited answer; and what an administrator sees."""

import urllib.error
import urllib.request

import pytest

from fireside.testing.process import FiresideProcess
from tests.journeys.conftest import ask, events_of


@pytest.mark.requirement("U6")
def test_a_question_is_answered_with_a_citation_of_the_passage_that_says_so(house: FiresideProcess) -> None:
    answer = ask(house, "When does the travel desk close?")

    assert "4:30" in answer["content"]
    assert answer["grounded"] == "supported"
    cited = [source for source in answer["sources"] if f"[{source['n']}]" in answer["content"]]
    assert {source["path"] for source in cited} == {"travel.md"}
    assert answer["confidence"] > 0.5
    assert answer["confidence_reasons"]


@pytest.mark.requirement("U6")
def test_what_the_documents_do_not_say_is_said_to_be_missing(house: FiresideProcess) -> None:
    answer = ask(house, "What is the wifi password of the cafeteria in Lisbon?")

    assert answer["grounded"] == "unsupported"
    assert answer["confidence"] < 0.4


@pytest.mark.requirement("U7")
def test_the_steps_are_seen_as_they_happen_and_numbered(house: FiresideProcess) -> None:
    conversation = house.call("POST", "/api/v1/conversations", {"mode": "company"})
    path = f"/api/v1/conversations/{conversation['id']}/messages"

    seen = list(events_of(house, path, {"content": "How much leave may I carry over?"}))

    assert [number for number, _, _ in seen] == list(range(1, len(seen) + 1))
    names = [name for _, name, _ in seen]
    assert names[-1] == "done"
    stages = dict.fromkeys(data["stage"] for _, name, data in seen if name == "step")
    assert list(stages) == ["think", "act", "respond", "check"]
    assert names.index("sources") < names.index("token") < names.index("quality") < names.index("final")


@pytest.mark.requirement("U5")
def test_general_mode_is_answered_by_the_model_without_sources(house: FiresideProcess) -> None:
    answer = ask(house, "Say hello to Anna.", mode="general")

    assert answer["content"]
    assert answer["mode"] == "general"
    assert answer["sources"] == []
    assert answer["model"] == "smollm2-135m-instruct"


def test_a_follow_up_is_understood_from_what_came_before(house: FiresideProcess) -> None:
    first = ask(house, "How much may a hotel night cost?")
    path = f"/api/v1/conversations/{first['conversation_id']}/messages"

    final = next(
        data
        for _, name, data in events_of(house, path, {"content": "And whom do I ask for a more expensive one?"})
        if name == "final"
    )

    assert "supervisor" in final["content"]


@pytest.mark.requirement("O4")
def test_health_names_every_part(house: FiresideProcess) -> None:
    ready = house.call("GET", "/health/ready")

    assert ready["status"] == "ready"
    assert any("model" in name for name in ready["checks"])
    assert all(check["status"] == "ok" for check in ready["checks"].values())


@pytest.mark.requirement("O1")
def test_metrics_are_prometheus_text(house: FiresideProcess) -> None:
    with urllib.request.urlopen(house.url + "/metrics") as reply:
        text = reply.read().decode()

    assert "# TYPE" in text
    assert "documents.search" in text


def test_nobody_gets_in_without_a_credential(house: FiresideProcess) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(house.url + "/api/v1/conversations")

    with refused.value as reply:
        assert reply.code == 401
        assert reply.headers["content-type"] == "application/problem+json"
