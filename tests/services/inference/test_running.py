"""How installed models are run: pinned, loaded and unloaded by administrators, and loaded again after a restart."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from fireside.adapters.model_engine.notes_file import NotesFile
from fireside.contracts.base import Nothing
from fireside.contracts.explore import ModelRule, ModelsChanged, RunOptions, Shelf
from fireside.contracts.inference import CHAT, LOAD, MODELS, UNLOAD, Chat, LoadModel
from fireside.core.errors import ConflictError, ForbiddenError, NotFoundError
from fireside.core.identity import user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.mesh import Context, Node
from tests.services.inference.parts import HELLO, Engines, Shelves, installed, person, ruled_house

PINNED = ModelRule(name="pinned", run=RunOptions(pinned=True))
THREE = (installed("a"), installed("b"), installed("pinned"))


def manager(node: Node) -> Context:
    return node.context(
        identity=user_identity(UserId(new_id()), roles=["admin"], permissions=["models:use", "models:manage"])
    )


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def ask(node: Node, name: str) -> None:
    _ = [item async for item in person(node, "user").stream(CHAT, Chat(messages=HELLO, model=name))]


@pytest.mark.requirement("I6")
async def test_a_pinned_model_is_loaded_at_the_start_and_never_makes_room() -> None:
    engines = Engines(budget_bytes=25)

    async with ruled_house(Shelves(Shelf(rules=(PINNED,), installed=THREE)), engines) as (node, _):
        await until(lambda: "pinned" in engines.made and engines.made["pinned"].calls == ["start"])
        await ask(node, "a")
        await ask(node, "b")
        assert engines.made["a"].calls == ["start", "stop"]
        assert engines.made["pinned"].calls == ["start"]
        with pytest.raises(ConflictError, match="pinned"):
            await manager(node).call(UNLOAD, LoadModel(name="pinned"))


@pytest.mark.requirement("I6")
async def test_a_model_that_is_pinned_no_more_makes_room_again() -> None:
    shelves, engines = Shelves(Shelf(rules=(PINNED,), installed=THREE)), Engines(budget_bytes=15)

    async with ruled_house(shelves, engines) as (node, _):
        await until(lambda: "pinned" in engines.made and engines.made["pinned"].calls == ["start"])
        shelves.shelf = Shelf(installed=THREE)
        await person(node, "user").broadcast(ModelsChanged())

        async with asyncio.timeout(20):
            while engines.made["pinned"].calls != ["start", "stop"]:
                await ask(node, "a")
                await asyncio.sleep(0.01)


@pytest.mark.requirement("I6")
async def test_managers_load_and_unload_and_nobody_else() -> None:
    engines = Engines()

    async with ruled_house(Shelves(Shelf(installed=THREE)), engines) as (node, _):
        await manager(node).call(LOAD, LoadModel(name="a"))
        assert engines.made["a"].calls == ["start"]
        await manager(node).call(UNLOAD, LoadModel(name="a"))
        assert engines.made["a"].calls == ["start", "stop"]
        with pytest.raises(NotFoundError):
            await manager(node).call(LOAD, LoadModel(name="nobody"))
        for action in (LOAD, UNLOAD):
            with pytest.raises(ForbiddenError):
                await person(node, "user").call(action, LoadModel(name="b"))
        assert engines.made["b"].calls == []


@pytest.mark.requirement("I6")
async def test_what_is_answering_is_not_unloaded() -> None:
    engines = Engines()

    async with ruled_house(Shelves(Shelf(installed=THREE)), engines) as (node, _):
        stream = person(node, "user").stream(CHAT, Chat(messages=HELLO, model="a"))
        await anext(stream)
        with pytest.raises(ConflictError, match="in use"):
            await manager(node).call(UNLOAD, LoadModel(name="a"))
        await stream.aclose()


@pytest.mark.requirement("I6")
async def test_what_was_loaded_is_loaded_again_after_a_restart_as_far_as_there_is_memory(tmp_path: Path) -> None:
    notes, shelves = NotesFile(tmp_path / "node" / "notes.json"), Shelves(Shelf(installed=THREE))
    first, second = Engines(), Engines(budget_bytes=15)

    async with ruled_house(shelves, first, notes) as (node, _):
        await ask(node, "b")
        await ask(node, "a")
        await until(lambda: notes.read().get("loaded") == ["a", "b"])
    async with ruled_house(shelves, second, notes) as (node, _):
        await until(lambda: "a" in second.made and second.made["a"].calls == ["start"])
        await until(lambda: notes.read().get("loaded") == ["a"])
        assert second.made["b"].calls == []
        profiles = {profile.name: profile for profile in (await person(node, "user").call(MODELS, Nothing())).items}
        assert (profiles["a"].answers, profiles["b"].answers) == (1, 1)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"loaded": 3}', b"\xff"])
async def test_notes_that_cannot_be_read_are_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes.json").write_bytes(content)
    engines = Engines()

    async with ruled_house(Shelves(Shelf(installed=THREE)), engines, NotesFile(tmp_path / "notes.json")) as (node, _):
        await ask(node, "a")
        assert engines.made["a"].calls == ["start"]
