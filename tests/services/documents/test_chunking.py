"""Cutting documents: what a chunk holds, where it ends, what goes along with it."""

from hypothesis import given
from hypothesis import strategies as st

from fireside.ports.document_parser import Block, BlockKind, ParsedDocument
from fireside.services.documents.chunking import Chunk, split_into_chunks

Part = tuple[BlockKind, str, tuple[str, ...], int | None]


def document(*parts: Part) -> ParsedDocument:
    """A document of the parts, as a parser gives it."""
    text, blocks = "", list[Block]()
    for kind, content, headings, page in parts:
        text += "\n\n" if text else ""
        blocks.append(Block(len(text), len(text) + len(content), kind, headings, page))
        text += content
    return ParsedDocument("Leave", text, blocks)


def paragraph(text: str, *headings: str, page: int | None = None) -> Part:
    return "paragraph", text, headings, page


def heading(*headings: str) -> Part:
    return "heading", headings[-1], headings, None


def texts(parsed: ParsedDocument, chunks: list[Chunk]) -> list[str]:
    return [parsed.text[chunk.start : chunk.end] for chunk in chunks]


def sentences(count: int, *, about: str = "leave") -> str:
    return " ".join(f"Sentence number {n} says something more about {about}." for n in range(count))


def test_short_paragraphs_under_one_heading_make_one_chunk() -> None:
    parsed = document(heading("Annual"), paragraph("One.", "Annual"), paragraph("Two.", "Annual"))

    chunks = split_into_chunks(parsed, title="Leave")

    assert texts(parsed, chunks) == ["One.\n\nTwo."]
    assert chunks[0].heading == "Annual"


def test_a_chunk_never_crosses_a_heading() -> None:
    parsed = document(
        heading("Annual"), paragraph("240 hours.", "Annual"), heading("Sick"), paragraph("No limit.", "Sick")
    )

    chunks = split_into_chunks(parsed, title="Leave")

    assert texts(parsed, chunks) == ["240 hours.", "No limit."]
    assert [chunk.heading for chunk in chunks] == ["Annual", "Sick"]


def test_title_and_headings_go_along_for_the_search_but_are_not_part_of_the_passage() -> None:
    parsed = document(heading("Leave"), heading("Leave", "Annual"), paragraph("240 hours.", "Leave", "Annual"))

    chunk = split_into_chunks(parsed, title="Leave")[0]

    assert chunk.index_text == "Leave > Annual\n240 hours."
    assert chunk.windows == ("Leave > Annual\n240 hours.",)
    assert chunk.heading == "Annual"


def test_text_right_under_the_title_keeps_the_title_as_its_heading() -> None:
    parsed = document(heading("Leave"), paragraph("All kinds.", "Leave"))

    assert split_into_chunks(parsed, title="Leave")[0].heading == "Leave"


def test_text_under_no_heading_has_none() -> None:
    assert split_into_chunks(document(paragraph("All kinds.")), title="Leave")[0].heading is None


def test_sections_of_the_same_name_stay_apart() -> None:
    parsed = document(heading("Notes"), paragraph("One.", "Notes"), heading("Notes"), paragraph("Two.", "Notes"))

    assert texts(parsed, split_into_chunks(parsed, title="T")) == ["One.", "Two."]


def test_a_heading_over_other_headings_alone_makes_no_chunk_but_a_lonely_one_does() -> None:
    parsed = document(heading("A"), heading("A", "B"), paragraph("Text.", "A", "B"), heading("C"))

    assert texts(parsed, split_into_chunks(parsed, title="T")) == ["Text.", "C"]


def test_a_long_passage_is_cut_between_sentences_and_carries_its_windows() -> None:
    parsed = document(paragraph(sentences(60), "Annual"))

    chunks = split_into_chunks(parsed, title="Leave", chunk_chars=1000, window_chars=280)

    parts = texts(parsed, chunks)
    assert len(parts) >= 3
    assert all(part.startswith("Sentence") and part.endswith(".") for part in parts)
    for part, chunk in zip(parts, chunks, strict=True):
        whole, *windows = chunk.windows
        assert whole == f"Leave > Annual\n{part}"
        assert " ".join(windows) == part
        assert all(len(window) <= 280 for window in windows)


def test_a_small_rest_joins_the_chunk_before_it() -> None:
    parsed = document(paragraph("x" * 940 + "."), paragraph("A short last remark of the section."))

    assert len(split_into_chunks(parsed, title="T", chunk_chars=1000)) == 1


def test_a_table_row_longer_than_a_chunk_is_cut_between_words() -> None:
    parsed = document(("table", "Name: " + "value " * 400, ("Table",), 3))

    chunks = split_into_chunks(parsed, title="T", chunk_chars=500)

    assert all(len(part) <= 600 for part in texts(parsed, chunks))
    assert all("valu" not in part.split()[-1] or part.split()[-1] == "value" for part in texts(parsed, chunks))


def test_a_chunk_says_the_page_it_begins_on() -> None:
    parsed = document(paragraph(sentences(20), page=1), paragraph(sentences(20, about="sick days"), page=2))

    chunks = split_into_chunks(parsed, title="T")

    assert chunks[0].page == 1
    assert chunks[-1].page == 2
    for chunk in chunks:
        block = next(block for block in parsed.blocks if block.end > chunk.start)
        assert chunk.page == block.page


def test_very_long_headings_do_not_crowd_the_passage_out() -> None:
    parsed = document(paragraph("240 hours.", "H" * 5000))

    assert len(split_into_chunks(parsed, title="T" * 5000)[0].index_text) < 400


WORDS = st.text(alphabet="ab .\n!?。日9-", min_size=1, max_size=400).filter(lambda text: bool(text.strip()))
PARTS = st.lists(
    st.tuples(
        st.sampled_from(["paragraph", "list", "table", "code", "heading"]),
        WORDS.map(str.strip),
        st.lists(st.sampled_from(["A", "B"]), max_size=2).map(tuple),
        st.sampled_from([None, 1, 2]),
    ),
    min_size=1,
    max_size=8,
)


def _named(part: Part) -> Part:
    """A heading block names itself last."""
    kind, content, headings, page = part
    return (kind, content, (*headings, content), page) if kind == "heading" else part


@given(parts=PARTS, chunk_chars=st.integers(20, 120), window_chars=st.integers(10, 40))
def test_chunks_hold_all_text_in_order_within_limits(parts: list[Part], chunk_chars: int, window_chars: int) -> None:
    parsed = document(*(_named(part) for part in parts))

    chunks = split_into_chunks(parsed, title="T", chunk_chars=chunk_chars, window_chars=window_chars)

    assert chunks
    assert chunks == split_into_chunks(parsed, title="T", chunk_chars=chunk_chars, window_chars=window_chars)
    previous_end = 0
    for chunk in chunks:
        assert previous_end <= chunk.start < chunk.end <= len(parsed.text)
        previous_end = chunk.end
    covered = {place for chunk in chunks for place in range(chunk.start, chunk.end)}
    for block in parsed.blocks:
        if block.kind != "heading":
            missing = [n for n in range(block.start, block.end) if n not in covered and parsed.text[n].strip()]
            assert not missing
