"""Paired latencies: in each round one request per target in shuffled order, differences taken within the round."""

import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

ROUNDS = 60
RESAMPLES = 2000
QUARTILE_RANGE_LIMIT = 0.10
SEED = 7

Request = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Interval:
    """A median with its bootstrap 95 % interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


def interval(values: list[float]) -> Interval:
    """The median of values, and where 95 % of the medians of resamples lie."""
    chance = random.Random(SEED)
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return Interval(statistics.median(values), medians[int(RESAMPLES * 0.025)], medians[int(RESAMPLES * 0.975)])


async def measure(targets: Mapping[str, Request], *, rounds: int = ROUNDS, warm_up: int = 5) -> dict[str, list[float]]:
    """Ask every target once a round, in shuffled order.

    Args:
        targets: Each returns what it measured, in any unit.
        rounds: How many rounds count.
        warm_up: Rounds before that do not.

    Returns:
        A list of `rounds` values for each target; values of one index belong together.
    """
    chance, found = random.Random(SEED), {name: list[float]() for name in targets}
    for round_ in range(warm_up + rounds):
        for name in chance.sample(list(targets), len(targets)):
            value = await targets[name]()
            if round_ >= warm_up:
                found[name].append(value)
    return found


def differences(found: Mapping[str, list[float]], *, direct: str) -> dict[str, Interval]:
    """What each target adds to the direct one, paired by round."""
    return {
        name: interval([a - b for a, b in zip(values, found[direct], strict=True)])
        for name, values in found.items()
        if name != direct
    }


def ratios(found: Mapping[str, list[float]], *, direct: str) -> dict[str, Interval]:
    """What each target is of the direct one, paired by round."""
    return {
        name: interval([a / b for a, b in zip(values, found[direct], strict=True)])
        for name, values in found.items()
        if name != direct
    }


def quality_of_run(direct: list[float]) -> str:
    """Whether the machine was quiet enough: the direct call's quartile range within 10 % of its median."""
    low, _, high = statistics.quantiles(direct, n=4)
    spread = (high - low) / statistics.median(direct)
    verdict = "ok" if spread <= QUARTILE_RANGE_LIMIT else "VOID: the machine was not quiet"
    return f"quartile range of the direct call {spread:.0%} of its median: {verdict}"


async def timed(work: Awaitable[object]) -> float:
    """How long the work takes, in milliseconds."""
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000
