"""Tokens per second and the first token through each dialect, against the engine's own port."""

import asyncio
from collections.abc import Mapping

import aiohttp

from benchmarks.chatting import ANTHROPIC, OLLAMA, OPENAI, Dialect, ask, complete
from benchmarks.paired import differences, measure, quality_of_run, ratios
from benchmarks.serving import fireside, headers_of
from fireside.adapters.model_engine.supervised_llama import LlamaOptions, SupervisedLlama
from fireside.bootstrap.models import default_model_path
from fireside.testing.process import FiresideProcess

MODEL = "smollm2-135m-instruct"
QUESTION = "Write a short story about a lighthouse."
ROUNDS = 12
STREAMS = (1, 4, 16)
MAX_TOKENS = 48
OFF = {"FIRESIDE_INFERENCE_ENGINE": "off"}


def main() -> None:
    """Measure and print."""
    asyncio.run(_run())


async def _run() -> None:
    engine = SupervisedLlama(LlamaOptions(model_path=default_model_path(), model_name=MODEL, parallel=STREAMS[-1]))
    await engine.start()
    try:
        address = await engine.address(timeout_s=120)
        servers = f'[{{"url": "{address.base_url}", "api_key": "{address.api_key}", "models": ["{MODEL}"]}}]'
        with fireside(OFF | {"FIRESIDE_INFERENCE_SERVERS": servers}) as house:
            direct = {"authorization": f"Bearer {address.api_key}", "content-type": "application/json"}
            for streams in STREAMS:
                await _compare(house, address.base_url, direct, streams)
    finally:
        await engine.stop()


async def _compare(house: FiresideProcess, engine_url: str, direct: Mapping[str, str], streams: int) -> None:
    """Both speak to the same engine, so that only the way differs."""
    ours = headers_of(house)
    places: dict[str, tuple[str, Mapping[str, str], Dialect]] = {
        "engine": (engine_url, direct, OPENAI),
        "OpenAI": (house.url, ours, OPENAI),
        "Anthropic": (house.url, ours, ANTHROPIC),
        "Ollama": (house.url, ours, OLLAMA),
    }
    rates: dict[str, list[float]] = {name: [] for name in places}
    one_each = aiohttp.TCPConnector(force_close=True)  # the engine closes a connection after every stream
    async with aiohttp.ClientSession(connector=one_each) as session:

        async def first_token(name: str) -> float:
            url, headers, dialect = places[name]
            body = ask(MODEL, QUESTION, max_tokens=MAX_TOKENS, dialect=dialect)
            seen = await asyncio.gather(*(complete(session, url, headers, body, dialect) for _ in range(streams)))
            rates[name].append(sum(one.tokens for one in seen) / max(one.total_ms for one in seen))
            return sum(one.first_token_ms for one in seen) / streams

        targets = {name: (lambda name=name: first_token(name)) for name in places}
        found = await measure(targets, rounds=ROUNDS, warm_up=2)
    counted = {name: values[-ROUNDS:] for name, values in rates.items()}
    print(f"{streams} streams: {quality_of_run(found['engine'])}")
    shares, added = ratios(counted, direct="engine"), differences(found, direct="engine")
    for name in shares:
        print(f"  {name}: tokens/s, share of the bare engine's: {shares[name]} (goal >= 0.97)")
        print(f"  {name}: first token, added: {added[name]} ms (goal <= 5)")


if __name__ == "__main__":
    main()
