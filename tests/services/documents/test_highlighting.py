"""Which words of a passage are marked."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fireside.services.documents.highlighting import find_highlights


def marked(query: str, text: str) -> list[str]:
    return [text[span.start : span.end] for span in find_highlights(query, text)]


def test_words_of_the_query_are_marked_in_every_form() -> None:
    text = "Unused leave carries over; policies differ. A policy may limit carrying."

    assert marked("Which policy for carried leave?", text) == ["leave carries", "policies", "policy", "carrying"]


def test_stop_words_of_the_query_are_not_marked() -> None:
    assert marked("what is the limit", "The limit is what it is.") == ["limit"]


def test_neighbours_are_marked_together_but_not_across_lines_or_signs() -> None:
    assert marked("annual leave", "Annual leave, annual. leave\nannual") == [
        "Annual leave",
        "annual",
        "leave",
        "annual",
    ]


def test_pairs_of_characters_run_together() -> None:
    assert marked("有給休暇", "来年の有給休暇は") == ["有給休暇"]


def test_nothing_in_common_marks_nothing() -> None:
    assert marked("printer", "Annual leave") == []


@given(query=st.text(max_size=40), text=st.text(max_size=200))
def test_spans_lie_in_the_text_in_order_and_apart(query: str, text: str) -> None:
    spans = find_highlights(query, text)

    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(one.end <= other.start for one, other in pairwise(spans))
