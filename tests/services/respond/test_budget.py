"""What goes into a prompt when not everything fits."""

from hypothesis import given
from hypothesis import strategies as st

from fireside.contracts.answer import Turn
from fireside.services.respond.budget import ContextBudget, estimate_tokens, fit_context, fit_note

from .fakes import passage


def turns(count: int, words: int = 50) -> list[Turn]:
    return [Turn(role="user" if n % 2 == 0 else "assistant", content=f"T{n} " + "word " * words) for n in range(count)]


@given(st.integers(0, 12), st.integers(0, 12), st.integers(200, 6000))
def test_what_is_kept_never_exceeds_the_room(passages: int, count: int, window: int) -> None:
    found = [passage(f"Passage {n}. " + "text " * 150) for n in range(passages)]

    fitted = fit_context("fixed", found, turns(count), budget=ContextBudget(window, answer_tokens=100))

    used = sum(estimate_tokens(part.text) for part in fitted.passages)
    used += sum(estimate_tokens(turn.content) for turn in fitted.history)
    assert used <= max(0, window - 100)
    assert len(fitted.passages) + fitted.dropped_passages == passages
    assert len(fitted.history) + fitted.dropped_turns == count


def test_the_best_passages_and_the_newest_turns_stay() -> None:
    found = [passage(f"Passage {n}. " + "text " * 150) for n in range(10)]

    fitted = fit_context("fixed", found, turns(10), budget=ContextBudget(1500, answer_tokens=100))

    assert fitted.passages[0].text.startswith("Passage 0.")
    assert fitted.history[-1].content.startswith("T9 ")
    assert fitted.history[0].role == "user"
    assert len(fitted.notices()) == 2


@given(st.text(max_size=3000), st.integers(0, 3000), st.integers(16, 4000))
def test_a_note_takes_no_more_than_half_of_the_room(note: str, window: int, answer_tokens: int) -> None:
    fitting = fit_note(note * 4, "fixed", budget=ContextBudget(window, answer_tokens))

    assert (note * 4).startswith(fitting)
    assert not fitting or estimate_tokens(fitting) <= max(0, window - answer_tokens) / 2


def test_a_note_of_a_page_stays_whole() -> None:
    note = "word " * 800

    assert fit_note(note, "fixed", budget=ContextBudget(4096, answer_tokens=512)) == note


def test_when_all_fits_nothing_is_reported() -> None:
    fitted = fit_context("fixed", [passage("Short.")], turns(2), budget=ContextBudget(4000, answer_tokens=100))

    assert fitted.notices() == ()
    assert len(fitted.history) == 2


def test_a_talk_that_fits_begins_as_it_did_a_turn_before() -> None:
    budget = ContextBudget(4000, answer_tokens=100)
    talk = turns(8, words=120)

    before, after = (fit_context("fixed", (), talk[:end], budget=budget).history for end in (6, 8))

    assert after[: len(before)] == before == tuple(talk[:6])


def test_turns_are_shortened_before_any_is_left_out() -> None:
    fitted = fit_context("fixed", (), turns(8, words=120), budget=ContextBudget(1450, answer_tokens=100))

    assert len(fitted.history) == 8
    assert fitted.history[0].content.endswith("…")


def test_characters_of_wide_scripts_count_for_more() -> None:
    assert estimate_tokens("休" * 100) > estimate_tokens("a" * 100) * 3
