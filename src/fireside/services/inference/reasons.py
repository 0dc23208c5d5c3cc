"""Why a model did not answer, in words that may be shown to whoever asked: no address, no text of the provider."""

from fireside.core.errors import (
    ContextOverflowError,
    FiresideError,
    KeyRefusedError,
    ModelGoneError,
    TooManyRequestsError,
)
from fireside.runtime.errors import OverloadedError
from fireside.services.inference.errors import (
    EmptyAnswerError,
    ModelTooSlowError,
    ProviderRestingError,
    TooLargeForBudgetError,
)

_REASONS: dict[type[FiresideError], str] = {
    ContextOverflowError: "the question and its documents are too long for it",
    TooManyRequestsError: "its rate limit was reached",
    ProviderRestingError: "it is left alone for a while after failures",
    ModelTooSlowError: "it took too long",
    EmptyAnswerError: "it answered without a word",
    KeyRefusedError: "its provider refuses the key",
    ModelGoneError: "its provider does not offer it",
    TooLargeForBudgetError: "there is too little memory for it",
    OverloadedError: "too many wait for it",
}


def reason_of(error: FiresideError) -> str:
    """The reason, as the end of a sentence that begins with the model's name."""
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return reason
    return "it could not be reached" if error.status == 503 else "its server failed"
