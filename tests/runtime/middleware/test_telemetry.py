"""What a call leaves behind: figures, log lines and spans."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from fireside.core.errors import InternalError, InvalidInputError, NotFoundError, UnavailableError
from fireside.core.identity import user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.logging import LoggingSettings, configure_logging, current_call
from fireside.runtime.mesh import Tools
from fireside.runtime.metrics import Metrics
from fireside.runtime.middleware.base import Place
from fireside.runtime.middleware.logging import LoggingMiddleware
from fireside.runtime.middleware.metrics import MetricsMiddleware
from fireside.runtime.middleware.tracing import TracingMiddleware
from fireside.runtime.tracing import TracingSettings, make_tracing
from fireside.testing.mesh import mesh_of_nodes
from tests.runtime.mesh.parts import ECHO, NUMBERS, Count, Note, NotesService
from tests.runtime.mesh.parts import a_user as a_notes_user

from .parts import (
    Answer,
    Ask,
    Script,
    StreamScript,
    a_context,
    a_stream,
    an_action,
    collect,
    some_metrics,
    target,
    value,
)


class Lines:
    """What was logged."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def events(self) -> list[dict[str, Any]]:
        events = [json.loads(line) for line in self.text.splitlines()]
        return [event for event in events if event["logger"] != "asyncio"]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


@pytest.fixture
def lines() -> Lines:
    lines = Lines()
    configure_logging(LoggingSettings(level="debug", format="json"), stream=lines.stream)
    return lines


class TestMetrics:
    async def test_calls_are_counted_by_outcome_and_timed(self) -> None:
        metrics = some_metrics()
        script = Script(Answer(), NotFoundError("no"), ValueError("a bug"), ...)
        handler = MetricsMiddleware(metrics).wrap(target(an_action()), script)

        await handler(a_context(), Ask())
        for error in (NotFoundError, ValueError):
            with pytest.raises(error):
                await handler(a_context(), Ask())
        hanging = asyncio.ensure_future(handler(a_context(), Ask()))
        await asyncio.sleep(0)
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)

        labels = {"action": "tests.ask", "place": "local"}
        outcomes = {
            code: value(metrics, "fireside_calls_total", code=code, **labels)
            for code in ("ok", "not_found", "internal", "cancelled")
        }
        assert outcomes == {"ok": 1, "not_found": 1, "internal": 1, "cancelled": 1}
        assert value(metrics, "fireside_call_seconds_count", **labels) == 4

    async def test_streams_are_counted_with_their_items(self) -> None:
        metrics = some_metrics()
        script = StreamScript([1, 2, 3], [1, UnavailableError("not now")], [1, 2])
        handler = MetricsMiddleware(metrics).wrap_stream(target(a_stream(), Place.SERVE), script)

        assert await collect(handler(a_context(), Ask())) == [1, 2, 3]
        with pytest.raises(UnavailableError):
            await collect(handler(a_context(), Ask()))
        closed = handler(a_context(), Ask())
        await anext(closed)
        await closed.aclose()

        labels = {"action": "tests.tell", "place": "serve"}
        assert value(metrics, "fireside_stream_items_total", **labels) == 5
        for code in ("ok", "unavailable", "cancelled"):
            assert value(metrics, "fireside_calls_total", code=code, **labels) == 1

    def test_routes_are_counted_and_all_figures_are_rendered(self) -> None:
        metrics = some_metrics()
        metrics.observe_route(method="GET", route="/api/v1/documents/{document_id}", status=404, seconds=0.02)

        text = metrics.render().decode()

        route = 'method="GET",route="/api/v1/documents/{document_id}"'
        assert f'fireside_http_requests_total{{{route},status="404"}} 1.0' in text
        assert f"fireside_http_request_seconds_count{{{route}}} 1.0" in text

    def test_two_registries_share_nothing(self) -> None:
        one, two = Metrics(), Metrics()
        one.nodes.set(3)

        assert value(two, "fireside_mesh_nodes") == 0


class TestLogs:
    @pytest.mark.requirement("O3")
    async def test_a_line_names_the_call_on_whose_behalf_it_was_written(self, lines: Lines) -> None:
        user = user_identity(UserId(new_id()), roles=[], permissions=[])

        async def work(context: Any, request: Any) -> Answer:
            structlog.stdlib.get_logger("tests").info("note_found", note_id=7)
            logging.getLogger("library").warning("from the standard library")
            return Answer()

        await LoggingMiddleware().wrap(target(an_action()), work)(a_context(identity=user), Ask())
        structlog.stdlib.get_logger("tests").info("afterwards")

        ours, theirs, after = lines.events
        expected = {"request_id": "r-1", "action": "tests.ask", "service": "tests", "user_id": str(user.user_id)}
        assert expected.items() <= ours.items()
        assert expected.items() <= theirs.items()
        assert (ours["event"], ours["note_id"], ours["level"]) == ("note_found", 7, "info")
        assert "request_id" not in after
        assert {"timestamp", "logger"} <= ours.keys()

    async def test_a_stream_names_its_call_while_it_works_and_not_while_the_consumer_does(self, lines: Lines) -> None:
        async def produce(context: Any, request: Any) -> AsyncIterator[int]:
            structlog.stdlib.get_logger("tests").info("producing")
            yield 1

        handler = LoggingMiddleware().wrap_stream(target(a_stream()), produce)  # type: ignore[arg-type]
        async for _ in handler(a_context(), Ask()):
            assert current_call.get() is None
            structlog.stdlib.get_logger("tests").info("consuming")

        producing, consuming = lines.events
        assert producing["request_id"] == "r-1"
        assert "request_id" not in consuming

    async def test_a_crash_is_written_with_its_trace_and_becomes_an_internal_error(self, lines: Lines) -> None:
        call = LoggingMiddleware().wrap(target(an_action()), Script(ValueError("a bug")))
        stream = LoggingMiddleware().wrap_stream(target(a_stream()), StreamScript([1, ValueError("a bug")]))

        with pytest.raises(InternalError) as caught:
            await call(a_context(), Ask())
        with pytest.raises(InternalError):
            await collect(stream(a_context(), Ask()))

        assert isinstance(caught.value.__cause__, ValueError)
        for event in lines.events:
            assert (event["event"], event["level"], event["request_id"]) == ("call_crashed", "error", "r-1")
            assert "ValueError: a bug" in event["exception"]

    async def test_failures_of_ours_are_warned_of_and_those_of_callers_are_not(self, lines: Lines) -> None:
        call = LoggingMiddleware().wrap(target(an_action()), Script(UnavailableError("not now"), NotFoundError("no")))
        stream = LoggingMiddleware().wrap_stream(target(a_stream()), StreamScript([UnavailableError("not now")]))

        for handler, error in ((call, UnavailableError), (call, NotFoundError)):
            with pytest.raises(error) as caught:
                await handler(a_context(), Ask())
            assert ("action" in caught.value.details) is (error is UnavailableError)
        with pytest.raises(UnavailableError):
            await collect(stream(a_context(), Ask()))

        assert [(event["event"], event["level"], event["code"]) for event in lines.events] == [
            ("call_failed", "warning", "unavailable"),
            ("call_refused", "debug", "not_found"),
            ("call_failed", "warning", "unavailable"),
        ]

    @pytest.mark.requirement("O3")
    def test_secrets_are_removed_wherever_they_stand(self, lines: Lines) -> None:
        log = structlog.stdlib.get_logger("tests")
        token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2VjcmV0"
        log.info(
            "seen",
            password="hush1",
            api_key="hush2",
            nested={"Authorization": "hush3", "list": [{"client_secret": "hush4"}]},
            refresh_token="hush5",
            header="Bearer hush6",
            text=f"with {token} inside",
            url="postgresql://user:hush7@host/db",
            prompt_tokens=12,
            token_count=3,
            cookie=None,
        )

        (event,) = lines.events
        assert "hush" not in lines.text
        assert token not in lines.text
        assert (event["prompt_tokens"], event["token_count"], event["cookie"]) == (12, 3, None)
        assert event["url"] == "postgresql***host/db"

    def test_people_get_lines_without_the_values_of_local_variables(self) -> None:
        stream = io.StringIO()
        configure_logging(LoggingSettings(level="info", format="console"), stream=stream)
        secret = "the text of a message"
        try:
            raise ValueError(len(secret))
        except ValueError:
            structlog.stdlib.get_logger("tests").exception("it_broke")

        assert "it_broke" in stream.getvalue()
        assert "the text of a message" not in stream.getvalue().replace('secret = "the text of a message"', "")

    def test_what_is_less_severe_than_the_level_is_not_written(self) -> None:
        stream = io.StringIO()
        configure_logging(LoggingSettings(level="warning", format="json"), stream=stream)
        structlog.stdlib.get_logger("tests").info("quiet")
        structlog.stdlib.get_logger("tests").warning("loud")

        assert "quiet" not in stream.getvalue()
        assert "loud" in stream.getvalue()


class Spans:
    """A tracer and what it recorded."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.middleware = TracingMiddleware(provider.get_tracer("tests"))

    def named(self, name: str, kind: SpanKind | None = None) -> ReadableSpan:
        found = [span for span in self._exporter.get_finished_spans() if span.name == name]
        (span,) = [span for span in found if kind is None or span.kind is kind]
        return span


@pytest.fixture
def spans() -> Spans:
    return Spans()


class TestTraces:
    async def test_a_call_is_a_span_and_what_it_calls_is_inside(self, spans: Spans) -> None:
        inner = spans.middleware.wrap(target(a_stream()), Script(Answer()))

        async def work(context: Any, request: Any) -> Any:
            return await inner(context, request)

        await spans.middleware.wrap(target(an_action()), work)(a_context(), Ask())

        outer_span, inner_span = spans.named("tests.ask"), spans.named("tests.tell")
        assert inner_span.parent is not None
        assert outer_span.context is not None
        assert inner_span.parent.span_id == outer_span.context.span_id
        assert outer_span.attributes is not None
        assert outer_span.attributes["fireside.request_id"] == "r-1"

    async def test_a_failure_marks_the_span_with_its_code_and_not_its_text(self, spans: Spans) -> None:
        call = spans.middleware.wrap(target(an_action()), Script(InvalidInputError("the text")))
        stream = spans.middleware.wrap_stream(target(a_stream()), StreamScript([1, ValueError("the text")]))

        with pytest.raises(InvalidInputError):
            await call(a_context(), Ask())
        with pytest.raises(ValueError, match="the text"):
            await collect(stream(a_context(), Ask()))

        for name, code in (("tests.ask", "invalid_input"), ("tests.tell", "ValueError")):
            span = spans.named(name)
            assert span.attributes is not None
            assert span.attributes["error.type"] == code
            assert not span.status.is_ok
            assert "the text" not in span.to_json()

    async def test_a_stream_is_a_span_that_knows_its_items(self, spans: Spans) -> None:
        stream = spans.middleware.wrap_stream(target(a_stream()), StreamScript([1, 2, 3]))(a_context(), Ask())
        await anext(stream)
        await stream.aclose()

        span = spans.named("tests.tell")
        assert span.attributes is not None
        assert span.attributes["fireside.stream.items"] == 1
        assert span.status.is_unset

    @pytest.mark.requirement("O2")
    async def test_one_trace_spans_two_nodes(self) -> None:
        client_spans, server_spans = Spans(), Spans()
        async with mesh_of_nodes() as mesh:
            await mesh.add("server", NotesService(), tools=Tools(tracing=server_spans.middleware))
            client = await mesh.add("client", tools=Tools(tracing=client_spans.middleware))
            context = client.context(identity=a_notes_user())
            await context.call(ECHO, Note(text="x"))
            async for _ in context.stream(NUMBERS, Count(upto=1)):
                pass

        for name in ("notes.echo", "notes.numbers"):
            sent, served = client_spans.named(name, SpanKind.CLIENT), server_spans.named(name, SpanKind.SERVER)
            assert served.parent is not None
            assert sent.context is not None
            assert (served.parent.span_id, served.parent.trace_id) == (sent.context.span_id, sent.context.trace_id)

    def test_no_collector_means_no_tracing(self) -> None:
        assert make_tracing(TracingSettings(), node_id="n") is None

    def test_a_collector_means_tracing(self) -> None:
        settings = TracingSettings(otlp_endpoint="http://127.0.0.1:9/v1/traces", sample_ratio=0.0)

        assert isinstance(make_tracing(settings, node_id="n"), TracingMiddleware)
