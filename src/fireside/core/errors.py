"""The one hierarchy of errors: each has a stable code, an HTTP status and says whether trying again can help.

Rendered once by the gateway as `application/problem+json` (RFC 9457), carried between nodes as a plain dict and
rebuilt on the other side by its code. A message names what was wrong, with the value, and what to do.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class FiresideError(Exception):
    """Base of every error that may leave the place where it happened."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", /, **details: Any) -> None:
        """Describe one failure.

        Args:
            message: For people: what was wrong and what to do. The class's first docstring line when empty.
            details: JSON-serialisable facts for programs; never secrets, never text of documents or messages.
        """
        text = message or (type(self).__doc__ or "").strip().splitlines()[0]
        super().__init__(text)
        self.message = text
        self.details: dict[str, Any] = details

    def to_dict(self) -> dict[str, Any]:
        """The error as plain data, as it travels between nodes and into logs."""
        return {
            "code": self.code,
            "status": self.status,
            "message": self.message,
            "retryable": self.retryable,
            "details": self.details,
        }


class InvalidInputError(FiresideError):
    """The request is not valid."""

    code = "invalid_input"
    status = 422


class ContextOverflowError(InvalidInputError):
    """The prompt is longer than the model's window; one with a larger window may answer it."""

    code = "context_length_exceeded"


class ModelGoneError(InvalidInputError):
    """The model's server has no such model, or does not do this; another model may."""

    code = "model_gone"
    status = 404


class UnauthenticatedError(FiresideError):
    """Who is asking could not be established."""

    code = "unauthenticated"
    status = 401


class ForbiddenError(FiresideError):
    """The caller may not do this."""

    code = "forbidden"
    status = 403


class NotFoundError(FiresideError):
    """There is no such object, or it is not the caller's to see."""

    code = "not_found"
    status = 404


class ConflictError(FiresideError):
    """The request does not fit the present state."""

    code = "conflict"
    status = 409


class TooLargeError(FiresideError):
    """The request is larger than allowed."""

    code = "too_large"
    status = 413


class UnsupportedMediaTypeError(FiresideError):
    """Content of this kind is not supported."""

    code = "unsupported_media_type"
    status = 415


class TooManyRequestsError(FiresideError):
    """A limit was reached; `details["retry_after_s"]` says when to come back."""

    code = "too_many_requests"
    status = 429
    retryable = True


class UpstreamError(FiresideError):
    """A server that Fireside depends on answered wrongly."""

    code = "upstream"
    status = 502
    retryable = True


class KeyRefusedError(UpstreamError):
    """The model's server refuses the key that Fireside has for it; whoever manages providers must look at it."""

    code = "provider_key_refused"


class UnavailableError(FiresideError):
    """A part that is needed for this is not available at the moment."""

    code = "unavailable"
    status = 503
    retryable = True


class DeadlineExceededError(FiresideError):
    """The answer did not come in time."""

    code = "deadline_exceeded"
    status = 504
    retryable = True


class InternalError(FiresideError):
    """Something failed that should not have; the log has the cause under the request id."""


def error_from_dict(data: Mapping[str, Any]) -> FiresideError:
    """Rebuild an error that another node reported.

    An unknown code keeps its code, status and retryability on an instance of the base class.
    """
    code = str(data.get("code", FiresideError.code))
    message, details = str(data.get("message", "")), dict(data.get("details") or {})
    known = {cls.code: cls for cls in _family(FiresideError) if cls is not FiresideError}
    if code in known:
        return known[code](message, **details)
    status, retryable = int(data.get("status", 500)), bool(data.get("retryable", False))
    foreign = type("ForeignError", (FiresideError,), {"code": code, "status": status, "retryable": retryable})
    return foreign(message or code, **details)


def _family(cls: type[FiresideError]) -> Iterator[type[FiresideError]]:
    for child in cls.__subclasses__():
        if child.__name__ != "ForeignError":
            yield from _family(child)
    yield cls
