"""What can go wrong when a model is asked."""

from fireside.core.errors import NotFoundError


class UnknownModelError(NotFoundError):
    """There is no model of that name."""

    code = "model_not_found"
