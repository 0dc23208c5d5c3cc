"""How results are shown."""

import pytest

from fireside.cli.output import complain, moment, print_done, print_json, print_table, size


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, ""),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (98_362_432, "98.4 MB"),
        (7_300_000_000_000, "7300.0 GB"),
    ],
)
def test_sizes_are_for_people(count: int | None, shown: str) -> None:
    assert size(count) == shown


def test_moments_are_shown_to_the_minute() -> None:
    assert moment("2026-11-21T05:04:35.173Z") == "2026-11-21 05:04"
    assert moment(None) == ""


def test_a_row_in_a_pipe_is_one_line_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id", "text"), [("1" * 36, "word " * 60), (None, "[bold]")])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("1" * 36)
    assert "[bold]" in lines[2], "brackets in data are no markup"


def test_an_empty_table_says_so_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id",), [])

    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "nothing here\n")


def test_what_was_done_is_an_object_for_programs_and_a_sentence_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    print_done({"a": 1}, "did [a]", as_json=True)
    print_done({"a": 1}, "did [a]", as_json=False)

    assert capsys.readouterr().out == '{"a":1}\ndid [a]\n'


def test_json_is_one_line_of_utf8(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(["Über\n", None])

    assert capsys.readouterr().out == '["Über\\n",null]\n'


def test_complaints_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    complain("no [model] here")

    assert capsys.readouterr().err == "error: no [model] here\n"
