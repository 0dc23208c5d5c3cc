"""Plain text, its encodings, and delimited values."""

import pytest

from fireside.adapters.document_parser.charsets import decode_text
from fireside.ports.document_parser import CorruptDocumentError, DocumentTooLargeError, EmptyDocumentError, ParseLimits
from tests.adapters.document_parser.reading_shortcuts import block_with, outline, read

GERMAN = "Die Größe der Prüfung beträgt 5 €, sagte Müller – „sehr gut“."
FRENCH = "L'employé a droit à vingt-cinq jours de congés payés. La demande doit être présentée à l'avance."
SPANISH = "El niño pequeño comió mañana"
POLISH = (
    "Pracownik ma prawo do dwudziestu sześciu dni urlopu. Wniosek należy złożyć wcześniej, inaczej może być odrzucony."
)
RUSSIAN = "Сотрудник имеет право на двадцать восемь дней отпуска. Заявление подается руководителю за две недели."
JAPANESE = "これは日本語のテキストです。会社の休暇規定について説明します。"
CHINESE = "这是一个中文文本,说明公司的休假规定。员工可以请假。"
KOREAN = "이것은 회사 휴가 규정을 설명하는 한국어 텍스트입니다."
GREEK = "Αυτό είναι ένα ελληνικό κείμενο για την άδεια των εργαζομένων."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-32"),
        (GERMAN, "cp1252"),
        (FRENCH, "latin-1"),
        (SPANISH, "latin-1"),
        ("Straße", "cp1252"),
        (FRENCH, "mac_roman"),
        (POLISH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (GREEK, "cp1253"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (CHINESE, "gb18030"),
        (KOREAN, "cp949"),
    ],
)
def test_text_is_read_in_whatever_encoding_it_was_written(text: str, encoding: str) -> None:
    assert decode_text(text.encode(encoding)) == text


def test_the_telling_bytes_may_come_after_pages_of_plain_letters() -> None:
    text = "Plain words only.\n" * 20_000 + JAPANESE

    assert decode_text(text.encode("shift_jis")) == text


def test_a_declared_encoding_is_used_when_the_bytes_agree_with_it() -> None:
    assert decode_text("Größe".encode("cp850"), declared="cp850") == "Größe"
    assert decode_text("Größe".encode(), declared="ascii") == "Größe"
    assert decode_text("Größe".encode(), declared="no-such-encoding") == "Größe"


def test_a_few_wrong_bytes_do_not_lose_the_document() -> None:
    text = decode_text(b"Good text \xff\xfe in the middle and much more of it, all in plain letters.")

    assert text.startswith("Good text ")
    assert text.endswith("all in plain letters.")


def test_binary_data_is_not_taken_for_text() -> None:
    with pytest.raises(CorruptDocumentError):
        decode_text(bytes(range(256)) * 64)


def test_paragraphs_underlined_headings_and_lists_of_plain_text_are_found() -> None:
    page = read(
        "a.txt", "Leave\n=====\n\nYou get\n30 days.\n\nSick leave\n----------\nAt once.\n\n- a\n- b\n\nno\n----------\n"
    )

    assert outline(page) == [
        ("heading", "Leave"),
        ("paragraph", "You get\n30 days."),
        ("heading", "Sick leave"),
        ("paragraph", "At once."),
        ("list", "- a\n- b"),
        ("paragraph", "no\n----------"),
    ]
    assert block_with(page, "At once").headings == ("Leave", "Sick leave")


def test_form_feeds_part_the_pages_of_plain_text() -> None:
    page = read("a.txt", "first\fsecond")

    assert [block.page for block in page.blocks] == [1, 2]
    assert read("a.txt", "only").blocks[0].page is None


@pytest.mark.parametrize("content", [b"", b"  \n\t\r\n ", b"\xef\xbb\xbf", "\u200b".encode()])
def test_a_blank_file_is_empty(content: bytes) -> None:
    with pytest.raises(EmptyDocumentError):
        read("a.txt", content)


def test_more_text_than_allowed_is_refused() -> None:
    with pytest.raises(DocumentTooLargeError):
        read("a.txt", "word " * 100, limits=ParseLimits(text_chars=200))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimited_rows_name_their_cells_whatever_the_delimiter(delimiter: str) -> None:
    source = "Name,Größe\nAda,1\nBob,2\n".replace(",", delimiter)

    assert outline(read("a.csv", source.encode("cp1252"))) == [("table", "Name: Ada; Größe: 1\nName: Bob; Größe: 2")]


def test_quoted_cells_may_hold_delimiters_and_line_breaks() -> None:
    page = read("a.csv", 'Name,Remark\nAda,"one, two\nthree"\n')

    assert outline(page) == [("table", "Name: Ada; Remark: one, two three")]


def test_a_table_without_column_names_keeps_its_first_row() -> None:
    assert read("a.csv", "1,2\n3,4\n").text == "1; 2\n3; 4"
    assert read("a.csv", "a,b\n").text == "a; b"
    assert read("a.tsv", "one\ntwo\n").text == "one\ntwo"


def test_rows_longer_than_the_header_keep_their_cells() -> None:
    assert read("a.csv", "A,B\n1,2,3\n,,\n4,,6\n").text == "A: 1; B: 2; 3\nA: 4; 6"


def test_titles_above_a_table_stand_before_it() -> None:
    page = read("a.csv", "Rates of 2025\n\nCity,Rate\nOslo,120\n")

    assert outline(page) == [("paragraph", "Rates of 2025"), ("table", "City: Oslo; Rate: 120")]


def test_a_table_without_a_filled_cell_is_empty() -> None:
    with pytest.raises(EmptyDocumentError):
        read("a.csv", ",,,\n,,\n")


def test_a_field_longer_than_allowed_is_refused() -> None:
    with pytest.raises(CorruptDocumentError):
        read("a.tsv", "x" * 1000, limits=ParseLimits(text_chars=500))
