"""What happens when a provider fails, by the name of the fault, as docs/reference/provider-faults.md says."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from annotated_types import Le

from fireside.adapters.language_model.model_server import ModelServer
from fireside.bootstrap.providers import Connector
from fireside.contracts.chat import ASK, COMPLETE, EVENTS
from fireside.contracts.inference import CHAT, FORWARD, Chat, ChatDelta
from fireside.contracts.respond import GENERATE
from fireside.core.errors import FiresideError, InvalidInputError, TooManyRequestsError
from fireside.runtime.metrics import Metrics
from fireside.services.inference.errors import ModelTooSlowError
from fireside.services.inference.settings import InferenceSettings, ModelServerSettings
from tests.adapters.upstream import Upstream, running_upstream
from tests.boxes import BOX
from tests.services.inference.faults import (
    AFTER_THE_FIRST_WORD,
    ANSWER_S,
    BEFORE_THE_FIRST_WORD,
    EMPTY_STREAM,
    FIRST_WORD_S,
    Fault,
)
from tests.services.inference.parts import HELLO
from tests.services.inference.provider_house import (
    AheadClock,
    ProviderHouse,
    answering,
    provider,
    provider_house,
    refusing,
    set_up,
)

pytestmark = pytest.mark.requirement("I5")


@dataclass
class Pair:
    """A provider that fails, another whose model comes next, and a third that offers the same model as the first."""

    house: ProviderHouse
    bad: Upstream
    good: Upstream


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with running_upstream() as bad, running_upstream() as good:
        set_up(good, "from", " the", " next")
        failing = provider("bad", bad.base_url, first_word_s=FIRST_WORD_S, answer_s=ANSWER_S)
        following = provider("good", good.base_url, models=["small"])
        async with provider_house(failing, following, chain=["big", "small"]) as house:
            yield Pair(house, bad, good)


@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_WORD, ids=lambda fault: fault.name)
async def test_before_the_first_word_the_next_model_answers_and_the_answer_says_why(pair: Pair, fault: Fault) -> None:
    pair.bad.handler = fault.handler

    end = await pair.house.end()

    assert (end.model, end.fallback, end.instead_of, end.reason) == ("small", True, "big", fault.reason)


@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_WORD, ids=lambda fault: fault.name)
@pytest.mark.parametrize("stream", [False, True])
async def test_passed_through_a_fault_before_the_first_byte_is_an_error_with_its_own_status(
    pair: Pair, fault: Fault, stream: bool
) -> None:
    pair.bad.handler = fault.handler

    if isinstance(fault.passed, int):
        assert (await pair.house.forward(stream=stream))[0] == fault.passed
    else:
        with pytest.raises(fault.passed):
            await pair.house.forward(stream=stream)
    assert not pair.good.bodies


@pytest.mark.parametrize("name", AFTER_THE_FIRST_WORD)
async def test_after_the_first_word_the_answer_breaks_off_and_nobody_else_goes_on(pair: Pair, name: str) -> None:
    pair.bad.handler, expected = AFTER_THE_FIRST_WORD[name]
    said: list[str] = []

    async def listen() -> None:
        async for item in pair.house.context.stream(CHAT, Chat(messages=HELLO)):
            assert isinstance(item, ChatDelta)
            said.append(item.text)

    with pytest.raises(expected):
        await listen()
    assert (said, pair.good.bodies) == (["half"], [])
    assert (await pair.house.health("bad")).failures == 1


@pytest.mark.parametrize("name", AFTER_THE_FIRST_WORD)
async def test_passed_through_a_stream_that_breaks_off_ends_with_an_error(pair: Pair, name: str) -> None:
    pair.bad.handler, expected = AFTER_THE_FIRST_WORD[name]

    with pytest.raises(expected):
        await pair.house.forward(stream=True)


async def test_an_answer_without_a_word_is_none(pair: Pair) -> None:
    pair.bad.handler = EMPTY_STREAM

    assert (await pair.house.end()).reason == "it answered without a word"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
async def test_a_provider_that_cannot_be_reached_is_replaced_and_passed_through_is_unavailable(
    url: str, pair: Pair
) -> None:
    good = provider("good", pair.good.base_url, models=["small"])
    async with provider_house(provider("bad", url), good, chain=["big", "small"]) as house:
        assert (await house.end()).reason == "it could not be reached"
        with pytest.raises(FiresideError) as failed:
            await house.forward()
        assert failed.value.status == 503


async def test_an_answer_in_one_piece_has_the_time_of_a_whole_answer_and_not_that_of_a_first_word(pair: Pair) -> None:
    async def later(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep((FIRST_WORD_S + ANSWER_S) / 2)
        return await answering("well")(request)

    pair.bad.handler = later

    assert (await pair.house.forward(stream=False))[0] == 200
    with pytest.raises(ModelTooSlowError, match="first word"):
        await pair.house.forward(stream=True)


@pytest.mark.parametrize("limits", [{"answer_s": 900.0}, {"first_word_s": 900.0}, {}])
def test_a_server_may_be_silent_as_long_as_its_answer_may_take(limits: dict[str, Any]) -> None:
    connector = Connector(settings=InferenceSettings(), box=BOX, clock=AheadClock(), metrics=Metrics())

    for kind in ("compatible", "anthropic", "llama-server"):
        offered = provider("one", "http://127.0.0.1:9", kind=kind, **limits)
        (server,) = connector.connect(offered).servers
        assert isinstance(server, ModelServer)
        assert server.read_timeout_s > max(offered.answer_s, offered.first_word_s)


def test_no_action_on_the_way_is_waited_for_less_long_than_an_answer_may_take() -> None:
    (longest,) = (fact.le for fact in ModelServerSettings.model_fields["answer_s"].metadata if isinstance(fact, Le))

    assert {each.timeout_s for each in (CHAT, FORWARD, GENERATE, ASK, EVENTS, COMPLETE)} == {longest}


@pytest.mark.parametrize(("header", "wait_s"), [({"retry-after": "7"}, 7), ({"retry-after": "0.2"}, 1), ({}, 1)])
async def test_a_rate_limit_leaves_the_model_alone_as_long_as_the_provider_says(
    pair: Pair, header: dict[str, str], wait_s: int
) -> None:
    pair.bad.handler = refusing(429, **header)
    assert (await pair.house.end()).model == "small"
    pair.bad.handler = answering("well")

    assert (await pair.house.end()).model == "small"
    health = await pair.house.health("bad")
    assert (len(pair.bad.bodies), health.state, list(health.resting)) == (1, "closed", ["big"])
    assert wait_s - 1 < health.resting["big"] <= wait_s

    pair.house.clock.ahead_s = wait_s + 0.1
    assert await pair.house.text() == "well"


async def test_a_rate_limit_that_ends_at_a_date_is_read_by_the_clock_of_the_provider(pair: Pair) -> None:
    date, later = "Sat, 21 Nov 2026 10:00:00 GMT", "Sat, 21 Nov 2026 10:00:30 GMT"
    pair.bad.handler = refusing(429, **{"date": date, "retry-after": later})

    with pytest.raises(TooManyRequestsError) as limited:
        await pair.house.forward()

    assert limited.value.details["retry_after_s"] == 30


async def test_passed_through_an_equal_stands_in_before_the_first_byte(pair: Pair) -> None:
    pair.bad.handler = refusing(500)
    equal = provider("equal", pair.good.base_url)
    async with provider_house(provider("bad", pair.bad.base_url), equal) as house:
        for _ in range(3):
            status, body = await house.forward(stream=True)
            assert (status, b"[DONE]" in body) == (200, True)


async def test_what_is_wrong_with_the_request_itself_is_told_and_tried_nowhere_else(pair: Pair) -> None:
    pair.bad.handler = refusing(400)

    with pytest.raises(InvalidInputError):
        await pair.house.text()
    assert (await pair.house.forward())[0] == 400
    health = await pair.house.health("bad")
    assert (pair.good.bodies, health.failures, health.state) == ([], 0, "closed")
