"""How the tests of readers call them and look at results."""

from fireside.adapters.document_parser.media_types import media_type_of
from fireside.adapters.document_parser.reading import reader_for
from fireside.ports.document_parser import Block, ParsedDocument, ParseLimits

LIMITS = ParseLimits()


def read(file_name: str, content: bytes | str, *, limits: ParseLimits = LIMITS) -> ParsedDocument:
    """Read in this process, as a reader process would."""
    media_type = media_type_of(file_name)
    assert media_type is not None
    document = reader_for(media_type)(content.encode() if isinstance(content, str) else content, limits=limits)
    assert_sound(document)
    return document


def assert_sound(document: ParsedDocument) -> None:
    """What holds for every parsed document."""
    end = 0
    for block in document.blocks:
        assert block.start >= end
        assert document.text[end : block.start].strip() == ""
        assert document.text[block.start : block.end].strip() != ""
        end = block.end
    assert document.text[end:].strip() == ""
    assert "\r" not in document.text
    assert "\0" not in document.text
    document.text.encode("utf-8")


def text_of(document: ParsedDocument, block: Block) -> str:
    """What a block says."""
    return document.text[block.start : block.end]


def outline(document: ParsedDocument) -> list[tuple[str, str]]:
    """Kind and text of each block."""
    return [(block.kind, text_of(document, block)) for block in document.blocks]


def block_with(document: ParsedDocument, words: str) -> Block:
    """The first block that contains these words."""
    return next(block for block in document.blocks if words in text_of(document, block))
