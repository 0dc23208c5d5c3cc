"""The second turn of conversations: what the engine need not read again, directly and through Fireside.

Every conversation begins with words that were never read before. All first turns run together, then all second ones; a
second turn holds the first one whole, so that everything up to its new message can come from the engine's memory.
"""

import argparse
import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import aiohttp
import orjson

from benchmarks.engine import BARE, MODEL, OFF, bare_headers, served
from benchmarks.paired import interval, measure, quality_of_run, ratios
from benchmarks.serving import cpu_s, fireside, headers_of
from fireside.adapters.model_engine.supervised_llama import LlamaOptions, SupervisedLlama
from fireside.bootstrap.models import default_model_path
from fireside.core.openai_wire import json_object

ROUNDS = {1: 6, 4: 4, 6: 3}
"""Rounds that count, by the number of conversations."""
SLOTS = 4
THROUGH = "Fireside"
WORDS = ("harbour", "lantern", "copper", "meadow", "thunder", "kettle", "island", "ladder", "mirror", "anchor")
READ_WORDS = 80
MAX_TOKENS = 8
INSTRUCTIONS = "You are a careful assistant. Answer in one short sentence and keep to what the message says."


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer: when its first token came, what was read for it, how much of that was known, and what it says."""

    first_token_ms: float
    prompt_tokens: int
    cached_tokens: int
    text: str


def main() -> None:
    """Measure and print."""
    reader = argparse.ArgumentParser(prog="python -m benchmarks.turns")
    reader.add_argument("--threads", type=int, default=2, help="the engine's processor threads")
    reader.add_argument("--conversations", type=int, nargs="+", default=list(ROUNDS), choices=list(ROUNDS))
    chosen = reader.parse_args()
    asyncio.run(_run(chosen.threads, chosen.conversations))


async def _run(threads: int, numbers: list[int]) -> None:
    options = LlamaOptions(model_path=default_model_path(), model_name=MODEL, parallel=SLOTS, threads=threads)
    engine = SupervisedLlama(options)
    await engine.start()
    try:
        address = await engine.address(timeout_s=120)
        with fireside(OFF | served(address)) as house:
            places = {BARE: (address.base_url, bare_headers(address)), THROUGH: (house.url, headers_of(house))}
            for conversations in numbers:
                await _compare(places, conversations, house.pid, engine.status.pid or 0)
    finally:
        await engine.stop()


async def _compare(
    places: Mapping[str, tuple[str, Mapping[str, str]]], conversations: int, house: int, engine: int
) -> None:
    """So many conversations at a time, in turns here and there."""
    shares: dict[str, list[float]] = {name: [] for name in places}
    used_ms: dict[str, list[float]] = {name: [] for name in places}
    rounds, began = ROUNDS[conversations], time.perf_counter()
    one_each = aiohttp.TCPConnector(force_close=True)  # the engine closes a connection after every stream
    async with aiohttp.ClientSession(connector=one_each) as session:

        async def second_turns(name: str) -> float:
            talks = [_begin() for _ in range(conversations)]
            first = await _all(session, places[name], talks)
            for talk, turn in zip(talks, first, strict=True):
                talk += [_said("assistant", turn.text), _said("user", "And what else does it name?")]
            used_s = cpu_s(house) + cpu_s(engine)
            second = await _all(session, places[name], talks)
            used_ms[name].append((cpu_s(house) + cpu_s(engine) - used_s) * 1000 / conversations)
            shares[name].append(sum(each.cached_tokens for each in second) / sum(each.prompt_tokens for each in second))
            print(f"{conversations} conversations: {len(shares[name])} of {rounds} {name}", flush=True)
            return sum(each.first_token_ms for each in second) / conversations

        targets = {name: (lambda name=name: second_turns(name)) for name in places}
        found = await measure(targets, rounds=rounds, warm_up=0)
    print(f"{conversations} conversations, {SLOTS} slots, {time.perf_counter() - began:.0f} s:", end=" ")
    print(quality_of_run(found[BARE]))
    print(
        f"  first token of the second turn, bare: {interval(found[BARE])} ms, Fireside: {interval(found[THROUGH])} ms"
    )
    print(f"  of bare: {ratios(found, direct=BARE)[THROUGH]} (goal <= 1.1)")
    print(f"  part of the prompt that was known, bare: {interval(shares[BARE])}, Fireside: {interval(shares[THROUGH])}")
    print(f"  of bare: {ratios(shares, direct=BARE)[THROUGH]} (goal >= 0.98)")
    both = f"bare: {interval(used_ms[BARE])} ms, Fireside: {interval(used_ms[THROUGH])} ms"
    print(f"  processor time of engine and Fireside for a second turn, {both}", flush=True)


_numbers = count(1000)


def _begin() -> list[dict[str, str]]:
    number = next(_numbers)
    words = [f"{number}", *(WORDS[(number * (n + 3) + n * n) % len(WORDS)] for n in range(READ_WORDS))]
    return [_said("system", INSTRUCTIONS), _said("user", " ".join(words) + ". Which things are named?")]


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


async def _all(
    session: aiohttp.ClientSession, place: tuple[str, Mapping[str, str]], talks: list[list[dict[str, str]]]
) -> list[Turn]:
    return await asyncio.gather(*(_turn(session, *place, talk) for talk in talks))


async def _turn(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], messages: list[dict[str, str]]
) -> Turn:
    body = {"model": MODEL, "messages": messages, "max_tokens": MAX_TOKENS, "temperature": 0, "seed": 1}
    asked = orjson.dumps(body | {"stream": True, "stream_options": {"include_usage": True}})
    began, first, text, usage = time.perf_counter(), 0.0, "", dict[str, Any]()
    async with session.post(url + "/v1/chat/completions", data=asked, headers=dict(headers)) as reply:
        if reply.status != 200:
            raise SystemExit(f"{url} answered {reply.status}: {await reply.text()}")
        async for line in reply.content:
            if not line.startswith(b"data: {"):
                continue
            chunk = json_object(orjson.loads(line[6:]))
            usage = json_object(chunk.get("usage")) or usage
            for choice in chunk.get("choices") or ():
                if piece := choice["delta"].get("content"):
                    first, text = first or time.perf_counter(), text + piece
    if not text:
        raise SystemExit(f"{url} sent no token")
    known = json_object(usage.get("prompt_tokens_details")).get("cached_tokens", 0)
    return Turn((first - began) * 1000, usage["prompt_tokens"], known, text)


if __name__ == "__main__":
    main()
