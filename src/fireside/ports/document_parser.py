"""Reading files: bytes of some format in, plain text with its structure out.

Above lies the documents service, which cuts the text into chunks along the blocks and shows it with cited passages
highlighted; below lie the libraries that know the formats. Files are hostile until proven otherwise: an adapter
must keep a file from stalling, killing or reading anything of the process that asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from fireside.core.errors import InvalidInputError, TooLargeError, UnavailableError, UnsupportedMediaTypeError

BlockKind = Literal["heading", "paragraph", "list", "table", "code"]


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a document's text that belongs together.

    Attributes:
        start: Offset of its first character in the text.
        end: Offset after its last character.
        kind: What it is in the document.
        headings: The headings it stands under, outermost first; a heading block names itself last.
        page: Page or slide, counted from 1; None where the format has none.
    """

    start: int
    end: int
    kind: BlockKind
    headings: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a file says.

    Attributes:
        title: The document's own title; empty when it names none.
        text: All of its text, in reading order; blocks are parted by blank lines. Holds no NUL and no carriage return.
        blocks: In order of the text, not overlapping, none empty; what lies between two blocks is white space.
    """

    title: str
    text: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What reading one file may cost.

    Attributes:
        seconds: Longest time from hand-over to result, in seconds.
        memory_bytes: Most address space the reading process may take.
        expanded_bytes: Most bytes that a packed file (docx, pptx, xlsx) may hold when unpacked.
        text_chars: Most characters of text.
    """

    seconds: float = 120.0
    memory_bytes: int = 2 * 1024**3
    expanded_bytes: int = 512 * 1024**2
    text_chars: int = 50_000_000


class UnsupportedDocumentError(UnsupportedMediaTypeError):
    """Files of this kind cannot be read."""

    code = "unsupported_document"


class EncryptedDocumentError(InvalidInputError):
    """The file is protected by a password."""

    code = "encrypted_document"


class CorruptDocumentError(InvalidInputError):
    """The file is damaged, or is not what its name says."""

    code = "corrupt_document"


class EmptyDocumentError(InvalidInputError):
    """The file holds no text."""

    code = "empty_document"


class DocumentTooLargeError(TooLargeError):
    """The file, or what it unpacks to, is larger than allowed."""

    code = "document_too_large"


class DocumentTooComplexError(TooLargeError):
    """Reading the file takes more time or memory than allowed."""

    code = "document_too_complex"


class ParserUnavailableError(UnavailableError):
    """The reader of files could not be started; the file itself may be fine."""

    code = "parser_unavailable"


class DocumentParser(Protocol):
    """Reads files of the formats it knows."""

    def media_type_of(self, file_name: str, *, declared: str = "") -> str | None:
        """The media type under which `parse` would read a file of this name.

        Args:
            file_name: Name or relative path; its ending decides.
            declared: The media type the sender gave; decides only where the name has no known ending.

        Returns:
            None when files of this kind cannot be read.
        """
        ...

    async def parse(
        self, content: bytes | Path, *, media_type: str, file_name: str, limits: ParseLimits
    ) -> ParsedDocument:
        """Read one file.

        Args:
            content: The bytes, or where they lie on this machine.
            media_type: As `media_type_of` said.
            file_name: For the title of last resort inside the format, and for messages; never opened.
            limits: What this may cost; exceeding it ends the reading, not the process that asked.

        Raises:
            UnsupportedDocumentError: The media type is not known.
            EncryptedDocumentError: A password would be needed.
            CorruptDocumentError: The bytes are not a readable file of this type.
            EmptyDocumentError: Nothing to read in it, as in an empty file or a scan without text.
            DocumentTooLargeError: Its content or text exceeds the limits.
            DocumentTooComplexError: Its reading took too long, too much memory, or crashed the reader.
            ParserUnavailableError: No reader could be started; trying again may help.
        """
        ...

    async def aclose(self) -> None:
        """End what runs for it. Safe to call twice."""
        ...
