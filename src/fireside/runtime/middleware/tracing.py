"""A span for every call, through OpenTelemetry's API. Imported only when tracing is wanted: the library is optional.

The place in a trace travels in `Context.traceparent` (W3C Trace Context), so that it survives streams, tasks and nodes.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, ClassVar

from opentelemetry.context import Context as TraceContext
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fireside.core.errors import FiresideError
from fireside.runtime.context import Context
from fireside.runtime.middleware.base import Handler, Middleware, Place, StreamHandler, Target

_KINDS = {Place.LOCAL: SpanKind.INTERNAL, Place.SERVE: SpanKind.SERVER, Place.SEND: SpanKind.CLIENT}


class TracingMiddleware(Middleware):
    """A span for every call: internal here, client and server when two nodes take part."""

    places: ClassVar = frozenset(_KINDS)

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    def wrap(self, target: Target, handler: Handler) -> Handler:
        """A span from call to answer; it is the current one while the handler runs."""

        async def traced(context: Context, request: Any) -> Any:
            span = self._start(target, context)
            with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
                try:
                    return await handler(self._inside(context, span), request)
                except BaseException as error:
                    _note(span, error)
                    raise

        return traced

    def wrap_stream(self, target: Target, handler: StreamHandler) -> StreamHandler:
        """A span from call to the end of the stream."""

        async def traced(context: Context, request: Any) -> AsyncGenerator[Any, None]:
            span, count = self._start(target, context), 0
            try:
                async with aclosing(handler(self._inside(context, span), request)) as items:
                    async for item in items:
                        count += 1
                        yield item
            except GeneratorExit:
                raise
            except BaseException as error:
                _note(span, error)
                raise
            finally:
                span.set_attribute("fireside.stream.items", count)
                span.end()

        return traced

    def _start(self, target: Target, context: Context) -> Span:
        attributes = {
            "rpc.system": "fireside",
            "rpc.service": target.action.service,
            "rpc.method": target.action.name,
            "fireside.request_id": context.request_id,
        }
        parent: TraceContext = self._propagator.extract({"traceparent": context.traceparent})
        return self._tracer.start_span(
            target.action.name, context=parent, kind=_KINDS[target.place], attributes=attributes
        )

    def _inside(self, context: Context, span: Span) -> Context:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, context=set_span_in_context(span))
        return replace(context, traceparent=carrier.get("traceparent", ""))


def _note(span: Span, error: BaseException) -> None:
    code = error.code if isinstance(error, FiresideError) else type(error).__name__
    span.set_attribute("error.type", code)
    span.set_status(Status(StatusCode.ERROR, code))
