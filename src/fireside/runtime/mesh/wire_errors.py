"""Errors between Fireside's shape and Moleculer's: our `code` is its `type`, our `status` its `code`."""

from typing import Any, cast

from fireside.core.errors import (
    DeadlineExceededError,
    FiresideError,
    InternalError,
    InvalidInputError,
    TooManyRequestsError,
    UnavailableError,
    error_from_dict,
)
from fireside.runtime.errors import ActionUnavailableError
from fireside.runtime.mesh.packets import WireError

MOLECULER_TYPES = {
    "SERVICE_NOT_FOUND": ActionUnavailableError.code,
    "SERVICE_NOT_AVAILABLE": ActionUnavailableError.code,
    "REQUEST_TIMEOUT": DeadlineExceededError.code,
    "REQUEST_SKIPPED": DeadlineExceededError.code,
    "REQUEST_REJECTED": UnavailableError.code,
    "BAD_BROKER_STATE": UnavailableError.code,
    "QUEUE_FULL": TooManyRequestsError.code,
    "VALIDATION_ERROR": InvalidInputError.code,
}
"""Errors of Moleculer's own, by their `type`, and what they are called here."""


def to_wire(error: BaseException, *, node_id: str) -> WireError:
    """The error as it travels. One that is none of ours tells nothing of itself.

    Its `name` is a class that Moleculer knows, so that a Node.js caller gets a real MoleculerError.
    """
    known = error if isinstance(error, FiresideError) else InternalError()
    if known.retryable:
        name = "MoleculerRetryableError"
    else:
        name = "MoleculerClientError" if known.status < 500 else "MoleculerServerError"
    return WireError(
        name=name,
        message=known.message,
        code=known.status,
        type=known.code,
        node_id=node_id,
        retryable=known.retryable,
        data=known.details,
    )


def from_wire(error: WireError | None) -> FiresideError:
    """The error rebuilt as the class that its code names."""
    if error is None:
        return InternalError("the other node reported an error without saying which")
    kind = error.type or error.name or InternalError.code
    data: Any = error.data
    details = cast("dict[str, Any]", data) if isinstance(data, dict) else {} if data is None else {"data": data}
    return error_from_dict(
        {
            "code": MOLECULER_TYPES.get(kind, kind),
            "status": error.code if isinstance(error.code, int) and 400 <= error.code <= 599 else 500,
            "message": error.message or "",
            "retryable": bool(error.retryable),
            "details": details,
        }
    )
