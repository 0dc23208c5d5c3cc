"""How text is cut into terms."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fireside.core.words import stems_of, terms_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("policies", "Policy"),
        ("travelling", "TRAVELLED"),
        ("the agency's plan", "agencies plan"),
        ("Café", "cafe"),
        ("ＡＢＣ", "abc"),
        ("naïveté", "naivete"),
    ],
)
def test_forms_of_one_word_are_the_same_term(one: str, other: str) -> None:
    assert stems_of(one) == stems_of(other)


def test_stop_words_are_left_out_unless_there_is_nothing_else() -> None:
    assert stems_of("What is the leave?") == ["leav"]
    assert stems_of("To be or not to be") == ["to", "be", "or", "not", "to", "be"]
    assert stems_of(" ?! ") == []


def test_terms_say_where_they_stand() -> None:
    text = "The agency’s  Café policies"

    assert [text[term.start : term.end] for term in terms_of(text)] == ["agency’s", "Café", "policies"]


def test_numbers_and_words_beside_hyphens_are_terms_of_their_own() -> None:
    assert stems_of("Tock-#670 (877) 472-6716") == ["tock", "670", "877", "472", "6716"]


def test_scripts_without_spaces_give_pairs() -> None:
    assert stems_of("有給休暇 plan") == ["有給", "給休", "休暇", "plan"]
    assert stems_of("日") == ["日"]


def test_stems_are_right_when_many_threads_ask_at_once() -> None:
    words = [f"organisations{number} running{number}ly policies" for number in range(400)]

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(stems_of, words))

    assert all(result[2] == "polici" for result in results)
    assert results == [stems_of(word) for word in words]
