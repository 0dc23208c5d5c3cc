"""Checking claims, and values, against passages."""

import pytest

from fireside.services.respond.answer_types import asked_types, held_types
from fireside.services.respond.conflicts import contradicts
from fireside.services.respond.grounding import check_claim

PASSAGE = (
    "Employees may carry over 240 hours of annual leave. Director Jane Miller does not approve exceptions. "
    "The fee is $1,500 and is due within three weeks."
)


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        ("Employees may carry over 240 hours of annual leave.", True),
        ("Annual leave of 240 hours may be carried over by employees.", True),
        ("Employees may carry over 250 hours of annual leave.", False),
        ("Employees may not carry over 240 hours of annual leave.", False),
        ("Director Jane Miller approves exceptions.", False),
        ("As a rule, Director Jane Miller does not approve exceptions.", True),
        ("Here the Director Jane Brown does not approve exceptions.", False),
        ("The fee is $1500 and due within 3 weeks.", True),
        ("The fee is $1,500 and is due within four weeks.", False),
        ("Penguins live at the south pole.", False),
        ("!!!", False),
    ],
)
def test_a_claim_holds_when_words_numbers_names_and_negation_agree(claim: str, holds: bool) -> None:
    assert check_claim(claim, PASSAGE, language="en").holds(least_coverage=0.6) is holds


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Interns get 20 days of leave a year.", "Interns get 25 days of leave a year.", ("20 days", "25 days")),
        ("Interns get 20 days of leave a year.", "Interns get 20 days of leave every year.", None),
        ("Interns get 20 days of leave a year.", "Parking costs 25 days of waiting.", None),
        ("Interns get 20 days of leave a year.", "Interns get leave as agreed in a year.", None),
    ],
)
def test_statements_contradict_when_only_the_value_differs(
    one: str, other: str, expected: tuple[str, str] | None
) -> None:
    assert contradicts(one, other, "How many days of leave do interns get?", language="en") == expected


@pytest.mark.parametrize(
    ("question", "kind", "answer"),
    [
        ("How long is the grace period?", "duration", "You have 5 minutes."),
        ("Wie lange dauert es?", "duration", "Es dauert drei Wochen."),
        ("What time does it close?", "time", "At 4:30 p.m. sharp"),
        ("When does it start?", "date", "On 3 June 2025"),
        ("What does it cost?", "money", "It is $75."),
        ("What share of my pay?", "percent", "Up to 3.85% of it"),
        ("Who decides?", "person", "the Director of Sales decides"),
        ("Where is it?", "place", "It is in Chicago."),
        ("What is the email address?", "email", "help@example.org"),
        ("What is the phone number?", "phone", "(877) 472-6716"),
        ("Which form do I need?", "link", "https://example.org/f"),
    ],
)
def test_questions_ask_for_the_kinds_of_value_that_answers_hold(question: str, kind: str, answer: str) -> None:
    assert kind in asked_types(question)
    assert kind in held_types(answer)
    assert kind not in held_types("nothing of that")
