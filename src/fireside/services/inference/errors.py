"""What can go wrong when a model is asked."""

from fireside.core.errors import NotFoundError, UnavailableError


class UnknownModelError(NotFoundError):
    """There is no model of that name."""

    code = "model_not_found"


class TooLargeForBudgetError(UnavailableError):
    """The model needs more memory than all models may have together."""

    code = "model_too_large"
    retryable = False
