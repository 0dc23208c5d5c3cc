"""The think service: what a message wants, in which language, and what to look for. Rules only, no model is asked."""

from fireside.contracts.answer import Mode, Step, Turn
from fireside.contracts.think import ANALYZE, Analysis, AnalyzeQuestion, Intent
from fireside.core.clock import Clock
from fireside.runtime.mesh import Context, Service, action
from fireside.services.think.follow_up import Standalone, make_standalone
from fireside.services.think.intent import classify
from fireside.services.think.language import detect_language
from fireside.services.think.settings import ThinkSettings
from fireside.services.think.sub_questions import split_question

_KNOWLEDGE: frozenset[Intent] = frozenset({"documents", "task"})


class ThinkService(Service):
    """Understands questions. Keeps nothing."""

    name = "think"

    def __init__(self, *, settings: ThinkSettings, clock: Clock) -> None:
        """Analyse with the given settings; the clock times the steps."""
        self._settings = settings
        self._clock = clock

    @action(ANALYZE)
    async def analyze(self, context: Context, request: AnalyzeQuestion) -> Analysis:  # noqa: ARG002 - rules call nobody
        """Tell language, intent and mode, and make the question understandable without its history."""
        begun = self._clock.monotonic()
        language = detect_language(
            request.question, earlier=_questions(request.history), default=self._settings.default_language
        )
        intent, language = classify(request.question, language=language)
        mode = _mode(request, intent)
        standalone = make_standalone(
            request.question, request.history, language=language, reach=self._settings.follow_up_reach
        )
        aspects = split_question(standalone.text, language=language) if not standalone.rewritten else [standalone.text]
        return Analysis(
            intent=intent,
            language=language,
            mode=mode,
            standalone_query=standalone.text,
            search_queries=_search_queries(request, standalone, aspects),
            aspects=tuple(aspects),
            needs_documents=mode == "company" and intent in _KNOWLEDGE,
            rewritten=standalone.rewritten,
            steps=_steps(standalone, aspects, elapsed_ms=(self._clock.monotonic() - begun) * 1000),
        )


def _questions(history: tuple[Turn, ...]) -> list[str]:
    return [turn.content for turn in reversed(history) if turn.role == "user"]


def _mode(request: AnalyzeQuestion, intent: Intent) -> Mode:
    if request.mode != "auto":
        return request.mode
    return "company" if intent == "documents" else "general"


def _search_queries(request: AnalyzeQuestion, standalone: Standalone, aspects: list[str]) -> tuple[str, ...]:
    """The question, what it is made of, and both readings of one that may or may not lean on the one before."""
    queries = [standalone.text, *(aspects if len(aspects) > 1 else ())]
    earlier = _questions(request.history)
    if standalone.rewritten:
        queries.append(request.question)
    elif earlier:
        queries.append(f"{earlier[0]} {request.question}")
    return tuple(dict.fromkeys(queries))


def _steps(standalone: Standalone, aspects: list[str], *, elapsed_ms: float) -> tuple[Step, ...]:
    if standalone.rewritten:
        detail = f"read together with: {standalone.context}"
        return (Step(stage="think", name="follow-up", status="done", detail=detail, elapsed_ms=elapsed_ms),)
    if len(aspects) > 1:
        detail = " | ".join(aspects)
        return (Step(stage="think", name="parts", status="done", detail=detail, elapsed_ms=elapsed_ms),)
    return ()
