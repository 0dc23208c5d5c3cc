"""Installed models: loaded when asked for, within a budget of memory, and only for those who may use them."""

import asyncio

import pytest

from fireside.contracts.base import Nothing
from fireside.contracts.explore import ModelRule, ModelsChanged, Shelf
from fireside.contracts.inference import (
    CHAT,
    FORWARD,
    MODELS,
    PROFILE,
    Chat,
    ChatDelta,
    ChatEnd,
    Forward,
    ProfileQuery,
)
from fireside.core.errors import NotFoundError, UnavailableError
from tests.services.inference.parts import (
    HELLO,
    Engines,
    Shelves,
    installed,
    names_for,
    person,
    ruled_house,
    until_names,
)


@pytest.mark.requirement("I6", "I13")
async def test_the_default_is_loaded_and_another_takes_over_while_the_first_still_answers() -> None:
    shelves, engines = Shelves(Shelf()), Engines()
    first = Shelf(rules=(ModelRule(name="Big", is_default=True),), installed=(installed("big"), installed("other")))
    second = first.model_copy(update={"rules": (ModelRule(name="other", is_default=True),)})

    async with ruled_house(shelves, engines) as (node, _):
        await until_names(node, shelves, first, ["big", "one", "other"])
        assert (engines.made["big"].calls, engines.made["other"].calls) == (["start"], [])
        stream = person(node, "user").stream(CHAT, Chat(messages=HELLO))
        assert await anext(stream) == ChatDelta(text="big")
        await until_names(node, shelves, second, ["other", "one", "big"])
        assert engines.made["other"].calls == ["start"]
        assert isinstance([item async for item in stream][-1], ChatEnd)
        profile = await person(node, "user").call(PROFILE, ProfileQuery())
        assert profile.name == "other"
    assert [engine.calls for engine in engines.made.values()] == [["start", "stop"]] * 2


@pytest.mark.requirement("I6")
async def test_what_is_removed_ends_once_nobody_uses_it() -> None:
    shelves, engines = Shelves(Shelf()), Engines()

    async with ruled_house(shelves, engines) as (node, _):
        await until_names(node, shelves, Shelf(installed=(installed("big"),)), ["one", "big"])
        stream = person(node, "user").stream(CHAT, Chat(messages=HELLO, model="big"))
        assert await anext(stream) == ChatDelta(text="big")
        await until_names(node, shelves, Shelf(), ["one"])
        assert engines.made["big"].calls == ["start"]
        assert isinstance([item async for item in stream][-1], ChatEnd)
        async with asyncio.timeout(30):
            while engines.made["big"].calls != ["start", "stop"]:
                await asyncio.sleep(0.01)


@pytest.mark.requirement("I6")
async def test_a_model_is_loaded_for_whoever_names_it_and_answers_nobody_else() -> None:
    shelves, engines = Shelves(Shelf(installed=(installed("big"),))), Engines()

    async with ruled_house(shelves, engines) as (node, configured):
        someone = person(node, "user")
        configured.fail_with = UnavailableError("away")
        with pytest.raises(UnavailableError, match="away"):
            await anext(someone.stream(CHAT, Chat(messages=HELLO)))
        assert engines.made["big"].calls == []
        states = {model.name: model.state for model in (await someone.call(MODELS, Nothing())).items}
        assert states == {"one": "remote", "big": "ready"}

        assert await anext(someone.stream(CHAT, Chat(messages=HELLO, model="big"))) == ChatDelta(text="big")
        assert engines.made["big"].calls == ["start"]
        _ = [item async for item in someone.stream(FORWARD, Forward(path="/v1/x", model="big", body=b"{}"))]
        assert engines.made["big"].calls == ["start"]


@pytest.mark.requirement("I6")
async def test_a_model_that_came_a_moment_ago_is_found_though_nobody_has_told_yet() -> None:
    shelves, engines = Shelves(Shelf()), Engines()

    async with ruled_house(shelves, engines) as (node, _):
        await until_names(node, shelves, Shelf(), ["one"])
        shelves.shelf = Shelf(installed=(installed("new"),))

        assert await anext(person(node, "user").stream(CHAT, Chat(messages=HELLO, model="new"))) == ChatDelta(
            text="new"
        )


@pytest.mark.requirement("I6")
async def test_a_model_that_finds_no_memory_is_replaced_by_the_next_and_the_answer_says_so() -> None:
    shelves = Shelves(Shelf(installed=(installed("big"), installed("huge", size_bytes=1000))))
    engines = Engines(budget_bytes=15)

    async with ruled_house(shelves, engines) as (node, _):
        items = [item async for item in person(node, "user").stream(CHAT, Chat(messages=HELLO, model="huge"))]

        assert isinstance(items[-1], ChatEnd)
        assert (items[-1].model, items[-1].fallback) == ("one", True)
        with pytest.raises(UnavailableError, match="FIRESIDE_INFERENCE_MEMORY_BYTES"):
            await anext(person(node, "user").stream(FORWARD, Forward(path="/v1/x", model="huge", body=b"{}")))


@pytest.mark.requirement("I13")
async def test_a_model_that_is_off_or_for_others_is_absent_and_cannot_be_asked() -> None:
    shelves, engines = Shelves(Shelf(rules=(ModelRule(name="ONE", roles=("admin",)),))), Engines()

    async with ruled_house(shelves, engines) as (node, configured):
        assert (await names_for(node, "user"), await names_for(node, "admin")) == ([], ["one"])
        someone = person(node, "user")
        with pytest.raises(NotFoundError):
            await someone.call(PROFILE, ProfileQuery(model="one"))
        with pytest.raises(NotFoundError):
            await anext(someone.stream(CHAT, Chat(messages=HELLO, model="one")))
        with pytest.raises(NotFoundError):
            await anext(someone.stream(FORWARD, Forward(path="/v1/x", model="one", body=b"{}")))
        with pytest.raises(UnavailableError):
            await anext(someone.stream(CHAT, Chat(messages=HELLO)))
        await until_names(node, shelves, Shelf(), ["one"])
        assert not configured.prompts


async def test_nobody_is_served_while_it_is_not_known_who_may_be_and_everyone_as_before_afterwards() -> None:
    shelves, engines = Shelves(Shelf()), Engines()
    shelves.shelf = None

    async with ruled_house(shelves, engines) as (node, _):
        with pytest.raises(UnavailableError):
            await names_for(node, "user")
        shelves.shelf = Shelf()
        assert await names_for(node, "user") == ["one"]
        shelves.shelf = None
        await person(node, "user").broadcast(ModelsChanged())
        assert await names_for(node, "user") == ["one"]
