"""Word, PowerPoint and spreadsheets."""

import datetime as dt
import io
import struct
import zipfile

import docx
import pptx
import pytest
import xlsxwriter
from pptx.util import Inches

from fireside.ports.document_parser import (
    CorruptDocumentError,
    DocumentTooComplexError,
    DocumentTooLargeError,
    EmptyDocumentError,
    EncryptedDocumentError,
    ParseLimits,
    UnsupportedDocumentError,
)
from tests.adapters.document_parser.office_files import package, paragraph, relations, word_file
from tests.adapters.document_parser.reading_shortcuts import block_with, outline, read

OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)
OFFICE_NAMES = ["a.docx", "a.pptx", "a.xlsx"]


def saved(document: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)  # type: ignore[attr-defined] # python-docx and python-pptx share this method
    return buffer.getvalue()


def test_a_word_document_keeps_its_headings_lists_and_tables() -> None:
    document = docx.Document()
    document.core_properties.title = "Left over"
    document.add_heading("Handbook", 0)
    document.add_heading("Leave", 1)
    document.add_paragraph("You get 30 days.")
    document.add_paragraph("one", style="List Bullet")
    document.add_paragraph("two", style="List Number")
    table = document.add_table(rows=3, cols=2)
    for place, text in enumerate(["Role", "Days", "Staff", "30"]):
        table.cell(place // 2, place % 2).text = text
    document.add_heading("Sick leave", 2)
    document.add_paragraph("At once.")
    page = read("a.docx", saved(document))

    assert page.title == "Handbook"
    assert outline(page) == [
        ("heading", "Handbook"),
        ("heading", "Leave"),
        ("paragraph", "You get 30 days."),
        ("list", "- one\n- two"),
        ("table", "Role: Staff; Days: 30"),
        ("heading", "Sick leave"),
        ("paragraph", "At once."),
    ]
    assert block_with(page, "At once").headings == ("Handbook", "Leave", "Sick leave")


def test_without_a_title_paragraph_the_properties_name_a_word_document() -> None:
    document = docx.Document()
    document.core_properties.title = "Named in the properties"
    document.add_paragraph("x")

    assert read("a.docx", saved(document)).title == "Named in the properties"


def test_inserted_text_counts_and_deleted_text_does_not() -> None:
    body = (
        "<w:p><w:r><w:t>Kept</w:t></w:r><w:ins><w:r><w:t xml:space='preserve'> new</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText> old</w:delText></w:r></w:del>"
        "<w:sdt><w:sdtContent><w:r><w:tab/><w:t>control</w:t></w:r></w:sdtContent></w:sdt>"
        "<w:r><w:instrText>PAGE</w:instrText><w:br/><w:t>end</w:t></w:r></w:p>"
    )

    assert read("a.docx", word_file(body)).text == "Kept new\tcontrol\nend"


def test_text_boxes_and_footnotes_are_read_once() -> None:
    box = "<w:txbxContent>" + paragraph("In a box") + "</w:txbxContent>"
    alternate = (
        '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f"<mc:Choice><w:drawing>{box}</w:drawing></mc:Choice><mc:Fallback><w:pict>{box}</w:pict></mc:Fallback>"
        "</mc:AlternateContent>"
    )
    notes = (
        f'<w:footnote w:type="separator">{paragraph("line")}</w:footnote><w:footnote>{paragraph("A note")}</w:footnote>'
    )
    page = read("a.docx", word_file(f"<w:p><w:r><w:t>Before</w:t>{alternate}</w:r></w:p>", footnotes=notes))

    assert outline(page) == [("paragraph", "Before"), ("paragraph", "In a box"), ("paragraph", "A note")]


def test_pages_follow_the_last_layout_of_word() -> None:
    new_page = "<w:p><w:r><w:lastRenderedPageBreak/><w:t>Second</w:t></w:r></w:p>"
    running_over = "<w:p><w:r><w:t>Runs</w:t><w:lastRenderedPageBreak/><w:t> over</w:t></w:r></w:p>"
    page = read("a.docx", word_file(paragraph("First") + new_page + running_over + paragraph("Third")))

    assert [block.page for block in page.blocks] == [1, 2, 2, 3]
    assert read("a.docx", word_file(paragraph("x"))).blocks[0].page is None


def test_styles_give_levels_through_what_they_build_on_and_circles_end() -> None:
    styles = (
        '<w:style w:styleId="A"><w:name w:val="Chapter"/><w:basedOn w:val="H2"/></w:style>'
        '<w:style w:styleId="H2"><w:name w:val="heading 2"/><w:basedOn w:val="A"/></w:style>'
        '<w:style w:styleId="L"><w:name w:val="L"/><w:pPr>'
        '<w:numPr><w:ilvl w:val="1"/><w:numId w:val="3"/></w:numPr></w:pPr></w:style>'
    )
    body = (
        paragraph("Top", properties='<w:outlineLvl w:val="0"/>')
        + paragraph("Chapter", properties='<w:pStyle w:val="A"/>')
        + paragraph("body", properties='<w:pStyle w:val="A"/><w:outlineLvl w:val="9"/>')
        + paragraph("item", properties='<w:pStyle w:val="L"/>')
        + paragraph("no item", properties='<w:pStyle w:val="L"/><w:numPr><w:numId w:val="0"/></w:numPr>')
    )
    page = read("a.docx", word_file(body, styles=styles))

    assert outline(page) == [
        ("heading", "Top"),
        ("heading", "Chapter"),
        ("paragraph", "body"),
        ("list", "- item"),
        ("paragraph", "no item"),
    ]
    assert block_with(page, "body").headings == ("Top", "Chapter")


def test_merged_cells_repeat_their_text_and_a_box_of_one_cell_is_text() -> None:
    def row(*cells: str) -> str:
        return "<w:tr>" + "".join(f"<w:tc>{cell}</w:tc>" for cell in cells) + "</w:tr>"

    merged = "<w:tcPr><w:vMerge{}/></w:tcPr>"
    table = (
        "<w:tbl>"
        + row(paragraph("Team"), paragraph("Name"))
        + row(merged.format(' w:val="restart"') + paragraph("Red"), paragraph("Ada"))
        + row(merged.format("") + paragraph(""), paragraph("Bob"))
        + "<w:tr><w:trPr><w:del/></w:trPr><w:tc>"
        + paragraph("gone")
        + "</w:tc></w:tr></w:tbl>"
    )
    plain = (
        '<w:tbl><w:tblPr><w:tblLook w:firstRow="0"/></w:tblPr>' + row(paragraph("a"), paragraph("b")) * 2 + "</w:tbl>"
    )
    box = "<w:tbl>" + row(paragraph("boxed")) + "</w:tbl>"

    assert outline(read("a.docx", word_file(table + plain + box))) == [
        ("table", "Team: Red; Name: Ada\nTeam: Red; Name: Bob"),
        ("table", "a; b\na; b"),
        ("paragraph", "boxed"),
    ]


def test_slides_are_pages_with_their_title_as_heading() -> None:
    deck = pptx.Presentation()
    deck.core_properties.title = ""
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "First slide"
    first.placeholders[1].text = "a\nb"
    first.notes_slide.notes_text_frame.text = "Say hello."
    deck.slides.add_slide(deck.slide_layouts[6])
    third = deck.slides.add_slide(deck.slide_layouts[6])
    table = third.shapes.add_table(2, 2, 0, 0, Inches(3), Inches(1)).table
    for place, text in enumerate(["Key", "Value", "x", "y"]):
        table.cell(place // 2, place % 2).text = text
    third.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "free text"
    page = read("a.pptx", saved(deck))

    assert page.title in {"First slide", "PowerPoint Presentation"}
    assert [(block.page, *pair) for block, pair in zip(page.blocks, outline(page), strict=True)] == [
        (1, "heading", "First slide"),
        (1, "list", "- a\n- b"),
        (1, "paragraph", "Say hello."),
        (3, "heading", "Slide 3"),
        (3, "table", "Key: x; Value: y"),
        (3, "paragraph", "free text"),
    ]


def test_words_of_diagrams_belong_to_their_slide() -> None:
    slide = '<p:sld xmlns:p="p"><p:cSld><p:spTree/></p:cSld></p:sld>'
    diagram = '<d xmlns:a="a"><a:p><a:r><a:t>Plan</a:t></a:r></a:p><a:p><a:r><a:t>Do</a:t></a:r></a:p></d>'
    main = (
        '<p:presentation xmlns:p="p" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
        '<p:sldIdLst><p:sldId r:id="slide_1"/><p:sldId r:id="missing"/></p:sldIdLst></p:presentation>'
    )
    content = package(
        {
            "_rels/.rels": relations(officeDocument="ppt/presentation.xml"),
            "ppt/presentation.xml": main,
            "ppt/_rels/presentation.xml.rels": relations(slide_1="slides/slide1.xml"),
            "ppt/slides/slide1.xml": slide,
            "ppt/slides/_rels/slide1.xml.rels": relations(diagramData="../diagrams/data1.xml"),
            "ppt/diagrams/data1.xml": diagram,
        }
    )

    assert outline(read("a.pptx", content)) == [("heading", "Slide 1"), ("list", "- Plan\n- Do")]


def test_a_deck_of_pictures_is_empty() -> None:
    deck = pptx.Presentation()
    deck.slides.add_slide(deck.slide_layouts[6])

    with pytest.raises(EmptyDocumentError):
        read("a.pptx", saved(deck))


def workbook_file(sheets: dict[str, list[list[object]]]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as workbook:
        day = workbook.add_format({"num_format": "yyyy-mm-dd"})
        for name, rows in sheets.items():
            sheet = workbook.add_worksheet(name)
            for row_number, row in enumerate(rows):
                for column, value in enumerate(row):
                    if isinstance(value, dt.datetime):
                        sheet.write_datetime(row_number, column, value, day)
                    else:
                        sheet.write(row_number, column, value)
    return buffer.getvalue()


def test_sheets_are_headings_and_rows_name_their_cells() -> None:
    rows: list[list[object]] = [
        ["Travel rates"],
        [],
        ["City", "Rate", "From", "Open"],
        ["Oslo", 120.0, dt.datetime(2025, 1, 2), True],  # noqa: DTZ001 - cells have no time zone
        ["Rome", 99.5, dt.datetime(2025, 1, 2, 8, 30)],  # noqa: DTZ001 - cells have no time zone
    ]
    page = read("a.xlsx", workbook_file({"Rates": rows, "Empty": [], "Notes": [["only one"]]}))

    assert outline(page) == [
        ("heading", "Rates"),
        ("paragraph", "Travel rates"),
        (
            "table",
            "City: Oslo; Rate: 120; From: 2025-01-02; Open: TRUE\nCity: Rome; Rate: 99.5; From: 2025-01-02 08:30",
        ),
        ("heading", "Notes"),
        ("paragraph", "only one"),
    ]
    assert block_with(page, "Oslo").headings == ("Rates",)


def test_a_workbook_without_a_filled_cell_is_empty() -> None:
    with pytest.raises(EmptyDocumentError):
        read("a.xlsx", workbook_file({"Sheet": []}))


@pytest.mark.parametrize("name", OFFICE_NAMES)
def test_a_protected_office_file_says_so(name: str) -> None:
    with pytest.raises(EncryptedDocumentError):
        read(name, OLE + "EncryptedPackage".encode("utf-16-le"))


def test_a_zip_with_encrypted_parts_is_protected() -> None:
    content = bytearray(package({"word/document.xml": "<x/>"}))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(signature)
        content[start + place] |= 1

    with pytest.raises(EncryptedDocumentError):
        read("a.docx", bytes(content))


@pytest.mark.parametrize("name", ["a.docx", "a.pptx"])
def test_an_old_office_file_under_a_new_name_is_named_as_such(name: str) -> None:
    with pytest.raises(UnsupportedDocumentError):
        read(name, OLE)


@pytest.mark.parametrize("name", [*OFFICE_NAMES, "a.xls", "a.ods"])
@pytest.mark.parametrize("content", [b"", b"not a zip at all", b"PK\x03\x04 broken", OLE + b"nothing inside"])
def test_a_damaged_office_file_is_refused_as_damaged(name: str, content: bytes) -> None:
    with pytest.raises((CorruptDocumentError, UnsupportedDocumentError)):
        read(name, content)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"_rels/.rels": relations(officeDocument="word/document.xml")},
        {"_rels/.rels": "<broken"},
        {"_rels/.rels": relations(officeDocument="word/document.xml"), "word/document.xml": "<broken>"},
    ],
)
def test_a_zip_that_is_no_whole_office_file_is_damaged(parts: dict[str, str]) -> None:
    with pytest.raises(CorruptDocumentError):
        read("a.docx", package(parts))


def test_entities_are_refused_so_no_file_can_be_read_through_them() -> None:
    declaration = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    evil = f'{declaration}<w:document xmlns:w="w"><w:body>&x;</w:body></w:document>'
    content = package({"_rels/.rels": relations(officeDocument="word/document.xml"), "word/document.xml": evil})

    with pytest.raises(CorruptDocumentError, match="document type"):
        read("a.docx", content)


def test_xml_that_nests_without_end_is_refused() -> None:
    with pytest.raises(DocumentTooComplexError):
        read("a.docx", word_file("<w:sdt>" * 10_000 + "</w:sdt>" * 10_000))


@pytest.mark.parametrize("name", OFFICE_NAMES)
def test_a_zip_bomb_is_refused_by_what_it_declares(name: str) -> None:
    bomb = package({"word/document.xml": b"0" * 40_000_000})
    assert len(bomb) < 100_000

    with pytest.raises(DocumentTooLargeError):
        read(name, bomb)


@pytest.mark.parametrize("name", OFFICE_NAMES)
def test_a_file_that_unpacks_beyond_the_limit_is_refused(name: str) -> None:
    with pytest.raises(DocumentTooLargeError):
        read(name, package({"media/image.png": bytes(2_000_000)}), limits=ParseLimits(expanded_bytes=1_000_000))


def test_a_zip_that_lies_about_its_size_is_refused() -> None:
    content = bytearray(package({"word/document.xml": b"0" * 5_000_000}))
    place = content.rfind(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", 100)

    with pytest.raises(CorruptDocumentError):
        read("a.docx", bytes(content))


def test_a_zip_of_countless_parts_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(20_001):
            archive.writestr(str(number), b"")

    with pytest.raises(DocumentTooLargeError):
        read("a.docx", buffer.getvalue())
