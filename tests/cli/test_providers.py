"""`fireside providers`: a provider is made, listed, tried, given a role and removed."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.adapters.upstream import running_upstream
from tests.cli.conftest import CommandLine
from tests.services.inference.provider_house import set_up


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a provider with one model, which runs beside the test."""
    loop, ready, ended, urls = asyncio.new_event_loop(), threading.Event(), asyncio.Event(), list[str]()

    async def serve() -> None:
        async with running_upstream() as upstream:
            urls.append(set_up(upstream, "hello").base_url)
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    yield urls[0]
    loop.call_soon_threadsafe(ended.set)
    thread.join(10)
    loop.close()


@pytest.mark.requirement("I5")
def test_a_provider_is_made_listed_tried_given_a_role_and_removed(fireside: CommandLine, url: str) -> None:
    assert "needs --kind" in fireside("providers", "set", "beside").err
    made = fireside("providers", "set", "beside", "--kind", "vllm", "--url", url, "--json")
    assert (made.code, made.json["models"], made.json["has_key"]) == (0, ["big"], False), made.err

    assert fireside("providers", "test", "beside").out.startswith("beside answers in ")
    assert fireside("providers", "set", "beside", "--off").code == 0
    listed = fireside("providers", "list", "--json").json
    assert [(item["name"], item["enabled"]) for item in listed if not item["fixed"]] == [("beside", False)]
    assert fireside("providers", "roles", "answer", "big", "--json").json == {"answer": ["big"]}
    assert "judge" in fireside("providers", "roles", "judge", "big").err
    assert fireside("providers", "roles", "answer", "--clear", "--json").json == {}

    assert fireside("providers", "remove", "beside").code == 0
    assert "no provider 'beside'" in fireside("providers", "test", "beside").err
