"""Providers on the shelf: equals, chains, breakers, limits, and changes while everything runs."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from fireside.contracts.base import Nothing
from fireside.contracts.explore import Shelf
from fireside.contracts.inference import CHAT, MODELS, PROFILE, Chat, ChatDelta, ProfileQuery
from fireside.contracts.providers import NODE, TRY, ProviderTrial, ServedProvider
from fireside.core.errors import FiresideError, UnavailableError, UpstreamError
from fireside.core.identity import service_identity
from fireside.services.inference.errors import ProviderRestingError
from fireside.services.inference.settings import InferenceSettings
from tests.adapters.upstream import Upstream, running_upstream
from tests.services.inference.parts import HELLO
from tests.services.inference.provider_house import (
    ProviderHouse,
    answering,
    provider,
    provider_house,
    refusing,
    says,
    set_up,
)

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def one() -> AsyncIterator[Upstream]:
    async with running_upstream() as upstream:
        yield set_up(upstream, "first")


@pytest.fixture
async def two() -> AsyncIterator[Upstream]:
    async with running_upstream() as upstream:
        yield set_up(upstream, "second")


async def seen(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.requirement("I5")
async def test_when_the_first_of_a_chain_is_gone_the_next_answers_and_says_for_whom_and_why(two: Upstream) -> None:
    gone, there = provider("gone", NOWHERE), provider("there", two.base_url, models=["small"])
    async with provider_house(gone, there, chain=["big", "small"]) as house:
        end = await house.end()

        assert (end.model, end.fallback, end.instead_of) == ("small", True, "big")
        assert end.reason == "it could not be reached"


async def test_the_chain_of_the_role_answers_and_a_named_model_comes_before_it(one: Upstream, two: Upstream) -> None:
    chains = {"answer": ("small", "big")}
    providers = (provider("one", one.base_url), provider("two", two.base_url, models=["small", "other"]))
    async with provider_house() as house:
        await house.put(Shelf.model_validate({"providers": providers, "chains": chains}))
        assert await house.text(model="big") == "first"

        assert await house.text(role="answer") == "second"
        assert await house.text(model="other") == "second"
        assert (await house.context.call(PROFILE, ProfileQuery(role="answer"))).name == "small"
        two.handler = refusing(500)
        end = await house.end(model="other")
        assert (end.model, end.instead_of) == ("big", "other")


async def test_a_provider_is_asked_only_when_a_chain_a_default_or_a_person_names_its_model(one: Upstream) -> None:
    async with provider_house(provider("one", one.base_url)) as house:
        with pytest.raises(UnavailableError):
            await house.text()
        assert await house.text(model="big") == "first"
        rule = {"name": "big", "is_default": True}
        await house.put(Shelf.model_validate({"providers": [provider("one", one.base_url)], "rules": [rule]}))
        await house.until("first")


async def test_equals_share_the_requests_and_stand_in_for_each_other(one: Upstream, two: Upstream) -> None:
    async with provider_house(provider("one", one.base_url, two.base_url), chain=["big"]) as house:
        told = {await house.text() for _ in range(2)}
        assert told == {"first", "second"}
        assert [model.name for model in (await house.context.call(MODELS, Nothing())).items] == ["big"]

        one.handler = refusing(500)
        ends = [await house.end() for _ in range(4)]

        assert not any(end.fallback for end in ends)
        assert len(two.bodies) == 5


@pytest.mark.requirement("P16")
async def test_of_two_addresses_the_one_that_is_gone_takes_nothing_from_the_other(two: Upstream) -> None:
    gate = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return await answering("second")(request)

    two.handler = slow
    async with provider_house(provider("one", NOWHERE, two.base_url), chain=["big"]) as house:
        asked = [asyncio.create_task(house.forward()) for _ in range(5)]
        told = asyncio.create_task(house.text())
        await seen(lambda: len(two.bodies) == 6)
        health = await house.health("one")
        assert (health.state, health.left_alone, health.wait_s) == ("open", (NOWHERE,), None)
        assert health.last_error.startswith(f"{NOWHERE}: ")
        assert house.sample("fireside_provider_breaker_state", provider="one") == 2
        gate.set()
        assert {status for status, _ in await asyncio.gather(*asked)} == {200}
        assert await told == "second"


async def test_the_limit_of_one_address_is_not_that_of_the_other(one: Upstream, two: Upstream) -> None:
    one.handler = refusing(429, **{"retry-after": "60"})
    async with provider_house(provider("one", one.base_url, two.base_url)) as house:
        assert [(await house.forward())[0] for _ in range(3)] == [200, 200, 200]
        assert (len(one.bodies), list((await house.health("one")).resting)) == (1, ["big"])


async def test_the_least_busy_of_equals_is_asked(one: Upstream, two: Upstream) -> None:
    gate = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return await answering("slow")(request)

    one.handler = slow
    providers = (provider("one", one.base_url), provider("two", two.base_url))
    async with provider_house(*providers, chain=["big"]) as house:
        waiting = asyncio.create_task(house.text())
        await seen(lambda: bool(one.bodies))
        assert [await house.text() for _ in range(3)] == ["second"] * 3
        gate.set()
        assert await waiting == "slow"


@pytest.mark.requirement("P16")
async def test_a_breaker_that_opened_asks_nobody_until_one_probe_has_found_the_provider_well(
    one: Upstream, two: Upstream
) -> None:
    gate, one.handler = asyncio.Event(), refusing(500)
    providers = (provider("one", one.base_url), provider("two", two.base_url, models=["small"]))
    async with provider_house(*providers, chain=["big", "small"]) as house:
        ends = [await house.end() for _ in range(4)]
        assert [end.reason for end in ends[2:]] == ["its server failed", "it is left alone for a while after failures"]
        assert (len(one.bodies), house.sample("fireside_provider_breaker_state", provider="one")) == (3, 2)
        with pytest.raises(ProviderRestingError) as refused:
            await house.forward()
        assert 1 <= refused.value.details["retry_after_s"] <= 10
        health = await house.health("one")
        assert (health.state, health.failures, health.last_error) == (
            "open",
            3,
            "the model's server failed: because of no",
        )
        assert house.sample("fireside_provider_requests_total", provider="one", code="upstream") == 3

        async def slow(request: web.Request) -> web.StreamResponse:
            await gate.wait()
            return await answering("well")(request)

        one.handler, house.clock.ahead_s = slow, 10.1
        probe = asyncio.create_task(house.text())
        await seen(lambda: len(one.bodies) == 4)
        assert {await house.text() for _ in range(5)} == {"second"}
        assert (await house.health("one")).state == "half_open"
        assert len(one.bodies) == 4
        gate.set()
        assert await probe == "well"
        assert await house.text() == "well"
        assert house.sample("fireside_provider_breaker_state", provider="one") == 0


@pytest.mark.requirement("P16")
@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_provider_that_fails_or_rests_does_not_silence_the_models_of_others(
    one: Upstream, two: Upstream, status: int
) -> None:
    one.handler = refusing(status, **{"retry-after": "60"})
    async with provider_house(provider("one", one.base_url), provider("two", two.base_url, models=["small"])) as house:
        for _ in range(6):
            with pytest.raises(FiresideError):
                await house.forward()
            with pytest.raises(FiresideError):
                await house.text(model="big")

        assert (await house.forward(model="small"))[0] == 200
        assert await house.text(model="small") == "second"


@pytest.mark.requirement("P16")
async def test_a_probe_that_fails_opens_the_breaker_again(one: Upstream) -> None:
    one.handler = refusing(500)
    async with provider_house(provider("one", one.base_url), chain=["big"]) as house:
        for _ in range(3):
            with pytest.raises(UpstreamError):
                await house.text()
        house.clock.ahead_s = 10.1
        with pytest.raises(UpstreamError, match="failed: because of no"):
            await house.text()
        with pytest.raises(ProviderRestingError):
            await house.text()
        assert len(one.bodies) == 4


@pytest.mark.requirement("P4")
async def test_a_changed_provider_is_followed_within_a_second_and_ends_its_answers_on_the_old_one(
    one: Upstream, two: Upstream
) -> None:
    gate = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        begin, *rest = says("old", " end")
        await response.write(begin)
        await gate.wait()
        for piece in rest:
            await response.write(piece)
        return response

    one.handler = slow
    async with provider_house(provider("one", one.base_url), chain=["big"]) as house:
        running = house.context.stream(CHAT, Chat(messages=HELLO))
        assert isinstance(await anext(running), ChatDelta)
        one.handler = answering("first")

        await house.put(Shelf(providers=(provider("one", two.base_url),), chains={"answer": ("big",)}))
        await house.until("second")

        gate.set()
        assert [item.text async for item in running if isinstance(item, ChatDelta)] == [" end"]
        await house.put(Shelf())
        async with asyncio.timeout(1):
            while (await house.context.call(MODELS, Nothing())).items:
                await asyncio.sleep(0.01)


async def test_a_key_is_opened_where_it_is_used_and_one_that_cannot_be_opened_is_told_of(one: Upstream) -> None:
    stolen = provider("other", one.base_url, key="secret").model_copy(update={"name": "broken"})
    async with provider_house(provider("one", one.base_url, key="sk-1"), stolen, chain=["big"]) as house:
        assert await house.text() == "first"

        assert one.headers[-1]["Authorization"] == "Bearer sk-1"
        health = await house.health("broken")
        assert (health.state, health.last_error != "") == ("off", True)


@pytest.mark.requirement("S7")
async def test_an_address_in_a_body_leads_nowhere(one: Upstream) -> None:
    async with provider_house(provider("one", one.base_url)) as house:
        assert (await house.forward())[0] == 200

        assert one.bodies[-1]["api_base"] == "http://192.0.2.1"


async def test_providers_of_the_settings_have_breakers_and_are_shown_as_fixed(one: Upstream) -> None:
    server = {"url": one.base_url, "models": ["big"], "api_key": "k", "first_word_s": 3}
    settings = InferenceSettings.model_validate({"engine": "off", "servers": [server, server]})
    async with provider_house(settings=settings) as house:
        assert await house.text() == "first"

        found = await house.node.context(identity=service_identity("explore")).call(NODE, Nothing())
        assert [(item.name, item.fixed, item.has_key, item.first_word_s) for item in found.fixed] == [
            ("big", True, True, 3),
            ("big-2", True, True, 3),
        ]
        assert sorted(health.answers for health in found.health) == [0, 1]
        assert (await trial(house, provider("big-2", NOWHERE))).models == ("big",)
        assert one.headers[-1]["Authorization"] == "Bearer k"
        assert await house.text() == "first"


async def trial(house: ProviderHouse, wanted: ServedProvider) -> ProviderTrial:
    return await house.node.context(identity=service_identity("explore")).call(TRY, wanted)


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "refuses the key (401)"), (404, "has no list of models there (404)"), (301, "sends elsewhere (301)")],
)
async def test_a_trial_says_in_words_what_is_wrong(one: Upstream, status: int, words: str) -> None:
    async with provider_house() as house:
        assert (await trial(house, provider("one", f"{one.base_url}/v1", models=()))).models == ("big",)
        assert one.paths == ["/v1/models"]
        one.handler = refusing(status)

        found = await trial(house, provider("one", one.base_url, key="wrong"))

        assert (found.ok, words in found.problem) == (False, True), found.problem


async def test_a_trial_of_what_is_no_provider_says_so(one: Upstream) -> None:
    async def page(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>", content_type="text/html")

    async with provider_house() as house:
        unknown = await trial(house, provider("one", one.base_url, models=["huge"]))
        assert (unknown.ok, unknown.problem) == (True, "It answers, but does not list huge.")
        assert "cannot be reached" in (await trial(house, provider("one", NOWHERE))).problem
        one.handler = page
        assert "not as a provider of this kind does" in (await trial(house, provider("one", one.base_url))).problem
