"""Models in several files: all parts are taken and checked, and seen only when all are right."""

from pathlib import Path

import pytest

from fireside.contracts import explore
from fireside.contracts.base import Nothing
from tests.services.explore.conftest import Shop
from tests.services.explore.servers import ModelServer, sha256
from tests.tiny_models import bert_file, bert_parts

PARTS = bert_parts(3)
FIRST, SECOND, THIRD = PARTS


@pytest.mark.requirement("I6")
@pytest.mark.parametrize("kind", ["hub", "web", "folder"])
async def test_all_parts_come_and_go_together(shop: Shop, server: ModelServer, tmp_path: Path, kind: str) -> None:
    server.files = dict(PARTS)
    (tmp_path / "import").mkdir()
    for name, content in PARTS.items():
        (tmp_path / "import" / name).write_bytes(content)
    source = {
        "hub": f"hf:acme/tiny/{FIRST}",
        "web": f"{server.url}/cdn/{FIRST}",
        "folder": f"file:{tmp_path}/import/{FIRST}",
    }[kind]

    for _ in range(2):  # the second finds it here
        done = await shop.install(source)
        assert done.state == "succeeded", done.error
    assert done.result is not None
    assert done.result["size_bytes"] == sum(map(len, PARTS.values()))

    [model] = (await shop.admin.call(explore.LIST, explore.ListModels())).items
    assert (model.name, model.state, model.kind) == ("tiny", "installed", "embedding")
    [on_shelf] = (await shop.admin.as_service("test").call(explore.SHELF, Nothing())).installed
    first = shop.files.path(on_shelf.digest)
    assert str(first) == on_shelf.path
    assert [path.name[64:] for path in shop.files.parts(on_shelf.digest)] == [name[4:] for name in PARTS]
    assert [path.read_bytes() for path in shop.files.parts(on_shelf.digest)] == list(PARTS.values())
    assert first.read_bytes() == PARTS[FIRST]
    assert shop.drafts() == []

    await shop.admin.call(explore.REMOVE, explore.ModelRef(name="tiny"))
    assert shop.visible() == []


@pytest.mark.requirement("I6")
async def test_a_wrong_part_leaves_nothing_to_be_seen(shop: Shop, server: ModelServer) -> None:
    server.files = dict(PARTS)
    server.digests = {THIRD: sha256(b"other")}

    done = await shop.install(f"hf:acme/tiny/{FIRST}")

    assert (done.state, shop.visible(), await shop.names(shop.admin)) == ("failed", [], [])
    assert done.error is not None
    assert "SHA-256 of a part" in done.error["message"]


@pytest.mark.requirement("I6")
@pytest.mark.parametrize(
    ("files", "asked", "reason"),
    [
        ({FIRST: PARTS[FIRST], SECOND: PARTS[SECOND]}, FIRST, "lacks a part"),
        (PARTS, SECOND, "name the first"),
        (PARTS | {SECOND: PARTS[THIRD]}, FIRST, "two of the parts are the same"),
        (PARTS | {SECOND: PARTS[THIRD], THIRD: PARTS[SECOND]}, FIRST, "not part 2 of 3"),
        (PARTS | {THIRD: bert_file()}, FIRST, "not part 3 of 3"),
        ({"tiny.gguf": PARTS[FIRST]}, "", "one of several parts"),
    ],
)
async def test_what_is_not_all_of_one_model_is_refused(
    shop: Shop, server: ModelServer, files: dict[str, bytes], asked: str, reason: str
) -> None:
    server.files = dict(files)

    done = await shop.install(f"hf:acme/tiny/{asked}".rstrip("/"))

    assert (done.state, shop.visible()) == ("failed", [])
    assert done.error is not None
    assert reason in done.error["message"]
