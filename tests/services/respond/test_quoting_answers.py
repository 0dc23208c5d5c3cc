"""Answers made of quotes, as the embedded model's users get them."""

import re

from fireside.contracts.answer import Turn
from fireside.core.ids import DocumentId, new_id

from .conftest import Respond
from .fakes import passage

CARRY_OVER = passage(
    "You may carry over at most 240 hours of annual leave from one year to the next. Leave above that is lost.",
    heading="Annual leave > Carrying over",
)
COFFEE = passage("The coffee machine on floor two takes coins and cards. It is cleaned every Friday.", title="Kitchen")
QUESTION = "How much annual leave may I carry over to the next year?"


async def test_the_sentence_that_answers_is_quoted_word_for_word_and_cited(answering: Respond) -> None:
    heard = await answering.ask(QUESTION, [COFFEE, CARRY_OVER])

    sentence = "You may carry over at most 240 hours of annual leave from one year to the next."
    assert sentence in heard.final.content
    assert re.findall(r"\[(\d+)\]", heard.final.content) == ["1"]
    assert heard.final.sources[0].chunk_id == CARRY_OVER.chunk_id
    assert heard.quality.grounded == "supported"


async def test_the_tokens_add_up_to_the_final_text(answering: Respond) -> None:
    heard = await answering.ask(QUESTION, [CARRY_OVER])

    assert heard.streamed.strip() == heard.final.content.strip()


async def test_a_source_tells_which_of_its_characters_were_quoted(answering: Respond) -> None:
    heard = await answering.ask(QUESTION, [CARRY_OVER])

    source = heard.final.sources[0]
    quoted = [source.text[span.start : span.end] for span in source.spans]
    assert quoted[0] == "You may carry over at most 240 hours of annual leave from one year to the next."


async def test_documents_that_do_not_answer_are_not_cited(answering: Respond) -> None:
    heard = await answering.ask(QUESTION, [COFFEE, CARRY_OVER])

    assert {source.document_id for source in heard.final.sources} == {CARRY_OVER.document_id}


async def test_a_question_that_the_documents_do_not_answer_is_refused_with_low_confidence(answering: Respond) -> None:
    heard = await answering.ask("Who won the chess championship in Reykjavik?", [COFFEE, CARRY_OVER])

    assert heard.quality.grounded == "unsupported"
    assert heard.final.content.startswith("The documents do not answer this question.")
    assert heard.final.confidence < 0.4
    assert heard.final.sources == ()
    assert heard.final.confidence_reasons


async def test_no_passages_at_all_is_refused(answering: Respond) -> None:
    heard = await answering.ask(QUESTION, [])

    assert heard.quality.grounded == "unsupported"
    assert heard.final.confidence == 0.0


async def test_documents_that_could_not_be_searched_are_not_said_to_hold_no_answer(answering: Respond) -> None:
    heard = await answering.ask(QUESTION, [], searched=False)

    assert heard.final.content.startswith("The documents could not be searched just now.")
    assert heard.final.confidence_reasons == ("The documents could not be searched.",)


async def test_a_refusal_speaks_the_language_of_the_question(answering: Respond) -> None:
    heard = await answering.ask("Wer gewann die Meisterschaft?", [COFFEE], analysis={"language": "de"})

    assert heard.final.content.startswith("Die Dokumente beantworten diese Frage nicht.")


async def test_each_part_of_a_double_question_is_answered_from_its_own_document(answering: Respond) -> None:
    chicago = passage("Our space in Chicago is on the 35th floor of the tower.", title="Chicago")
    rome = passage("Our space in Rome is on the second floor, next to the river.", title="Rome")
    parts = ("Which floor is our space on in Chicago", "Which floor is our space on in Rome")

    heard = await answering.ask(
        "Which floor in Chicago, and which in Rome?", [chicago, rome], analysis={"aspects": parts}
    )

    assert "35th floor" in heard.final.content
    assert "second floor" in heard.final.content
    assert {source.n for source in heard.final.sources} == {1, 2}


async def test_a_double_question_of_which_only_one_part_is_answered_is_partly_grounded(answering: Respond) -> None:
    parts = (QUESTION, "What does the penguin enclosure of the zoo cost?")

    heard = await answering.ask(" ".join(parts), [CARRY_OVER], analysis={"aspects": parts})

    assert "240 hours" in heard.final.content
    assert heard.quality.grounded == "partial"


async def test_a_list_item_is_quoted_with_the_line_that_introduces_it(answering: Respond) -> None:
    text = "Awards are paid so:\n\n- Level 5 ratings: up to 3.85% of basic pay.\n- Level 4 ratings: up to 2.1%."

    heard = await answering.ask("What award of basic pay do level 5 ratings get?", [passage(text)])

    assert "Awards are paid so:\n- Level 5 ratings: up to 3.85% of basic pay. [1]" in heard.final.content


async def test_what_looks_like_a_citation_in_a_document_is_not_taken_for_one(answering: Respond) -> None:
    text = "You may carry over at most 240 hours [7] of annual leave to the next year."

    heard = await answering.ask(QUESTION, [passage(text)])

    assert re.findall(r"\[(\d+)\]", heard.final.content) == ["1"]


async def test_links_images_and_tags_of_a_document_come_out_harmless(answering: Respond) -> None:
    text = (
        "You may carry over 240 hours of annual leave to the next year ![x](https://evil.example/p.png) "
        "<img src=https://evil.example/q> [click](https://evil.example)."
    )

    content = (await answering.ask(QUESTION, [passage(text)])).final.content

    assert "![" not in content.replace("\\![", "")
    assert not re.search(r"(?<!\\)<img", content)
    assert not re.search(r"\]\(", content)


async def test_two_documents_that_contradict_each_other_are_both_shown(answering: Respond) -> None:
    other = passage(
        "You may carry over at most 160 hours of annual leave from one year to the next.", title="Old leave"
    )

    heard = await answering.ask(QUESTION, [CARRY_OVER, other])

    (conflict,) = heard.quality.conflicts
    assert {value.value for value in conflict.values} == {"240 hours", "160 hours"}
    assert {source.document_id for source in heard.final.sources} == {CARRY_OVER.document_id, other.document_id}
    assert any("different" in reason for reason in heard.final.confidence_reasons)


async def test_documents_that_agree_are_no_contradiction(answering: Respond) -> None:
    other = passage("You may carry over at most 240 hours of annual leave from one year to the next.", title="Again")

    heard = await answering.ask(QUESTION, [CARRY_OVER, other])

    assert heard.quality.conflicts == ()


async def test_without_an_embedder_words_are_compared_and_the_answer_says_so(answering: Respond) -> None:
    answering.embeddings.is_down = True

    heard = await answering.ask(QUESTION, [COFFEE, CARRY_OVER])

    assert "240 hours" in heard.final.content
    assert any("embedder" in notice for notice in heard.final.degraded)


async def test_without_a_model_the_documents_are_still_quoted(answering: Respond) -> None:
    answering.model.is_absent = True

    heard = await answering.ask(QUESTION, [CARRY_OVER])

    assert "240 hours" in heard.final.content
    assert any("No language model" in notice for notice in heard.final.degraded)


async def test_quoting_asks_no_model(answering: Respond) -> None:
    heard = await answering.ask(QUESTION, [CARRY_OVER])

    assert answering.model.requests == []
    assert heard.final.model is None
    assert heard.final.usage.total_tokens == 0


async def test_notices_of_the_search_reach_the_answer_once(answering: Respond) -> None:
    heard = await answering.ask(QUESTION, [CARRY_OVER], degraded=("Keyword search only.", "Keyword search only."))

    assert heard.final.degraded == ("Keyword search only.",)


async def test_events_come_in_the_order_that_clients_rely_on(answering: Respond) -> None:
    heard = await answering.ask(QUESTION, [CARRY_OVER])

    kinds = [event.type for event in heard.events]
    assert kinds.index("sources") < kinds.index("token") < kinds.index("quality") < kinds.index("final")
    assert kinds[-1] == "final"
    assert ("respond", "read", "done") in heard.steps
    assert ("check", "grounding", "done") in heard.steps


async def test_passages_of_one_document_are_quoted_in_reading_order(answering: Respond) -> None:
    document = DocumentId(new_id())
    late = passage("Annual leave above the carry over limit is lost at the end of the leave year.", document=document)
    late = late.model_copy(update={"start": 900, "end": 900 + len(late.text)})
    early = CARRY_OVER.model_copy(update={"document_id": document})

    heard = await answering.ask(
        "How much annual leave may I carry over, and what is lost in the next year?", [late, early]
    )

    content = heard.final.content
    assert content.index("240 hours") < content.index("is lost at the end")


async def test_only_the_document_with_the_best_evidence_is_quoted_when_another_is_about_the_same(
    answering: Respond,
) -> None:
    other = passage("Ask how much annual leave you may carry over to next year in the time system.", title="Ask")

    heard = await answering.ask(QUESTION, [CARRY_OVER, other])

    assert {source.document_id for source in heard.final.sources} == {CARRY_OVER.document_id}
    assert "time system" not in heard.final.content


async def test_a_follow_up_is_not_answered_with_what_was_just_said(answering: Respond) -> None:
    text = " ".join(f"Annual leave of interns in case {name} needs a form." for name in ("alpha", "beta"))
    wordy = " ".join(f"Annual leave of interns in case {n} needs the supervisor and a form." for n in range(3, 12))
    said = "Annual leave of interns in case alpha needs a form."
    history = (Turn(role="user", content="Which annual leave?"), Turn(role="assistant", content=said))
    question = "Which annual leave of interns in case needs a form?"

    fresh = await answering.ask(question, [passage(f"{text} {wordy}")])
    follow_up = await answering.ask(
        question, [passage(f"{text} {wordy}")], history=history, analysis={"rewritten": True}
    )

    assert "supervisor" in follow_up.final.content
    assert follow_up.final.content != fresh.final.content


async def test_a_short_list_is_quoted_whole_and_a_long_one_is_not(answering: Respond) -> None:
    items = ["Passport for the annual leave trip", *(f"Unrelated thing number {n}" for n in range(9))]
    short = "Bring to the annual leave trip:\n\n" + "\n".join(f"- {item}" for item in items)
    long = short + "\n" + "\n".join(f"- {'Padding words ' * 8}{n}" for n in range(9))

    whole = await answering.ask("Do I bring a passport to the annual leave trip?", [passage(short)])
    part = await answering.ask("Do I bring a passport to the annual leave trip?", [passage(long)])

    assert "Unrelated thing number 8" in whole.final.content
    assert "Unrelated thing number 8" not in part.final.content
