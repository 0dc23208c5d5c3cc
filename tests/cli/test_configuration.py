"""`fireside config`."""

from collections.abc import Iterator

import pytest

from tests.cli.conftest import CommandLine

ANSWERS = "FIRESIDE_CHAT_MAX_ANSWERS"


@pytest.fixture
def config(fireside: CommandLine) -> Iterator[CommandLine]:
    yield fireside
    fireside("config", "rollback", "0")


def value_of(fireside: CommandLine, name: str) -> tuple[object, str]:
    (item,) = [item for item in fireside("config", "show", name, "--json").json if item["name"] == name]
    return item["value"], item["source"]


@pytest.mark.requirement("P5", "P6")
def test_a_setting_is_changed_listed_and_rolled_back(config: CommandLine) -> None:
    made = config("config", "set", f"{ANSWERS.lower()}=7", "--comment", "fewer", "--json")
    assert made.code == 0, made.err
    version = made.json["version"]

    assert value_of(config, ANSWERS) == (7, "live")
    assert ANSWERS in config("config", "show", "--changed").out
    assert config("config", "set", f"{ANSWERS}=8").out == f"version {version + 1}: {ANSWERS}: 7 -> 8\n"
    assert "fewer" in config("config", "history").out
    config("config", "rollback", str(version))
    assert value_of(config, ANSWERS) == (7, "live")
    assert config("config", "set", "--unset", ANSWERS).out == f"version {version + 3}: {ANSWERS}: 7 -> -\n"
    assert value_of(config, ANSWERS) == (200, "default")


@pytest.mark.requirement("P5")
def test_a_wrong_value_or_a_late_one_says_what_to_do(config: CommandLine) -> None:
    wrong = config("config", "set", f"{ANSWERS}=-1")
    assert wrong.code == 1
    assert f"{ANSWERS}: Input should be greater than 0" in wrong.err

    late = config("config", "set", f"{ANSWERS}=7", "--expect", "1000000")
    assert late.code == 1
    assert "read it again" in late.err

    assert "NAME=VALUE" in config("config", "set", ANSWERS).err
    assert "not valid JSON" in config("config", "set", "FIRESIDE_INFERENCE_URLS={x").err
    assert "nothing to change" in config("config", "set").err


@pytest.mark.requirement("P5")
def test_secrets_are_not_shown(fireside: CommandLine) -> None:
    shown = fireside("config", "show").out

    assert "FIRESIDE_CLUSTER_KEY" in shown
    assert (fireside.home / "cluster.key").read_text().strip() not in shown
    rates = fireside("config", "show", "rate", "--live", "--json").json
    assert {item["name"] for item in rates} >= {"FIRESIDE_GATEWAY_USER_RATE", "FIRESIDE_GATEWAY_FAILED_RATE"}
    assert all(item["live"] for item in rates)
