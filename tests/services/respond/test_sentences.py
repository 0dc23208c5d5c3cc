"""Cutting passages into units that can be quoted."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireside.services.respond.sentence_stream import SentenceStream
from fireside.services.respond.sentences import sentence_ranges, split_into_units


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_ranges(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Ask Dr. Smith, e.g. today. Then wait.", ["Ask Dr. Smith, e.g. today.", "Then wait."]),
        ("The U.S. Government closes at 4:30 p.m. ET. Call.", ["The U.S. Government closes at 4:30 p.m. ET.", "Call."]),
        ("It costs 3.50 euros. Pay now.", ["It costs 3.50 euros.", "Pay now."]),
        (
            "Das gilt z. B. für Dr. Meier bzw. Frau Kurz. Ende.",
            ["Das gilt z. B. für Dr. Meier bzw. Frau Kurz.", "Ende."],
        ),
        ("休暇は十日です。申請してください。", ["休暇は十日です。", "申請してください。"]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_items_know_the_line_that_introduces_them_and_nested_items_their_parent() -> None:
    text = "Steps:\n\n1. Open the form.\n2. Fill it in.\n  - Name\n  - Date\n3. Send it."

    units = [(unit.text, unit.lead, unit.ordinal) for unit in split_into_units(text) if unit.kind == "item"]

    assert units == [
        ("Open the form.", "Steps:", 1),
        ("Fill it in.", "Steps:", 2),
        ("Name", "Fill it in.", 0),
        ("Date", "Fill it in.", 0),
        ("Send it.", "Steps:", 3),
    ]


def test_table_rows_stay_whole() -> None:
    units = split_into_units("Name: Ada; Room: 12. Left wing\nName: Bob; Room: 14")

    assert [(unit.kind, unit.text) for unit in units] == [
        ("row", "Name: Ada; Room: 12. Left wing"),
        ("row", "Name: Bob; Room: 14"),
    ]


def test_headings_introduce_what_follows() -> None:
    units = split_into_units("Carrying over\n\nAt most 240 hours are kept.")

    assert [(unit.kind, unit.heading) for unit in units] == [("heading", ""), ("sentence", "Carrying over")]


def test_lines_wrapped_by_an_editor_are_one_sentence() -> None:
    text = "A paragraph that somebody wrapped at a fixed width goes on\non the next line. And ends."

    assert [unit.text for unit in split_into_units(text)] == [
        "A paragraph that somebody wrapped at a fixed width goes on on the next line.",
        "And ends.",
    ]


def test_a_long_item_is_cut_into_its_sentences() -> None:
    text = "- " + " ".join(f"Sentence number {n} of a long item goes here." for n in range(20))

    assert len([unit for unit in split_into_units(text) if unit.kind == "item"]) == 20


@given(st.text(alphabet="ab .!?:;-\n1*|#", max_size=200))
def test_units_are_ranges_of_the_text_in_order_whatever_it_is(text: str) -> None:
    units = split_into_units(text)

    assert all(0 <= unit.start < unit.end <= len(text) for unit in units)
    assert all(unit.text == " ".join(text[unit.start : unit.end].split()) for unit in units)
    assert all(one.end <= other.start for one, other in pairwise(units))


@given(st.text(alphabet="ab .!?[1]\n-", max_size=120), st.integers(1, 7))
def test_a_stream_cut_anywhere_gives_back_all_of_its_text(text: str, size: int) -> None:
    stream = SentenceStream()
    pieces = [piece for at in range(0, len(text), size) for piece in stream.add(text[at : at + size])]
    pieces += stream.finish()

    assert "".join(pieces).strip() == text.strip()


def test_a_citation_after_the_full_stop_stays_with_its_sentence() -> None:
    stream = SentenceStream()
    pieces = [*stream.add("It is ten days. [1] Then "), *stream.add("it ends. [2]\n"), *stream.finish()]

    assert [piece.strip() for piece in pieces if piece.strip()] == ["It is ten days. [1]", "Then it ends. [2]"]
