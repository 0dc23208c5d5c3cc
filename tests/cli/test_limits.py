"""`fireside usage` and `fireside limits`."""

from collections.abc import Iterator

import pytest

from tests.cli.conftest import CommandLine


@pytest.fixture
def limits(fireside: CommandLine) -> Iterator[CommandLine]:
    yield fireside
    fireside("config", "set", "--unset", "FIRESIDE_USAGE_LIMITS", "--unset", "FIRESIDE_USAGE_PRICES")


@pytest.mark.requirement("P19")
def test_limits_are_set_changed_listed_and_removed(limits: CommandLine) -> None:
    assert limits("limits", "set", "user/*/*/tokens/day", "1000").out == "user/*/*/tokens/day: 1000\n"
    limits("limits", "set", "role/viewer/org/model:7b/requests/hour", "5")
    limits("limits", "set", "user/*/*/tokens/day", "2000")

    listed = limits("limits", "list").out
    left = {limit["name"]: limit for limit in limits("usage", "--json").json["limits"]}

    assert "user/*/*/tokens/day" in listed
    assert "role/viewer/org/model:7b/requests/hour" in listed
    assert left["user/*/*/tokens/day"]["limit"] == 2000
    assert limits("limits", "remove", "user/*/*/tokens/day").code == 0
    assert [limit["who"] for limit in limits("limits", "list", "--json").json["limits"]] == ["viewer"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "user", "5"), "SCOPE/WHO/MODEL/UNIT/WINDOW"),
        (("set", "user/*/*/tokens/week", "5"), "hour"),
        (("remove", "user/*/*/tokens/day"), "there is no limit user/*/*/tokens/day"),
        (("forget-price", "gpt-4o"), "gpt-4o has no price"),
    ],
)
def test_a_wrong_limit_says_what_to_do(limits: CommandLine, words: tuple[str, ...], said: str) -> None:
    answer = limits("limits", *words)

    assert answer.code == 1
    assert said in answer.err


@pytest.mark.requirement("I5")
def test_prices_and_usage_are_shown(limits: CommandLine) -> None:
    assert limits("limits", "price", "gpt-4o", "2.5", "10", "--cached", "1.25").code == 0

    assert "gpt-4o" in limits("limits", "list").out
    shown = limits("usage", "--by", "day", "--all")
    assert shown.code == 0, shown.err
    assert "total" in shown.out
    assert limits("usage", "--by", "week").code == 1
    limits("limits", "price", "gpt-4o-mini", "1", "2")
    assert limits("limits", "forget-price", "gpt-4o").out == "gpt-4o: no price\n"
    assert list(limits("limits", "list", "--json").json["prices"]) == ["gpt-4o-mini"]


@pytest.mark.requirement("I15")
def test_who_opts_out_is_told_what_administrators_see(fireside: CommandLine) -> None:
    assert fireside("usage-opt-out").out.startswith("administrators see your usage without your name")
    assert fireside("usage", "--json").json["opted_out"] is True
    assert fireside("usage-opt-out", "--undo").out == "administrators see your usage with your name\n"
    assert fireside("usage", "--json").json["opted_out"] is False
