"""How texts are kept at rest: packed, then sealed for the row that holds them."""

import zlib
from dataclasses import dataclass
from uuid import UUID

import orjson

from fireside.ports.document_parser import Block, ParsedDocument
from fireside.ports.secret_box import SecretBox

_QUICK = 1
_WORTH_PACKING_BYTES = 200
_PACKED, _PLAIN = b"z", b"p"


@dataclass(frozen=True, slots=True)
class TextSeals:
    """Seals and opens the texts of documents and of their passages."""

    box: SecretBox

    def seal_document(self, document: ParsedDocument, *, document_id: UUID, version: int) -> bytes:
        """A document's text and blocks, for its row."""
        blocks = [(block.start, block.end, block.kind, block.headings, block.page) for block in document.blocks]
        packed = zlib.compress(orjson.dumps([document.title, document.text, blocks]), _QUICK)
        return self.box.seal(packed, place=_text_place(document_id, version))

    def open_document(self, sealed: bytes, *, document_id: UUID, version: int) -> ParsedDocument:
        """The document that was sealed for this row."""
        packed = self.box.open(sealed, place=_text_place(document_id, version))
        title, text, blocks = orjson.loads(zlib.decompress(packed))
        return ParsedDocument(
            title, text, tuple(Block(start, end, kind, tuple(path), page) for start, end, kind, path, page in blocks)
        )

    def seal_chunk(self, text: str, *, chunk_id: UUID) -> bytes:
        """A passage's text, for its row."""
        plain = text.encode()
        is_worth_packing = len(plain) > _WORTH_PACKING_BYTES
        body = _PACKED + zlib.compress(plain, _QUICK) if is_worth_packing else _PLAIN + plain
        return self.box.seal(body, place=_chunk_place(chunk_id))

    def open_chunk(self, sealed: bytes, *, chunk_id: UUID) -> str:
        """The passage that was sealed for this row."""
        body = self.box.open(sealed, place=_chunk_place(chunk_id))
        plain = zlib.decompress(body[1:]) if body[:1] == _PACKED else body[1:]
        return plain.decode()


def _text_place(document_id: UUID, version: int) -> str:
    return f"documents.texts:{document_id}:{version}"


def _chunk_place(chunk_id: UUID) -> str:
    return f"documents.chunks:{chunk_id}"
