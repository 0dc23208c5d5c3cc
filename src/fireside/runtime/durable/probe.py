"""Named points in the durable core at which a test may end the process, to show that nothing is lost there."""

from collections.abc import Callable

Probe = Callable[[str], None]
"""Called with the name of the point that was reached."""


def no_probe(_point: str) -> None:
    """Go on."""
