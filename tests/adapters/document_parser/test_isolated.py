"""Reading in processes that may be killed."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fireside.adapters.document_parser.frames import decode_result, encode_error
from fireside.adapters.document_parser.isolated import IsolatedDocumentParser
from fireside.adapters.document_parser.media_types import DOCX, HTML, MARKDOWN, PLAIN
from fireside.core.errors import FiresideError
from fireside.ports.document_parser import (
    CorruptDocumentError,
    DocumentTooComplexError,
    EmptyDocumentError,
    ParsedDocument,
    ParseLimits,
    ParserUnavailableError,
    UnsupportedDocumentError,
)
from tests.adapters.document_parser.office_files import package
from tests.adapters.document_parser.reading_shortcuts import assert_sound

LIMITS = ParseLimits(seconds=60)
SLOW_PAGE = b"![a" * 200_000
"""Takes the Markdown reader minutes."""


@pytest.fixture
async def parser() -> AsyncIterator[IsolatedDocumentParser]:
    parser = IsolatedDocumentParser(readers=2)
    yield parser
    await parser.aclose()


async def parse(
    parser: IsolatedDocumentParser, content: bytes | Path, media_type: str = MARKDOWN, limits: ParseLimits = LIMITS
) -> ParsedDocument:
    return await parser.parse(content, media_type=media_type, file_name="a file", limits=limits)


async def test_bytes_and_files_are_read_alike(parser: IsolatedDocumentParser, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_bytes(b"# Leave\n\nThirty days.")

    from_bytes = await parse(parser, b"# Leave\n\nThirty days.")
    from_file = await parse(parser, tmp_path / "page.md")

    assert from_bytes == from_file
    assert_sound(from_bytes)
    assert from_bytes.blocks[1].headings == ("Leave",)
    assert from_bytes.text == "Leave\n\nThirty days."


async def test_errors_of_a_file_come_back_as_they_are_and_the_next_file_is_read(parser: IsolatedDocumentParser) -> None:
    with pytest.raises(EmptyDocumentError):
        await parse(parser, b"  ")
    with pytest.raises(UnsupportedDocumentError):
        await parse(parser, b"x", media_type="video/mp4")
    with pytest.raises(CorruptDocumentError):
        await parse(parser, b"x", media_type=DOCX)

    assert (await parse(parser, b"fine")).text == "fine"


async def test_a_file_that_takes_too_long_is_given_up_and_the_next_is_read(parser: IsolatedDocumentParser) -> None:
    with pytest.raises(DocumentTooComplexError, match="longer than"):
        await parse(parser, SLOW_PAGE, limits=ParseLimits(seconds=0.5))

    assert (await parse(parser, b"fine")).text == "fine"


async def test_a_file_that_takes_too_much_memory_is_given_up_and_the_next_is_read(
    parser: IsolatedDocumentParser,
) -> None:
    limits = ParseLimits(memory_bytes=160 * 1024**2)

    with pytest.raises(DocumentTooComplexError, match="memory"):
        await parse(parser, b"<p>a</p>" * 3_000_000, media_type=HTML, limits=limits)
    with pytest.raises(DocumentTooComplexError, match="memory"):
        await parse(parser, package({"word/document.xml": os.urandom(150_000_000)}), media_type=DOCX, limits=limits)

    assert (await parse(parser, b"fine", limits=limits)).text == "fine"


async def test_a_reader_that_dies_on_a_file_is_replaced(tmp_path: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text(
        "import os, sys\n"
        "from fireside.adapters.document_parser import frames\n"
        "out = os.fdopen(1, 'wb')\n"
        "out.write(frames.frame(frames.READY)); out.flush()\n"
        "sys.stdin.buffer.read(1)\n"
        "os.abort()\n"
    )
    parser = IsolatedDocumentParser(command=(sys.executable, str(script)))

    with pytest.raises(DocumentTooComplexError, match="SIGABRT"):
        await parse(parser, b"x")


async def test_a_reader_that_died_while_idle_costs_no_file(tmp_path: Path) -> None:
    script = tmp_path / "serves_once.py"
    script.write_text(
        "import os, sys\n"
        "from fireside.adapters.document_parser import frames\n"
        "from fireside.ports.document_parser import Block, ParsedDocument\n"
        "out = os.fdopen(1, 'wb')\n"
        "def send(payload):\n    out.write(frames.frame(payload)); out.flush()\n"
        "send(frames.READY)\n"
        "for _ in range(2):\n"
        "    size, = frames.LENGTH.unpack(sys.stdin.buffer.read(8)); sys.stdin.buffer.read(size)\n"
        "send(frames.encode_document(ParsedDocument('', 'x', (Block(0, 1, 'paragraph'),))))\n"
        "sys.stdin.buffer.read(8)\n"
    )
    parser = IsolatedDocumentParser(command=(sys.executable, str(script)))

    results = [(await parse(parser, b"x")).text for _ in range(3)]
    await parser.aclose()

    assert results == ["x", "x", "x"]


@pytest.mark.parametrize("command", [("/no/such/program",), (sys.executable, "-c", "raise SystemExit(3)")])
async def test_a_reader_that_cannot_start_is_not_blamed_on_the_file(command: tuple[str, ...]) -> None:
    parser = IsolatedDocumentParser(command=command)

    with pytest.raises(ParserUnavailableError):
        await parse(parser, b"x")


async def test_a_process_that_speaks_otherwise_is_no_reader() -> None:
    program = "import sys; sys.stdout.buffer.write((5).to_bytes(8, 'big') + b'hello'); sys.stdout.flush(); input()"
    parser = IsolatedDocumentParser(command=(sys.executable, "-c", program))

    with pytest.raises(ParserUnavailableError, match="wrongly"):
        await parse(parser, b"x")


async def test_giving_up_waiting_ends_the_reader(parser: IsolatedDocumentParser) -> None:
    slow = asyncio.create_task(parse(parser, SLOW_PAGE))
    assert (await parse(parser, b"meanwhile")).text == "meanwhile"
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow

    assert (await parse(parser, b"fine")).text == "fine"


async def test_readers_see_no_secrets_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIRESIDE_CLUSTER_KEY", "secret")
    script = tmp_path / "tells.py"
    script.write_text(
        "import os, sys\n"
        "from fireside.adapters.document_parser import frames\n"
        "from fireside.core.errors import FiresideError\n"
        "out = os.fdopen(1, 'wb')\n"
        "out.write(frames.frame(frames.READY)); out.flush()\n"
        "sys.stdin.buffer.read(8)\n"
        "out.write(frames.frame(frames.encode_error(FiresideError(' '.join(os.environ))))); out.flush()\n"
    )
    parser = IsolatedDocumentParser(command=(sys.executable, str(script)))

    with pytest.raises(FiresideError) as told:
        await parse(parser, b"x")
    await parser.aclose()

    assert "PATH" in str(told.value)
    assert "FIRESIDE" not in str(told.value)


async def test_idle_readers_end_by_themselves() -> None:
    parser = IsolatedDocumentParser(idle_s=0.05)
    await parse(parser, b"x", media_type=PLAIN)
    (expiry,) = [task for task in asyncio.all_tasks() if task.get_name() == "document-reader-idle"]

    await asyncio.wait_for(expiry, timeout=10)

    assert (await parse(parser, b"y", media_type=PLAIN)).text == "y"
    await parser.aclose()
    await parser.aclose()


async def test_many_files_are_read_at_once_by_few_readers(parser: IsolatedDocumentParser) -> None:
    documents = await asyncio.gather(*(parse(parser, f"file {number}".encode()) for number in range(40)))

    assert [document.text for document in documents] == [f"file {number}" for number in range(40)]


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("a/b/Page.MD", "", MARKDOWN),
        ("page.md", "application/octet-stream", MARKDOWN),
        ("README", "text/plain; charset=utf-8", PLAIN),
        ("page", "application/xhtml+xml", HTML),
        ("a.doc", "", None),
        ("a.exe", "text/plain", None),
        ("a.exe", "", None),
        (".md", "", None),
        ("c:\\files\\a.docx", "", DOCX),
    ],
)
def test_the_ending_of_the_name_says_what_a_file_is(name: str, declared: str, expected: str | None) -> None:
    assert IsolatedDocumentParser().media_type_of(name, declared=declared) == expected


def test_errors_travel_with_their_details() -> None:
    with pytest.raises(DocumentTooComplexError) as raised:
        decode_result(encode_error(DocumentTooComplexError("too much", limit=3)))

    assert raised.value.details == {"limit": 3}
