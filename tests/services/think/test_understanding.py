"""What think makes of a message: its intent, language and mode, and what to look for."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from fireside.contracts.answer import Turn
from fireside.contracts.think import ANALYZE, Analysis, AnalyzeQuestion
from fireside.core.clock import SystemClock
from fireside.core.identity import user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.context import Context
from fireside.services.think.service import ThinkService
from fireside.services.think.settings import ThinkSettings
from fireside.testing.mesh import local_node


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    service = ThinkService(settings=ThinkSettings(), clock=SystemClock())
    async with local_node(service) as node:
        yield node.context(identity=user_identity(UserId(new_id()), roles=["user"], permissions=[]))


async def analyze(context: Context, question: str, *earlier: str, **fields: Any) -> Analysis:
    """The analysis of a question after earlier ones, each answered with "Yes."."""
    history = [
        turn for text in earlier for turn in (Turn(role="user", content=text), Turn(role="assistant", content="Yes."))
    ]
    return await context.call(ANALYZE, AnalyzeQuestion(question=question, history=tuple(history), **fields))


@pytest.mark.parametrize(
    ("message", "intent"),
    [
        ("Hello!", "greeting"),
        ("hi there", "greeting"),
        ("Guten Morgen", "greeting"),
        ("Bonjour !", "greeting"),
        ("thanks a lot", "small_talk"),
        ("Vielen Dank!", "small_talk"),
        ("who are you?", "about_assistant"),
        ("What can you do?", "about_assistant"),
        ("Was kannst du?", "about_assistant"),
        ("Write a poem about autumn", "task"),
        ("please translate 'good day' into French", "task"),
        ("Schreibe ein Gedicht", "task"),
        ("Write a summary of our leave policy", "documents"),
        ("How much leave do I get?", "documents"),
        ("hello kitty brand guidelines", "documents"),
        ("airtable license request email", "documents"),
        ("Wie viele Urlaubstage habe ich?", "documents"),
    ],
)
@pytest.mark.requirement("I2")
async def test_intents(context: Context, message: str, intent: str) -> None:
    assert (await analyze(context, message)).intent == intent


@pytest.mark.parametrize(
    ("message", "language"),
    [
        ("How much leave do I get?", "en"),
        ("Wie viele Urlaubstage habe ich noch?", "de"),
        ("Combien de jours de congé est-ce que j'ai ?", "fr"),
        ("¿Cuántos días de vacaciones tengo?", "es"),
        ("Quanti giorni di ferie ho ancora?", "it"),
        ("Hoeveel vakantiedagen heb ik nog?", "nl"),
        ("Quantos dias de férias eu tenho ainda?", "pt"),
        ("休暇は何日ありますか", "ja"),
        ("Сколько дней отпуска?", "ru"),
        ("github archive 90", "en"),
    ],
)
@pytest.mark.requirement("I2")
async def test_languages(context: Context, message: str, language: str) -> None:
    assert (await analyze(context, message)).language == language


async def test_a_message_too_short_to_tell_is_taken_to_be_in_the_language_of_those_before(context: Context) -> None:
    analysis = await analyze(context, "Kantine?", "Wann öffnet das Büro?")

    assert analysis.language == "de"


@pytest.mark.parametrize(
    ("message", "requested", "mode", "needs_documents"),
    [
        ("How much leave do I get?", "auto", "company", True),
        ("Write a poem about autumn", "auto", "general", False),
        ("Write a poem about autumn", "company", "company", True),
        ("How much leave do I get?", "general", "general", False),
        ("Hello", "company", "company", False),
        ("Hello", "auto", "general", False),
    ],
)
async def test_modes(context: Context, message: str, requested: str, mode: str, needs_documents: bool) -> None:
    analysis = await analyze(context, message, mode=requested)

    assert (analysis.mode, analysis.needs_documents) == (mode, needs_documents)


@pytest.mark.parametrize(
    "follow_up",
    [
        "And for a kidney?",
        "What about that one?",
        "How long does it take?",
        "for interns",
        "when?",
        "and one notch below?",
    ],
)
async def test_a_question_that_leans_on_the_one_before_is_joined_with_it(context: Context, follow_up: str) -> None:
    analysis = await analyze(context, follow_up, "How much leave do I get for donating bone marrow?")

    assert analysis.standalone_query == f"How much leave do I get for donating bone marrow? {follow_up}"
    assert analysis.rewritten
    assert follow_up in analysis.search_queries
    assert [step.name for step in analysis.steps] == ["follow-up"]


async def test_a_chain_of_follow_ups_reaches_back_to_its_subject(context: Context) -> None:
    analysis = await analyze(context, "And in Rome?", "How high is the daily meal allowance in Paris?", "And lodging?")

    assert analysis.standalone_query.startswith("How high is the daily meal allowance in Paris?")
    assert analysis.standalone_query.endswith("And lodging? And in Rome?")


async def test_a_question_on_its_own_feet_stays_as_it_is_and_is_searched_first(context: Context) -> None:
    question = "Which forms does the travel office need for an advance?"
    analysis = await analyze(context, question, "How much leave do interns get?")

    assert analysis.standalone_query == question
    assert not analysis.rewritten
    assert analysis.search_queries == (question, f"How much leave do interns get? {question}")


async def test_the_first_question_needs_nothing_before_it(context: Context) -> None:
    analysis = await analyze(context, "And what about that?")

    assert analysis.standalone_query == "And what about that?"
    assert analysis.search_queries == ("And what about that?",)


async def test_follow_ups_are_understood_in_other_languages(context: Context) -> None:
    analysis = await analyze(context, "Und für Praktikanten?", "Wie viele Urlaubstage bekommen Angestellte?")

    assert analysis.standalone_query == "Wie viele Urlaubstage bekommen Angestellte? Und für Praktikanten?"


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        (
            "Which floor is our space on in Chicago, and which in Rome?",
            ("Which floor is our space on in Chicago", "Which floor is our space on in Rome?"),
        ),
        (
            "What's the minimum length for my login password, and for the passcode on my phone?",
            (
                "What's the minimum length for my login password",
                "What's the minimum length for the passcode on my phone?",
            ),
        ),
        (
            "How long is the team meeting, and which account do travel costs go to?",
            ("How long is the team meeting", "which account do travel costs go to?"),
        ),
        (
            "How long does a loan to a sister agency take compared with a loan inside the agency?",
            (
                "How long does a loan to a sister agency take",
                "How long does a loan to a sister agency take a loan inside the agency?",
            ),
        ),
    ],
)
async def test_a_double_question_is_cut_into_its_parts(context: Context, question: str, parts: tuple[str, ...]) -> None:
    analysis = await analyze(context, question)

    assert analysis.aspects == parts
    assert analysis.search_queries == (question, *parts)


@pytest.mark.parametrize(
    "question",
    [
        "How do I request leave and travel?",
        "What are the terms and conditions of the loan?",
        "Who approves research and development projects?",
        "How much notice is needed, and why?",
    ],
)
async def test_a_question_with_an_and_in_it_is_not_always_two(context: Context, question: str) -> None:
    assert (await analyze(context, question)).aspects == (question,)
