"""Greetings, and general mode: the model's own words, marked as such."""

import asyncio

import pytest

from fireside.contracts.answer import Step, Turn
from fireside.contracts.inference import ModelReady
from fireside.core.errors import UnavailableError
from fireside.services.respond.budget import estimate_tokens

from .conftest import Respond
from .fakes import texts

GENERAL = {"mode": "general", "intent": "task", "needs_documents": False}


async def test_a_greeting_is_answered_in_its_language_without_a_model(answering: Respond) -> None:
    greeting = {"intent": "greeting", "language": "fr", "needs_documents": False}

    heard = await answering.ask("Bonjour", analysis=greeting)

    assert heard.final.content.startswith("Bonjour")
    assert answering.model.requests == []


async def test_general_mode_streams_the_models_words_and_marks_them_unsupported(answering: Respond) -> None:
    answering.model.says = ["Roses ", "are red."]

    heard = await answering.ask("Write a poem", analysis=GENERAL)

    assert heard.streamed == "Roses are red."
    assert heard.final.content == "Roses are red."
    assert heard.quality.grounded == "unsupported"
    assert heard.final.mode == "general"
    assert heard.final.sources == ()
    assert heard.final.confidence <= 0.3


async def test_general_mode_knows_the_earlier_turns(answering: Respond) -> None:
    answering.model.says = ["Yes."]
    history = (Turn(role="user", content="My name is Ada."), Turn(role="user", content="I like tea."))

    await answering.ask("What is my name?", analysis=GENERAL, history=history)

    messages = answering.model.requests[0].messages
    assert "My name is Ada." in texts(messages)
    assert [message.role for message in messages] == ["system", "user", "user"]


async def test_a_long_talk_is_cut_from_its_beginning_to_fit_the_window(answering: Respond) -> None:
    answering.model.says = ["Yes."]
    answering.model.context_tokens = 1000
    history = tuple(
        Turn(role="user" if n % 2 == 0 else "assistant", content=f"Turn {n}. " + "word " * 100) for n in range(30)
    )

    heard = await answering.ask("And now?", analysis=GENERAL, history=history)

    prompt = texts(answering.model.requests[0].messages)
    assert "Turn 29." in prompt
    assert "Turn 1." not in prompt
    assert any("did not fit" in notice for notice in heard.final.degraded)


async def test_words_that_were_cut_say_so(answering: Respond) -> None:
    answering.model.says, answering.model.finish_reason = ["Roses are"], "length"

    assert (await answering.ask("Write a poem", analysis=GENERAL)).final.finish_reason == "length"


async def test_a_note_longer_than_the_window_leaves_room_for_the_talk(answering: Respond) -> None:
    answering.model.says = ["Yes."]
    history = (Turn(role="user", content="My name is Ada."), Turn(role="assistant", content="Hello, Ada."))

    heard = await answering.ask("Who am I?", analysis=GENERAL, history=history, authors_note="Rhyme. " * 20_000)

    prompt = texts(answering.model.requests[0].messages)
    assert "My name is Ada." in prompt
    assert estimate_tokens(prompt) < answering.model.context_tokens
    assert any("instructions did not fit" in notice for notice in heard.final.degraded)


async def test_without_a_model_general_mode_says_so(answering: Respond) -> None:
    answering.model.is_absent = True
    answering.model.fails_after = 0

    heard = await answering.ask("Write a poem", analysis=GENERAL)

    assert heard.final.content.startswith("No language model is available")
    assert heard.final.confidence == 0.0
    assert "No language model answered." in heard.final.degraded


async def test_a_model_that_fails_in_the_middle_ends_the_answer_with_its_error(answering: Respond) -> None:
    answering.model.says = ["Roses ", "are"]
    answering.model.fails_after = 1

    with pytest.raises(UnavailableError):
        await answering.ask("Write a poem", analysis=GENERAL)


async def test_the_length_asked_for_is_passed_on(answering: Respond) -> None:
    answering.model.says = ["Yes."]

    await answering.ask("Write a poem", analysis=GENERAL, max_tokens=77)

    assert answering.model.requests[0].max_tokens == 77


async def test_a_model_that_became_ready_reads_the_instructions_that_every_talk_begins_with(answering: Respond) -> None:
    answering.model.says = ["x"]

    await answering.context.as_service("inference").broadcast(ModelReady(name="scripted"))
    await asyncio.wait_for(answering.model.stopped.wait(), 10)
    await answering.ask("Write a poem", analysis=GENERAL)

    warming, talk = answering.model.requests
    assert (warming.model, warming.max_tokens) == ("scripted", 1)
    assert warming.messages[0] == talk.messages[0]


async def test_a_model_that_cannot_be_warmed_does_no_harm(answering: Respond) -> None:
    answering.model.fails_after = 0

    await answering.context.as_service("inference").broadcast(ModelReady(name="scripted"))
    await asyncio.wait_for(answering.model.stopped.wait(), 10)
    answering.model.fails_after, answering.model.says = None, ["Yes."]

    assert (await answering.ask("Write a poem", analysis=GENERAL)).final.content == "Yes."


@pytest.mark.requirement("I6")
async def test_the_wait_for_the_model_is_shown_as_a_step(answering: Respond) -> None:
    answering.model.says, answering.model.waits = ["Roses."], [2, 1]

    heard = await answering.ask("Write a poem", analysis=GENERAL)

    steps = [(step.status, step.detail) for step in heard.of(Step) if step.name == "queue"]
    assert steps == [
        ("started", "2 requests are ahead of this one; about 8 s"),
        ("started", "1 request is ahead of this one; about 4 s"),
        ("done", ""),
    ]
    assert heard.final.content == "Roses."
