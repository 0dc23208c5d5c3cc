"""Tokens per second and the first token through each dialect, against the engine's own port.

Every stream has a prompt of its own, the same in every round and at every place, so that after the warm-up the engine
reads nothing anew and what differs is the way alone. The engine has as many slots as there are streams.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp

from benchmarks.chatting import ANTHROPIC, OLLAMA, OPENAI, Dialect, ask, complete
from benchmarks.paired import differences, interval, measure, quality_of_run, ratios
from benchmarks.serving import NO_LIMIT, cpu_s, fireside, headers_of
from fireside.adapters.model_engine.supervised_llama import LlamaOptions, SupervisedLlama
from fireside.bootstrap.models import default_model_path
from fireside.ports.model_engine import EngineAddress
from fireside.testing.process import FiresideProcess

MODEL = "smollm2-135m-instruct"
BARE = "engine"
ROUNDS = {1: 20, 4: 10, 16: 4}
"""Rounds that count, by the number of streams."""
WARM_UP = 1
MAX_TOKENS = 20
OFF = {
    "FIRESIDE_INFERENCE_ENGINE": "off",
    "FIRESIDE_GATEWAY_USER_RATE": NO_LIMIT,
    "FIRESIDE_GATEWAY_CREDENTIAL_RATE": NO_LIMIT,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where completions are asked for, and in which dialect."""

    url: str
    headers: Mapping[str, str]
    dialect: Dialect


@dataclass(slots=True)
class Counted:
    """What every round of one place gave, in order.

    Attributes:
        rates: Tokens per second of all streams together.
        tokens: How many came.
        house_s: Processor time that Fireside took, in s; the system counts in hundredths.
        engine_s: The same of the engine.
    """

    rates: list[float] = field(default_factory=lambda: list[float]())
    tokens: list[int] = field(default_factory=lambda: list[int]())
    house_s: list[float] = field(default_factory=lambda: list[float]())
    engine_s: list[float] = field(default_factory=lambda: list[float]())

    @property
    def engine_ms(self) -> float:
        """The engine's processor time for a token, over all rounds that count."""
        return sum(self.engine_s[WARM_UP:]) / sum(self.tokens[WARM_UP:]) * 1000

    @property
    def took_s(self) -> float:
        """How long all rounds took that count."""
        return sum(tokens / rate for tokens, rate in zip(self.tokens[WARM_UP:], self.rates[WARM_UP:], strict=True))

    def house_ms(self, idle: "Counted") -> float:
        """Fireside's processor time for a token, less what it takes at the same time when nobody asks it."""
        of_itself_s = sum(idle.house_s[WARM_UP:]) / idle.took_s * self.took_s
        return (sum(self.house_s[WARM_UP:]) - of_itself_s) / sum(self.tokens[WARM_UP:]) * 1000


def main() -> None:
    """Measure and print."""
    reader = argparse.ArgumentParser(prog="python -m benchmarks.engine")
    reader.add_argument("--threads", type=int, default=2, help="the engine's processor threads")
    reader.add_argument("--streams", type=int, nargs="+", default=list(ROUNDS), choices=list(ROUNDS))
    chosen = reader.parse_args()
    asyncio.run(_run(chosen.threads, chosen.streams))


async def _run(threads: int, streams: list[int]) -> None:
    for count in streams:
        options = LlamaOptions(
            model_path=default_model_path(), model_name=MODEL, parallel=count, threads=threads, prompt_cache_mib=0
        )
        engine = SupervisedLlama(options)
        await engine.start()
        try:
            address = await engine.address(timeout_s=120)
            with fireside(OFF | served(address)) as house:
                await Comparison(house, engine, address, count).run()
        finally:
            await engine.stop()


def served(address: EngineAddress) -> dict[str, str]:
    """The environment of a Fireside that offers the engine's model."""
    server = f'{{"url": "{address.base_url}", "api_key": "{address.api_key}", "models": ["{MODEL}"]}}'
    return {"FIRESIDE_INFERENCE_SERVERS": f"[{server}]"}


def bare_headers(address: EngineAddress) -> dict[str, str]:
    """What a client of the engine's own port sends."""
    return {"authorization": f"Bearer {address.api_key}", "content-type": "application/json"}


class Comparison:
    """So many streams at once, at the engine's own port and through each dialect in turns."""

    def __init__(self, house: FiresideProcess, engine: SupervisedLlama, address: EngineAddress, streams: int) -> None:
        ours = headers_of(house)
        self._places = {
            BARE: Place(address.base_url, bare_headers(address), OPENAI),
            "OpenAI": Place(house.url, ours, OPENAI),
            "Anthropic": Place(house.url, ours, ANTHROPIC),
            "Ollama": Place(house.url, ours, OLLAMA),
        }
        self._house, self._engine, self._streams = house, engine, streams
        self._counted = {name: Counted() for name in self._places}
        self._done = 0

    async def run(self) -> None:
        """Measure and print."""
        began, rounds = time.perf_counter(), ROUNDS[self._streams]
        one_each = aiohttp.TCPConnector(force_close=True, limit=0)  # the engine closes a connection after every stream
        async with aiohttp.ClientSession(connector=one_each) as session:
            targets = {name: (lambda name=name: self._first_token_ms(session, name)) for name in self._places}
            first_token = await measure(targets, rounds=rounds, warm_up=WARM_UP)
        took_s = time.perf_counter() - began
        print(f"\r{self._streams} streams, {rounds} rounds in {took_s:.0f} s", end=": ")
        self._tell_found(first_token)
        sys.stdout.flush()

    def _tell_found(self, first_token: Mapping[str, list[float]]) -> None:
        rates = {name: counted.rates[WARM_UP:] for name, counted in self._counted.items()}
        shares, added = ratios(rates, direct=BARE), differences(first_token, direct=BARE)
        print(quality_of_run(rates[BARE]))
        print(f"  bare: {interval(rates[BARE])} tokens/s, first token {interval(first_token[BARE])} ms")
        for name, counted in self._counted.items():
            if name in shares:
                print(
                    f"  {name}: tokens/s, share of the bare engine's: {shares[name]} (goal >= {_goal(self._streams)})"
                )
                print(f"  {name}: first token, added: {added[name]} ms (goal <= 5)")
            house_ms = counted.house_ms(self._counted[BARE])
            print(
                f"  {name}: processor time for a token: engine {counted.engine_ms:.2f} ms, Fireside {house_ms:.2f} ms"
            )

    async def _first_token_ms(self, session: aiohttp.ClientSession, name: str) -> float:
        place, pid = self._places[name], self._engine.status.pid
        assert pid is not None
        bodies = [
            ask(MODEL, f"Write a story about lighthouse {n}.", max_tokens=MAX_TOKENS, dialect=place.dialect)
            for n in range(self._streams)
        ]
        house, engine = cpu_s(self._house.pid), cpu_s(pid)
        seen = await asyncio.gather(
            *(complete(session, place.url, place.headers, body, place.dialect) for body in bodies)
        )
        tokens = sum(one.tokens for one in seen)
        counted = self._counted[name]
        counted.rates.append(tokens / max(one.total_ms for one in seen) * 1000)
        counted.tokens.append(tokens)
        counted.house_s.append(cpu_s(self._house.pid) - house)
        counted.engine_s.append(cpu_s(pid) - engine)
        self._tell()
        return sum(one.first_token_ms for one in seen) / self._streams

    def _tell(self) -> None:
        self._done += 1
        of = (ROUNDS[self._streams] + WARM_UP) * len(self._places)
        print(f"\r{self._streams} streams: {self._done} of {of}", end="", file=sys.stderr, flush=True)


def _goal(streams: int) -> float:
    return 0.97 if streams == 1 else 0.98


if __name__ == "__main__":
    main()
