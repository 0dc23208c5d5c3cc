"""PDF files."""

import io

import pypdf
import pytest

from fireside.ports.document_parser import CorruptDocumentError, EmptyDocumentError, EncryptedDocumentError
from tests.adapters.document_parser.office_files import pdf_file
from tests.adapters.document_parser.reading_shortcuts import block_with, outline, read

TWO_PAGES = [
    [("Leave", 20), ("", 11), ("Everyone gets thirty days of leave in a year,", 11), ("of which ten are fixed.", 11)],
    [("", 11), ("Ask your manager first.", 11), ("", 11), ("Then book the days.", 11)],
]


def encrypted(content: bytes, *, user_password: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(content))
    writer.encrypt(user_password, "owner", algorithm="AES-256")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def test_lines_are_joined_into_paragraphs_that_know_their_page() -> None:
    page = read("a.pdf", pdf_file(TWO_PAGES, title="The leave policy"))

    assert page.title == "The leave policy"
    assert outline(page) == [
        ("heading", "Leave"),
        ("paragraph", "Everyone gets thirty days of leave in a year, of which ten are fixed."),
        ("paragraph", "Ask your manager first."),
        ("paragraph", "Then book the days."),
    ]
    assert [block.page for block in page.blocks] == [1, 1, 2, 2]


def test_headings_are_the_larger_letters_with_levels_by_size() -> None:
    page = read(
        "a.pdf",
        pdf_file([[("Chapter", 24), ("", 11), ("Section", 16), ("", 11), *[("Plain words of the body.", 11)] * 8]]),
    )

    assert block_with(page, "Plain").headings == ("Chapter", "Section")


def test_the_outline_names_the_headings_where_there_is_one() -> None:
    lines = [("1. First", 11), ("", 11), ("Big but no heading", 20), ("", 11), ("Body of the first.", 11)]
    page = read(
        "a.pdf",
        pdf_file([lines, [("Second part", 11), ("", 11), ("Body.", 11)]], outline=[("First", 1), ("Second part", 2)]),
    )

    assert block_with(page, "Body of").headings == ("1. First",)
    assert block_with(page, "Big but").kind == "paragraph"
    assert page.blocks[-1].headings == ("Second part",)


def test_running_titles_and_page_numbers_are_dropped() -> None:
    pages = [
        [("Company handbook", 11), ("", 11), (f"Text of sheet {name}.", 11), ("", 11), (f"Page {number} of 4", 11)]
        for number, name in enumerate(["one", "two", "three", "four"], start=1)
    ]

    assert read("a.pdf", pdf_file(pages)).text == "\n\n".join(
        f"Text of sheet {name}." for name in ("one", "two", "three", "four")
    )


def test_a_file_of_nothing_but_repeated_lines_keeps_them() -> None:
    assert "Same" in read("a.pdf", pdf_file([[("Same", 11)]] * 4)).text


def test_items_of_lists_keep_their_lines() -> None:
    page = read("a.pdf", pdf_file([[("1. one", 11), ("2. two", 11), ("and more", 11)]]))

    assert outline(page) == [("list", "1. one\n2. two and more")]


@pytest.mark.parametrize("title", ["Microsoft Word - report.doc", "Untitled", "paper.tex"])
def test_titles_left_over_by_programs_are_ignored(title: str) -> None:
    assert read("a.pdf", pdf_file(TWO_PAGES, title=title)).title == ""


def test_a_password_is_needed_and_said() -> None:
    with pytest.raises(EncryptedDocumentError):
        read("a.pdf", encrypted(pdf_file(TWO_PAGES), user_password="secret"))


def test_a_file_that_only_forbids_editing_is_read() -> None:
    assert "thirty days" in read("a.pdf", encrypted(pdf_file(TWO_PAGES), user_password="")).text


def test_a_scan_without_text_says_what_to_do() -> None:
    with pytest.raises(EmptyDocumentError, match="scan"):
        read("a.pdf", pdf_file([[], []]))


@pytest.mark.parametrize("content", [b"", b"not a pdf", pdf_file(TWO_PAGES)[:60]])
def test_a_damaged_pdf_is_refused(content: bytes) -> None:
    with pytest.raises((CorruptDocumentError, EmptyDocumentError)):
        read("a.pdf", content)
