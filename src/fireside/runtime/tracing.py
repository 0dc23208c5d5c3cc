"""Sending traces to a collector, when one is configured; without, nothing of OpenTelemetry is even imported."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from fireside.core.errors import InvalidInputError
from fireside.runtime.middleware.base import Middleware


class TracingSettings(BaseSettings):
    """Where traces go."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_TRACING_", frozen=True)

    otlp_endpoint: str = Field(
        default="", description="URL of an OTLP/HTTP collector, such as http://localhost:4318/v1/traces; empty: none."
    )
    sample_ratio: float = Field(default=1.0, ge=0.0, le=1.0, description="Share of requests that are traced.")


def make_tracing(settings: TracingSettings, *, node_id: str) -> Middleware | None:
    """The middleware that traces calls, or None when no collector is configured.

    Raises:
        InvalidInputError: A collector is configured, but the extra that speaks to it is not installed.
    """
    if not settings.otlp_endpoint:
        return None
    # These imports stand here because the libraries are the optional extra `telemetry`.
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - optional
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - optional
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - optional
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415 - optional

        from fireside.runtime.middleware.tracing import TracingMiddleware  # noqa: PLC0415 - needs the extra
    except ImportError as error:
        raise InvalidInputError(
            "FIRESIDE_TRACING_OTLP_ENDPOINT is set, but the libraries for it are missing:"
            " pip install 'fireside-ai[telemetry]'"
        ) from error
    provider = TracerProvider(
        resource=Resource.create({"service.name": "fireside", "service.instance.id": node_id}),
        sampler=ParentBased(TraceIdRatioBased(settings.sample_ratio)),
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint)))
    return TracingMiddleware(provider.get_tracer("fireside"))
