"""PowerPoint presentations: slides are pages, their titles headings; shapes, tables, diagrams, speaker notes follow."""

from collections.abc import Iterator, Sequence

from fireside.adapters.document_parser.office_xml import (
    Element,
    OfficePackage,
    child,
    descend,
    local_name,
    relation_id,
)
from fireside.adapters.document_parser.tables import table_lines
from fireside.adapters.document_parser.text_builder import TextBuilder
from fireside.ports.document_parser import BlockKind, ParsedDocument, ParseLimits

_TITLES = frozenset({"title", "ctrTitle"})
_FURNITURE = frozenset({"dt", "ftr", "sldNum", "hdr", "sldImg"})
_GROUPS = frozenset({"grpSp", "AlternateContent", "Choice"})
_LEFT_OUT = frozenset({"Fallback"})


def read_pptx(content: bytes, *, limits: ParseLimits) -> ParsedDocument:
    """Read a presentation.

    Raises:
        CorruptDocumentError: It is damaged.
        DocumentTooLargeError: It unpacks to more than allowed.
        EmptyDocumentError: Its slides have no text.
        EncryptedDocumentError: It is protected by a password.
        UnsupportedDocumentError: It is a file of PowerPoint 97-2003 under a new name.
    """
    package = OfficePackage(content, limits=limits)
    builder = TextBuilder(limits)
    first_title = ""
    for number, part in enumerate(_slide_parts(package), start=1):
        title = _add_slide(builder, package, part, number=number)
        first_title = first_title or title
    return builder.finish(package.core_title() or first_title, empty_reason="the slides have no text")


def _slide_parts(package: OfficePackage) -> Iterator[str]:
    """Names of the slides' parts, in the order of showing."""
    main = package.main_part()
    relations = package.relations(main)
    slides = child(package.xml(main), "sldIdLst")
    for slide in slides if slides is not None else ():
        relation = relations.get(relation_id(slide))
        if relation is not None:
            yield relation.target


def _add_slide(builder: TextBuilder, package: OfficePackage, part: str, *, number: int) -> str:
    """Append one slide; returns its title. A slide without words is left out."""
    tree = child(package.xml(part), "cSld", "spTree")
    shapes = [] if tree is None else list(descend(tree, into=_GROUPS, stop=_LEFT_OUT))
    title = " ".join(" ".join(_paragraphs(shape)) for shape in shapes if _placeholder(shape) in _TITLES).strip()
    contents = [*_shape_texts(shapes), *_related_texts(package, part)]
    if title or contents:
        builder.add_heading(title or f"Slide {number}", level=1, page=number)
    for kind, text in contents:
        builder.add(text, kind=kind, page=number)
    return title


def _shape_texts(shapes: Sequence[Element]) -> Iterator[tuple[BlockKind, str]]:
    for shape in shapes:
        if _placeholder(shape) in _TITLES | _FURNITURE:
            continue
        tables = list(shape.iter("{*}tbl"))
        for table in tables:
            rows = [[" ".join(_paragraphs(cell)) for cell in row.iter("{*}tc")] for row in table.iter("{*}tr")]
            yield "table", table_lines(rows, has_header=_has_header(table))
        if not tables:
            yield from _line_texts(_paragraphs(shape))


def _has_header(table: Element) -> bool:
    properties = child(table, "tblPr")
    return properties is None or properties.get("firstRow", "0") in {"1", "true"}


def _line_texts(lines: list[str]) -> Iterator[tuple[BlockKind, str]]:
    """One line stands as a paragraph; several are the bullets of a list."""
    if len(lines) > 1:
        yield "list", "\n".join(f"- {line}" for line in lines)
    elif lines:
        yield "paragraph", lines[0]


def _related_texts(package: OfficePackage, part: str) -> Iterator[tuple[BlockKind, str]]:
    """Words of diagrams (SmartArt) and what the speaker noted, which lie in parts of their own."""
    for relation in package.relations(part).values():
        if relation.kind == "diagramData":
            yield from _line_texts(_paragraphs(package.xml(relation.target)))
        elif relation.kind == "notesSlide":
            for shape in package.xml(relation.target).iter("{*}sp"):
                if _placeholder(shape) not in _FURNITURE and (lines := _paragraphs(shape)):
                    yield "paragraph", "\n".join(lines)


def _placeholder(shape: Element) -> str | None:
    """What the layout made of the shape: `title`, `body`, `ftr`; None for a free shape."""
    for properties in shape:
        mark = child(properties, "nvPr", "ph")
        if mark is not None:
            return mark.get("type", "body")
    return None


def _paragraphs(element: Element) -> list[str]:
    """The lines of text under an element, blank ones left out."""
    lines = ("".join(_signs(paragraph)).strip() for paragraph in element.iter("{*}p"))
    return [" ".join(line.split()) for line in lines if line]


def _signs(paragraph: Element) -> Iterator[str]:
    for element in paragraph.iter("{*}t", "{*}br"):
        yield " " if local_name(element) == "br" else element.text or ""
