"""Makes sure that an action only ever sees a valid request of its own type."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Any, ClassVar

from pydantic import ValidationError

from fireside.core.errors import InvalidInputError
from fireside.runtime.context import Context
from fireside.runtime.middleware.base import AnyAction, Handler, Middleware, Place, StreamHandler, Target


class ValidationMiddleware(Middleware):
    """Reads requests that arrive as JSON; checks the type of those handed over on this node."""

    places: ClassVar = frozenset({Place.LOCAL, Place.SERVE})

    def wrap(self, target: Target, handler: Handler) -> Handler:
        """Validate before the handler runs."""
        validated = _validator(target)

        def validating(context: Context, request: Any) -> Awaitable[Any]:
            return handler(context, validated(request))

        return validating

    def wrap_stream(self, target: Target, handler: StreamHandler) -> StreamHandler:
        """Validate before the stream begins."""
        validated = _validator(target)

        def validating(context: Context, request: Any) -> AsyncGenerator[Any, None]:
            return handler(context, validated(request))

        return validating


def _validator(target: Target) -> Callable[[Any], Any]:
    action = target.action
    if target.place is Place.SERVE:
        return partial(read_request, action)
    expected = action.request

    def checked(request: Any) -> Any:
        if not isinstance(request, expected):
            found = type(request).__name__
            raise InvalidInputError(f"{action.name} takes a {expected.__name__}, not a {found}", action=action.name)
        return request

    return checked


def read_request(action: AnyAction, data: bytes) -> Any:
    """The request that the JSON describes.

    Raises:
        InvalidInputError: It does not fit the contract; `details["errors"]` says where, without the values.
    """
    try:
        return action.request_from_json(data)
    except ValidationError as error:
        problems = [
            {"loc": list(problem["loc"]), "type": problem["type"], "msg": problem["msg"]}
            for problem in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise InvalidInputError(
            f"the request to {action.name} is not valid", action=action.name, errors=problems
        ) from None
