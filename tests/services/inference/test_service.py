"""The inference service: names, chains, fallback, and bytes that pass through."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from fireside.contracts.base import Nothing
from fireside.contracts.inference import (
    CHAT,
    FORWARD,
    MODELS,
    PROFILE,
    Chat,
    ChatDelta,
    ChatEnd,
    ChatQueued,
    Forward,
    ForwardChunk,
    ForwardHead,
    ModelReady,
    ProfileQuery,
)
from fireside.core.errors import InvalidInputError, NotFoundError, UnavailableError, UpstreamError
from fireside.core.identity import user_identity
from fireside.core.ids import UserId, new_id
from fireside.ports.model_engine import EngineStatus
from fireside.runtime.mesh import Context, Service, on_signal
from fireside.services.inference.model import Catalogue
from fireside.services.inference.service import InferenceService
from fireside.testing.mesh import local_node
from fireside.testing.scripted_model import ScriptedModel
from tests.services.inference.parts import HELLO, EngineDouble, room, served


class House:
    """A node with two scripted models, and a context of someone who may use them."""

    def __init__(self, context: Context, first: ScriptedModel, second: ScriptedModel) -> None:
        self.context, self.first, self.second = context, first, second

    async def chat(self, **request: object) -> list[ChatDelta | ChatEnd]:
        asked = Chat.model_validate({"messages": HELLO} | request)
        return [item async for item in self.context.stream(CHAT, asked)]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    first, second = ScriptedModel(), ScriptedModel(script=lambda _: ["second"])
    service = InferenceService(
        catalogue=Catalogue((served("one", first, upstream="one:latest"), served("two", second))), room=room()
    )
    someone = user_identity(UserId(new_id()), roles=["user"], permissions=["models:use"])
    async with local_node(service) as node:
        yield House(node.context(identity=someone), first, second)
    assert first.closed


async def test_the_first_model_answers_when_nobody_names_one(house: House) -> None:
    items = await house.chat()

    assert "".join(item.text for item in items if isinstance(item, ChatDelta)) == "hello there"
    end = items[-1]
    assert isinstance(end, ChatEnd)
    assert (end.model, end.fallback, end.usage.total_tokens) == ("one", False, 4)
    assert house.first.prompts[0].model == "one:latest"


async def test_a_model_that_fails_before_its_first_word_is_replaced_and_the_answer_says_so(house: House) -> None:
    house.first.fail_with = UnavailableError("loading")

    items = await house.chat(model="one")

    assert isinstance(items[-1], ChatEnd)
    assert (items[-1].model, items[-1].fallback) == ("two", True)


async def test_after_the_first_word_a_failure_is_told_and_nothing_is_said_twice(house: House) -> None:
    house.first.fail_with, house.first.fail_after = UpstreamError("gone"), 1

    with pytest.raises(UpstreamError, match="gone"):
        await house.chat()
    assert not house.second.prompts


async def test_a_refused_prompt_is_not_tried_elsewhere(house: House) -> None:
    house.first.fail_with = InvalidInputError("too long")

    with pytest.raises(InvalidInputError):
        await house.chat()
    assert not house.second.prompts


async def test_when_every_model_fails_the_last_cause_is_told(house: House) -> None:
    house.first.fail_with, house.second.fail_with = UnavailableError("a"), UnavailableError("b")

    with pytest.raises(UnavailableError, match="b"):
        await house.chat()


async def test_leaving_the_stream_stops_the_model(house: House) -> None:
    stream = house.context.stream(CHAT, Chat(messages=HELLO))
    await anext(stream)
    await stream.aclose()

    assert house.first.left_early == 1


async def test_an_unknown_model_is_named_with_those_that_exist(house: House) -> None:
    with pytest.raises(NotFoundError, match=r"'three'.*one, two"):
        await house.chat(model="three")
    with pytest.raises(NotFoundError):
        await house.context.call(PROFILE, ProfileQuery(model="three"))


async def test_bytes_pass_through_and_only_a_renamed_model_is_rewritten(house: House) -> None:
    body = b'{"model": "two",   "messages": []}'

    async def forwarded(model: str, body: bytes) -> tuple[ForwardHead, bytes]:
        request = Forward(path="/v1/chat/completions", model=model, body=body)
        items = [item async for item in house.context.stream(FORWARD, request)]
        assert isinstance(items[0], ForwardHead)
        return items[0], b"".join(item.data for item in items[1:] if isinstance(item, ForwardChunk))

    head, data = await forwarded("two", body)
    assert (head.status, data) == (200, b"/v1/chat/completions " + body)
    _, renamed = await forwarded("one", b'{"model":"one"}')
    assert renamed == b'/v1/chat/completions {"model":"one:latest"}'
    with pytest.raises(InvalidInputError):
        await forwarded("one", b"{")


async def test_profiles_tell_what_decides_how_a_model_is_used(house: House) -> None:
    models = await house.context.call(MODELS, Nothing())

    assert [(model.name, model.state) for model in models.items] == [("one", "remote"), ("two", "remote")]
    profile = await house.context.call(PROFILE, ProfileQuery())
    assert (profile.name, profile.answer_style, profile.context_tokens) == ("one", "write", 1000)


async def test_without_any_model_every_call_says_so() -> None:
    service = InferenceService(catalogue=Catalogue(()), room=room())
    someone = user_identity(UserId(new_id()), roles=["user"], permissions=["models:use"])
    async with local_node(service) as node:
        context = node.context(identity=someone)
        with pytest.raises(UnavailableError):
            await context.call(PROFILE, ProfileQuery())
        with pytest.raises(UnavailableError):
            await anext(context.stream(CHAT, Chat(messages=HELLO)))


async def test_engines_start_and_stop_with_the_service_and_their_state_is_health() -> None:
    engine = EngineDouble(EngineStatus("loading", "weights"))
    service = InferenceService(catalogue=Catalogue((served("local", ScriptedModel(), engine=engine),)), room=room())

    async with local_node(service):
        assert engine.calls == ["start"]
        check = (await service.health())["model local"]
        assert (check.status, check.detail) == ("degraded", "loading: weights")
        engine.status = EngineStatus("failed")
        assert (await service.health())["model local"].detail == "failed"
        engine.status = EngineStatus("ready", restarts=2)
        check = (await service.health())["model local"]
        assert (check.status, check.detail) == ("ok", "restarted 2 times")
    assert engine.calls == ["start", "stop"]


async def test_everyone_hears_of_an_engine_that_became_ready_each_time_it_does() -> None:
    class Listener(Service):
        name = "listener"

        def __init__(self) -> None:
            self.heard: asyncio.Queue[str] = asyncio.Queue()

        @on_signal(ModelReady)
        async def hear(self, _context: Context, signal: ModelReady) -> None:
            self.heard.put_nowait(signal.name)

    engine, listener = EngineDouble(EngineStatus("ready")), Listener()
    service = InferenceService(catalogue=Catalogue((served("local", ScriptedModel(), engine=engine),)), room=room())

    async with local_node(service, listener):
        for _ in range(2):
            engine.on_ready()
            assert await asyncio.wait_for(listener.heard.get(), 10) == "local"


@pytest.mark.requirement("I6")
async def test_who_waits_for_a_place_is_told_and_who_leaves_gives_it_to_the_next(house: House) -> None:
    house.first.gate = asyncio.Event()
    streams = [house.context.stream(CHAT, Chat(messages=HELLO, model="one")) for _ in range(3)]
    begun = [asyncio.ensure_future(anext(stream)) for stream in streams[:2]]
    await asyncio.sleep(0)
    queued = await anext(streams[2])
    assert isinstance(queued, ChatQueued)
    assert queued.ahead == 0

    begun[0].cancel()
    await asyncio.gather(begun[0], return_exceptions=True)
    house.first.gate.set()
    rest = [item async for item in streams[2]]

    assert "".join(item.text for item in rest if isinstance(item, ChatDelta)) == "hello there"
    assert isinstance(await begun[1], ChatDelta)
    await streams[1].aclose()


@pytest.mark.requirement("I6")
async def test_when_too_many_wait_for_a_model_the_next_one_answers(house: House) -> None:
    house.first.gate = asyncio.Event()
    streams = [house.context.stream(CHAT, Chat(messages=HELLO, model="one")) for _ in range(4)]
    begun = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await asyncio.sleep(0.01)

    items = await house.chat(model="one")

    assert isinstance(items[-1], ChatEnd)
    assert (items[-1].model, items[-1].fallback) == ("two", True)
    house.first.gate.set()
    await asyncio.gather(*begun)
    for stream in streams:
        await stream.aclose()


async def test_how_fast_a_model_was_is_seen(house: House) -> None:
    house.first.script = lambda _: ["a", "b", "c"]
    await house.chat()

    profile = await house.context.call(PROFILE, ProfileQuery())

    assert profile.answers == 1
    assert profile.tokens_per_s is not None
    assert profile.tokens_per_s > 0
