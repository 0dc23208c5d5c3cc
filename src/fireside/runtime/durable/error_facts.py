"""What may be stored and shown of an error."""

from typing import Any

from fireside.core.errors import DeadlineExceededError, FiresideError, InternalError


def error_facts(error: BaseException, *, timeout_s: float | None = None) -> dict[str, Any]:
    """All of Fireside's own errors; of any other only the type's name, because its text may hold anything.

    Args:
        error: What was raised.
        timeout_s: The time that was allowed, named when the error is that it passed.
    """
    if isinstance(error, FiresideError):
        return error.to_dict()
    if isinstance(error, TimeoutError) and timeout_s is not None:
        return DeadlineExceededError(f"not done after {timeout_s:g} s").to_dict()
    return InternalError(f"{type(error).__name__}; the log has the cause").to_dict()
