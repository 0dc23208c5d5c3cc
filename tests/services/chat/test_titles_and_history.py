"""Titles by rule, and how much of a conversation an answer knows."""

import pytest

from fireside.contracts.answer import Turn
from fireside.services.chat.history import trimmed
from fireside.services.chat.titles import EMPTY_TITLE, title_from


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("How many days of holiday do I have?", "How many days of holiday do I have?"),
        ("Hi! how do I book a room", "How do I book a room"),
        ("Good morning, please list all offices.", "List all offices"),
        ("Hallo zusammen, kannst du mir die Reisekosten erklären?", "Die Reisekosten erklären?"),
        ("## Question\nWho pays?", "Question"),
        ("- **Who** pays for `tools`?", "Who pays for tools?"),
        ("See [the page](https://example.org) again", "See the page again"),
        ("First thing. Second thing.", "First thing"),
        ("Can you tell me where the office is?", "Where the office is?"),
        ("Please", "Please"),
        ("Hi!", "Hi!"),
        ("   \n ", EMPTY_TITLE),
        ("什么时候放假？谢谢", "什么时候放假？谢谢"),
        (
            "What are the exact rules for booking a business trip to another continent with a dog?",
            "What are the exact rules for booking a business trip to…",
        ),
        ("x" * 100, "X" + "x" * 58 + "…"),
    ],
)
def test_a_title_is_the_first_sentence_in_short(question: str, title: str) -> None:
    assert title_from(question) == title


def test_a_title_is_never_long_and_never_empty() -> None:
    for text in ("```\ncode\n```", "Hi, \n\nthere", "word " * 50, "?", "#", "* * *"):
        title = title_from(text)
        assert title
        assert len(title) <= 60


def turns(*contents: str) -> list[Turn]:
    return [Turn(role="user", content=content) for content in contents]


def test_the_newest_turns_are_kept_and_come_oldest_first() -> None:
    kept = trimmed(turns("newest", "middle", "oldest"), budget_chars=12)

    assert [turn.content for turn in kept] == ["middle", "newest"]


def test_nothing_older_than_a_turn_that_does_not_fit_is_kept() -> None:
    assert [turn.content for turn in trimmed(turns("new", "x" * 50, "old"), budget_chars=20)] == ["new"]


def test_the_newest_turn_is_kept_shortened_when_it_alone_is_too_long() -> None:
    assert [turn.content for turn in trimmed(turns("abcdef", "old"), budget_chars=4)] == ["abcd"]


def test_turns_without_text_are_left_out() -> None:
    assert [turn.content for turn in trimmed(turns("new", "  \n", "old"), budget_chars=20)] == ["old", "new"]
