import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from fireside.adapters.cache.memory import MemoryCache
from fireside.core.errors import FiresideError, NotFoundError, UnavailableError
from fireside.core.identity import Identity, user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.caching import Cache
from fireside.runtime.middleware.cache import CacheMiddleware
from fireside.runtime.middleware.fallback import FallbackMiddleware

from .parts import (
    Answer,
    Ask,
    Script,
    StreamScript,
    a_context,
    a_stream,
    an_action,
    collect,
    some_metrics,
    target,
    value,
)


async def plain(context: Any, request: Ask, error: FiresideError) -> Answer:
    return Answer(text=f"instead of {request.text}, for {error.code}")


async def plain_stream(context: Any, request: Ask, error: FiresideError) -> AsyncGenerator[Answer, None]:
    yield Answer(text=error.code)


async def test_a_fallback_answers_for_an_action_that_is_unavailable() -> None:
    metrics = some_metrics()
    handler = FallbackMiddleware(metrics).wrap(
        target(an_action(), fallback=plain), Script(UnavailableError("not now"), Answer(text="itself"))
    )

    assert await handler(a_context(), Ask(text="x")) == Answer(text="instead of x, for unavailable")
    assert await handler(a_context(), Ask(text="x")) == Answer(text="itself")
    assert value(metrics, "fireside_fallbacks_total", action="tests.ask", code="unavailable") == 1


async def test_a_fallback_does_not_hide_what_the_caller_did_wrong() -> None:
    handler = FallbackMiddleware(some_metrics()).wrap(
        target(an_action(), fallback=plain), Script(NotFoundError("no such note"))
    )

    with pytest.raises(NotFoundError):
        await handler(a_context(), Ask())


async def test_an_action_without_a_fallback_is_left_alone() -> None:
    script, stream = Script(Answer()), StreamScript([])

    assert FallbackMiddleware(some_metrics()).wrap(target(an_action()), script) is script
    assert FallbackMiddleware(some_metrics()).wrap_stream(target(a_stream()), stream) is stream


async def test_a_stream_falls_back_only_while_nothing_was_delivered() -> None:
    middleware, error = FallbackMiddleware(some_metrics()), UnavailableError("not now")
    streamed = target(a_stream(), fallback=plain_stream)

    handler = middleware.wrap_stream(streamed, StreamScript([error], [Answer(text="a"), error], [Answer(text="b")]))

    assert await collect(handler(a_context(), Ask())) == [Answer(text="unavailable")]
    with pytest.raises(UnavailableError):
        await collect(handler(a_context(), Ask()))
    assert await collect(handler(a_context(), Ask())) == [Answer(text="b")]


def a_user(*permissions: str, user_id: UserId | None = None) -> Identity:
    return user_identity(user_id or UserId(new_id()), roles=["user"], permissions=permissions)


@pytest.fixture
def cache() -> Cache:
    return Cache(MemoryCache(), metrics=some_metrics())


async def test_equal_requests_of_one_identity_are_answered_from_the_cache(cache: Cache) -> None:
    script, user = Script(Answer(text="1"), Answer(text="2")), a_user()
    handler = CacheMiddleware(cache).wrap(target(an_action(cache_ttl_s=60.0)), script)

    first = await handler(a_context(identity=user), Ask(text="x"))
    second = await handler(a_context(identity=user), Ask(text="x"))
    other = await handler(a_context(identity=user), Ask(text="y"))

    assert first == second == Answer(text="1")
    assert other == Answer(text="2")
    assert script.calls == 2


async def test_what_one_identity_may_see_is_never_given_to_another(cache: Cache) -> None:
    user_id = UserId(new_id())
    identities = [a_user(), a_user(user_id=user_id), a_user("tests:read", user_id=user_id)]
    script = Script(*(Answer(text=str(number)) for number in range(3)))
    handler = CacheMiddleware(cache).wrap(target(an_action(cache_ttl_s=60.0)), script)

    answers = [await handler(a_context(identity=identity), Ask()) for identity in identities]

    assert len({answer.text for answer in answers}) == 3


@pytest.mark.parametrize("tag", ["action:tests.ask", "service:tests", "user:{user}"])
async def test_cached_responses_are_forgotten_by_tag(cache: Cache, tag: str) -> None:
    user = a_user()
    script = Script(Answer(text="1"), Answer(text="2"))
    handler = CacheMiddleware(cache).wrap(target(an_action(cache_ttl_s=60.0)), script)
    await handler(a_context(identity=user), Ask())

    await cache.invalidate(tag.format(user=user.user_id))

    assert (await handler(a_context(identity=user), Ask())).text == "2"


async def test_equal_requests_at_once_share_one_run(cache: Cache) -> None:
    user, runs = a_user(), 0
    gate = asyncio.Event()

    async def slow(context: Any, request: Ask) -> Answer:
        nonlocal runs
        runs += 1
        await gate.wait()
        return Answer(text="shared")

    handler = CacheMiddleware(cache).wrap(target(an_action(cache_ttl_s=60.0)), slow)
    calls = [asyncio.ensure_future(handler(a_context(identity=user), Ask())) for _ in range(100)]
    for _ in range(5):
        await asyncio.sleep(0)
    gate.set()

    assert {answer.text for answer in await asyncio.gather(*calls)} == {"shared"}
    assert runs == 1


async def test_errors_are_not_cached(cache: Cache) -> None:
    script = Script(UnavailableError("not now"), Answer(text="later"))
    handler = CacheMiddleware(cache).wrap(target(an_action(cache_ttl_s=60.0)), script)
    user = a_user()

    with pytest.raises(UnavailableError):
        await handler(a_context(identity=user), Ask())

    assert (await handler(a_context(identity=user), Ask())).text == "later"


async def test_an_action_that_may_not_be_cached_is_left_alone(cache: Cache) -> None:
    script = Script(Answer())

    assert CacheMiddleware(cache).wrap(target(an_action()), script) is script
