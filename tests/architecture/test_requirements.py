"""What the page of requirements says works is shown by tests, and what tests show stands on the page."""

import re

from tests.architecture.requirements import PAGE, marked_tests, rows, written_anew

HINT = "run 'python -m tests.architecture.requirements'"


def test_every_row_names_the_tests_that_carry_its_id() -> None:
    assert PAGE.read_text() == written_anew(PAGE.read_text()), HINT


def test_every_row_has_a_test() -> None:
    tests = marked_tests()

    assert [requirement_id for requirement_id in rows(PAGE.read_text()) if requirement_id not in tests] == []


def test_every_id_that_a_test_carries_has_a_row_that_says_what_works() -> None:
    assert sorted(marked_tests().keys() - rows(PAGE.read_text()).keys()) == []


def test_no_id_stands_twice() -> None:
    ids = re.findall(r"^\| ([A-Z]\d+) \|", PAGE.read_text(), re.MULTILINE)

    assert len(ids) == len(set(ids)) == len(rows(PAGE.read_text()))


def test_a_row_without_a_test_would_be_noticed() -> None:
    row = "| Z9 | flies | [somewhere](../tests/somewhere.py) |  |"

    assert written_anew(row) == "| Z9 | flies | none |  |\n"
