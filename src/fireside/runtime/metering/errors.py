"""What can go wrong when calls are measured."""

from fireside.core.errors import TooManyRequestsError


class LimitExceededError(TooManyRequestsError):
    """A limit of requests, tokens or cost has no room for this call; trying again before its window ends is no use."""

    code = "limit_exceeded"
    retryable = False
