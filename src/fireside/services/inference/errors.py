"""What can go wrong when a model is asked."""

from fireside.core.errors import InvalidInputError, NotFoundError, UnavailableError, UpstreamError


class UnknownModelError(NotFoundError):
    """There is no model of that name."""

    code = "model_not_found"


class ImagesNotReadError(InvalidInputError):
    """The model reads text alone."""

    code = "images_not_supported"
    status = 400


class TooLargeForBudgetError(UnavailableError):
    """The model needs more memory than all models may have together."""

    code = "model_too_large"
    retryable = False


class ProviderRestingError(UnavailableError):
    """The provider is left alone for a while: it failed repeatedly, or its own limit was reached."""

    code = "provider_resting"


class ModelTooSlowError(UpstreamError):
    """The model did not say its first word, or did not end its answer, in the time that its provider has."""

    code = "model_too_slow"
    status = 504


class EmptyAnswerError(UpstreamError):
    """The model ended its answer without a word."""

    code = "empty_answer"
