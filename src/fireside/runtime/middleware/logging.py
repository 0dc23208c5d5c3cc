"""Names the call in every log line written on its behalf, and writes down failures."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, ClassVar

import structlog

from fireside.core.errors import FiresideError, InternalError
from fireside.runtime.context import Context
from fireside.runtime.logging import current_call
from fireside.runtime.middleware.base import Handler, Middleware, Place, StreamHandler, Target

log = structlog.stdlib.get_logger(__name__)


class LoggingMiddleware(Middleware):
    """The outermost place that an action's error reaches.

    An error that is none of ours is written with its trace and becomes an `InternalError`, so that a caller on this
    node sees what a caller on another would.
    """

    places: ClassVar = frozenset({Place.LOCAL, Place.SERVE})

    def wrap(self, target: Target, handler: Handler) -> Handler:
        """Name the call while it runs."""

        async def logged(context: Context, request: Any) -> Any:
            token = current_call.set(context)
            try:
                return await handler(context, request)
            except FiresideError as error:
                _write_down(error, target)
                raise
            except Exception as error:
                log.exception("call_crashed")
                raise InternalError(action=target.action.name) from error
            finally:
                current_call.reset(token)

        return logged

    def wrap_stream(self, target: Target, handler: StreamHandler) -> StreamHandler:
        """Name the call while the producer runs, but not while the consumer does."""

        async def logged(context: Context, request: Any) -> AsyncGenerator[Any, None]:
            async with aclosing(handler(context, request)) as items:
                while True:
                    token = current_call.set(context)
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        return
                    except FiresideError as error:
                        _write_down(error, target)
                        raise
                    except Exception as error:
                        log.exception("call_crashed")
                        raise InternalError(action=target.action.name) from error
                    finally:
                        current_call.reset(token)
                    yield item

        return logged


def _write_down(error: FiresideError, target: Target) -> None:
    if error.status < 500:
        log.debug("call_refused", code=error.code)
        return
    blamed = error.details.setdefault("action", target.action.name)
    log.warning("call_failed", code=error.code, detail=error.message, failed_action=blamed)
