"""Which model each step of an answer asks, as two servers of models see it."""

import json
import urllib.error
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from fireside.ports.language_model import Prompt
from fireside.testing.process import FiresideProcess, running
from fireside.testing.scripted_model import ScriptedModel, echo
from tests.journeys.conftest import TRAVEL, events_of, ingest
from tests.journeys.scripted_server import serving

ROLES = "/api/v1/roles-to-models"


def said(prompt: Prompt) -> Sequence[str]:
    """What the passages bear out, or the question again where there are none."""
    question = prompt.messages[-1].content
    if "140 euros" not in question:
        return echo(prompt)
    return (
        ["A hotel night may cost at most 140 euros."] if "hotel" in question[-60:] else ["The desk closes at 4:30 pm."]
    )


@dataclass(frozen=True)
class House:
    """A Fireside with two models, each on a server of its own."""

    process: FiresideProcess
    first: ScriptedModel
    second: ScriptedModel

    def choose(self, *names: str) -> None:
        self.process.call("PUT", ROLES, {"roles": {"answer": names}})

    def ask(self, conversation: str, content: str) -> str:
        """The name of the model that answered."""
        path = f"/api/v1/conversations/{conversation}/messages"
        final = [data for _, name, data in events_of(self.process, path, {"content": content}) if name == "final"]
        return str(final[0]["model"])

    def conversation(self, mode: str) -> str:
        return str(self.process.call("POST", "/api/v1/conversations", {"mode": mode})["id"])

    @property
    def asked(self) -> tuple[int, int]:
        return len(self.first.prompts), len(self.second.prompts)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    first, second = ScriptedModel(said), ScriptedModel(said)
    with serving(first) as one, serving(second) as two:
        servers: list[object] = []
        for name, settings in (("first", one), ("second", two)):
            servers += [server | {"models": [name]} for server in json.loads(settings["FIRESIDE_INFERENCE_SERVERS"])]
        environment = {**one, "FIRESIDE_INFERENCE_SERVERS": json.dumps(servers)}
        with running(tmp_path_factory.mktemp("roles"), environment) as process:
            ingest(process, {"travel.md": TRAVEL.encode()})
            yield House(process, first, second)


@pytest.mark.requirement("I1", "I5")
def test_every_step_that_asks_a_model_asks_the_first_of_the_role_and_once_an_answer(house: House) -> None:
    house.choose("second", "first")
    company, general = house.conversation("company"), house.conversation("general")

    assert house.ask(company, "When does the travel desk close?") == "second"
    assert house.ask(company, "And what may a hotel night cost?") == "second"
    assert house.ask(general, "Say hello to Anna.") == "second"
    assert house.asked == (0, 3)
    with_passages, _, without = (prompt.messages[-1].content for prompt in house.second.prompts)
    assert "4:30" in with_passages
    assert without == "Say hello to Anna."

    house.choose("first")
    assert house.ask(general, "And to Ben.") == "first"
    assert house.asked == (1, 3)
    used = house.process.call("GET", "/api/v1/usage?group_by=model")["items"]
    assert {item["group"]: item["requests"] for item in used} == {"first": 1, "second": 3}


@pytest.mark.requirement("I5")
@pytest.mark.parametrize("role", ["intent", "summary", "judge"])
def test_a_role_that_no_step_asks_by_is_refused(house: House, role: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        house.process.call("PUT", ROLES, {"roles": {role: ["first"]}})

    with refused.value as error:
        assert error.code == 422
        assert role in error.read().decode()
