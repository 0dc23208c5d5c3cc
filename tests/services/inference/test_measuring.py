"""What is known of a call before it is made: room is held for all its answers, and for all its prompts."""

from typing import Any

import orjson
import pytest

from fireside.contracts.inference import Forward
from fireside.services.inference.measuring import forwarded_call
from fireside.testing.scripted_model import ScriptedModel
from tests.services.inference.parts import served
from tests.services.inference.provider_house import COMPLETIONS

PLAIN, EMBEDDINGS = "/v1/completions", "/v1/embeddings"
WINDOW = 1000
ANSWER = 100
"""Tokens that are assumed of an answer whose request sets none."""


@pytest.mark.requirement("I15")
@pytest.mark.parametrize(
    ("path", "wish", "tokens"),
    [
        (COMPLETIONS, {}, ANSWER),
        (COMPLETIONS, {"max_tokens": 7}, 7),
        (COMPLETIONS, {"max_tokens": 7, "n": 3}, 21),
        (COMPLETIONS, {"n": 3}, 3 * ANSWER),
        (COMPLETIONS, {"max_tokens": 10**9, "n": 2}, 2 * WINDOW),
        (PLAIN, {"prompt": ["a", "b"], "max_tokens": 7, "n": 2}, 28),
        (PLAIN, {"prompt": [1, 2, 3], "max_tokens": 7}, 7),
        (PLAIN, {"prompt": [[1, 2], [3]], "max_tokens": 7}, 14),
        (PLAIN, {"prompt": "a", "max_tokens": 7, "best_of": 5}, 35),
        (EMBEDDINGS, {"input": ["a", "b"]}, 0),
    ],
)
def test_room_is_held_for_every_answer(path: str, wish: dict[str, Any], tokens: int) -> None:
    assert expected(path, wish).most(ANSWER).completion_tokens == tokens


def test_each_prompt_has_the_window_of_the_model_to_itself() -> None:
    long = "x" * 30_000

    assert expected(EMBEDDINGS, {"input": long}).prompt_tokens == WINDOW
    assert expected(EMBEDDINGS, {"input": [long, long]}).prompt_tokens == 2 * WINDOW


@pytest.mark.parametrize(
    ("path", "given", "tokens"),
    [
        (EMBEDDINGS, {"input": [100_001, 100_002, 100_003]}, 3),
        (EMBEDDINGS, {"input": [[100_001, 100_002], [100_003]]}, 3),
        (EMBEDDINGS, {"input": [list(range(4000))]}, WINDOW),
        (PLAIN, {"prompt": [100_001, 100_002]}, 2),
    ],
)
def test_tokens_that_are_given_by_number_are_counted(path: str, given: dict[str, Any], tokens: int) -> None:
    assert expected(path, given).prompt_tokens == tokens


def expected(path: str, wish: dict[str, Any]) -> Any:
    request = Forward(path=path, model="small", body=orjson.dumps({"model": "small"} | wish))
    return forwarded_call(request, served("small", ScriptedModel()))()
