"""`fireside ingest`, `search`, `documents` and `jobs`."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fireside.adapters.document_parser.media_types import READABLE_ENDINGS
from fireside.cli.ingesting import BATCH_FILES, SUFFIXES, batches, files_in
from tests.cli.conftest import CommandLine

ODD_NAME = 'sub/Über "alles" & mehr.md'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    (folder / "sub").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "badges.md").write_text("# Badges\n\nThe badge office opens at 7:15 am.\n")
    (folder / ODD_NAME).write_text("# Pens\n\nEveryone gets four green pens a year.\n")
    (folder / ".git" / "notes.md").write_text("# Hidden\n\nNobody reads this.\n")
    (folder / "picture.raw").write_bytes(b"\0\1")
    return folder


def documents_of(result: Any) -> dict[str, Any]:
    return {document["path"]: document for document in result.json["documents"]}


def test_a_folder_is_ingested_found_and_cited(fireside: CommandLine, folder: Path) -> None:
    ingested = fireside("ingest", str(folder))

    assert ingested.code == 0, ingested.err
    assert ingested.out.startswith("2 documents indexed in ")
    found = fireside("search", "when does the badge office open", "--limit", "1")
    assert "badges.md" in found.out
    assert "7:15" in found.out
    answer = fireside("ask", "When does the badge office open?", "--mode", "company")
    assert "7:15" in answer.out
    assert "[1] badges.md" in answer.out
    assert "confidence " in answer.out


def test_names_keep_their_folders_and_every_character(fireside: CommandLine, folder: Path) -> None:
    ingested = fireside("ingest", str(folder), "--json")

    assert documents_of(ingested).keys() == {"badges.md", ODD_NAME}


def test_files_that_fail_are_told_with_the_reason_and_the_others_go_on(fireside: CommandLine, folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"not a pdf")
    (folder / "empty.txt").write_bytes(b"")

    ingested = fireside("ingest", str(folder))

    assert ingested.code == 3
    assert ingested.out.startswith("2 documents indexed in ")
    assert "failed broken.pdf: " in ingested.out
    assert "failed empty.txt: " in ingested.out
    failed = fireside("documents", "list", "--state", "failed", "--query", "broken.pdf", "--json").json
    assert [document["path"] for document in failed] == ["broken.pdf"]
    assert failed[0]["reason"]


def test_a_file_alone_that_cannot_be_read_is_told_in_the_same_way(fireside: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "alone.pdf").write_bytes(b"not a pdf either")

    ingested = fireside("ingest", str(tmp_path / "alone.pdf"), "--json")

    assert ingested.code == 3
    assert documents_of(ingested)["alone.pdf"]["state"] == "failed"
    assert documents_of(ingested)["alone.pdf"]["reason"]


def test_a_collection_that_is_not_there_ends_the_command(fireside: CommandLine, folder: Path) -> None:
    ingested = fireside("ingest", str(folder), "--collection", "nowhere")

    assert ingested.code == 1
    assert ingested.err.splitlines()[-1].startswith("error: ")


def test_a_folder_without_documents_says_what_was_looked_for(fireside: CommandLine, tmp_path: Path) -> None:
    ingested = fireside("ingest", str(tmp_path))

    assert ingested.code == 1
    assert ".docx" in ingested.err


def test_a_path_that_is_not_there_is_a_mistake_in_the_command(fireside: CommandLine, tmp_path: Path) -> None:
    assert fireside("ingest", str(tmp_path / "missing")).code == 2


def test_a_removed_document_is_not_found_any_more(fireside: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "gone.md").write_text("# Gone\n\nThe zanzibar rule applies on Mondays.\n")
    document = documents_of(fireside("ingest", str(tmp_path / "gone.md"), "--json"))["gone.md"]
    assert "zanzibar" in fireside("search", "zanzibar", "--mode", "keyword").out

    removed = fireside("documents", "remove", document["id"])

    assert removed.out == f"removed {document['id']}\n"
    assert fireside("search", "zanzibar", "--mode", "keyword").out == "nothing found\n"


def test_jobs_are_listed_watched_and_steered(fireside: CommandLine, folder: Path) -> None:
    fireside("ingest", str(folder))
    jobs = fireside("jobs", "list", "--limit", "1", "--json").json
    job_id = jobs[0]["id"]

    assert job_id in fireside("jobs", "list").out
    assert fireside("jobs", "watch", job_id).out == f"{job_id}: succeeded\n"
    assert fireside("jobs", "cancel", job_id).out == f"{job_id}: succeeded\n"
    refused = fireside("jobs", "retry", job_id)
    assert refused.code == 1
    assert refused.err.startswith("error: ")


def test_dead_letters_are_listed_and_driven_again(fireside: CommandLine) -> None:
    assert fireside("jobs", "dead", "--redriven", "--json").json == []
    refused = fireside("jobs", "redrive", str(uuid4()))
    assert refused.code == 1
    assert "no such dead letter" in refused.err


def test_uploads_are_cut_by_number_and_by_size(tmp_path: Path) -> None:
    small = [tmp_path / f"{number:03}.md" for number in range(BATCH_FILES + 1)]
    for path in small:
        path.write_text("a")
    large = tmp_path / "large.md"
    with large.open("wb") as file:
        file.truncate(41_000_000)

    cut = list(batches([(path, path.name) for path in (*small, large)]))

    assert [len(batch) for batch in cut] == [BATCH_FILES, 1, 1]


def test_a_folder_gives_its_documents_in_order_and_a_file_itself(folder: Path) -> None:
    found = list(files_in([folder, folder / "picture.raw"]))

    assert [name for _, name in found] == ["badges.md", ODD_NAME, "picture.raw"]


def test_folders_are_searched_for_everything_that_can_be_read() -> None:
    assert frozenset(READABLE_ENDINGS) == SUFFIXES
