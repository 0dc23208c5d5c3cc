"""How long to wait before trying again."""

from random import random


def retry_delay_s(attempt: int, *, first_s: float, longest_s: float, spread: float | None = None) -> float:
    """The wait after a failed attempt: doubled each time, and spread so that many do not come back at once.

    Args:
        attempt: Which attempt failed, from 1.
        first_s: Longest wait after the first.
        longest_s: No wait is longer.
        spread: Where between half and the whole of the wait, from 0 to 1; by chance when None.
    """
    whole = min(longest_s, first_s * 2.0 ** min(attempt - 1, 62))
    chance = random() if spread is None else spread  # noqa: S311 - spreads load, guards nothing
    return whole * (0.5 + chance / 2)
