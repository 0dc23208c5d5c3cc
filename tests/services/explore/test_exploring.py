"""Looking for models: what is shown to whom, filters, pages, and whether a model fits."""

from pathlib import Path

import pytest

from fireside.contracts import explore
from fireside.contracts.base import Nothing
from fireside.core.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from fireside.runtime.durable import durable_metadata
from fireside.services.explore import tables
from fireside.services.explore.curated import curated_models
from fireside.services.explore.fitting import Machine, fit
from fireside.testing.durable import schema_differences
from tests.databases import on_both_databases
from tests.gguf import model_file
from tests.services.explore.conftest import GIGABYTE, Shop, running_shop
from tests.services.explore.servers import ModelServer, sha256
from tests.tiny_models import bert_file

FAMILIES = {"one": "qwen", "two": "qwen", "three": "llama"}


@pytest.fixture
async def stocked(shop: Shop, server: ModelServer) -> Shop:
    """Three models; `one` and `three` are fast, `one` and `two` are of the family qwen."""
    for number, (name, family) in enumerate(FAMILIES.items()):
        server.files[f"{name}.gguf"] = model_file(seed=number, general__basename=family)
        assert (await shop.install(f"hf:acme/{name}")).state == "succeeded"
        await shop.change(name, tags=("fast",) if name != "two" else ("slow",))
    return shop


@pytest.mark.requirement("I13")
async def test_a_disabled_or_forbidden_model_is_absent(stocked: Shop) -> None:
    await stocked.change("one", enabled=False)
    await stocked.change("two", roles=("editor",))

    assert await stocked.names(stocked.as_role("user")) == ["three"]
    assert await stocked.names(stocked.as_role("editor")) == ["three", "two"]
    assert await stocked.names(stocked.admin) == ["three"]
    assert await stocked.names(stocked.admin, everything=True) == ["one", "three", "two"]
    with pytest.raises(ForbiddenError):
        await stocked.names(stocked.as_role("user"), everything=True)
    await stocked.change("one", enabled=True)
    await stocked.change("two", roles=())
    assert await stocked.names(stocked.as_role("user")) == ["one", "three", "two"]


@pytest.mark.requirement("I13")
async def test_tag_and_family_filter_exactly(stocked: Shop) -> None:
    who = stocked.as_role("user")

    assert await stocked.names(who, tag="fast", family="qwen") == ["one"]
    assert await stocked.names(who, family="qwen") == ["one", "two"]
    assert await stocked.names(who, tag="fas") == []
    assert await stocked.names(who, family="Qwen") == []


@pytest.mark.requirement("I13")
async def test_pages_are_full_and_in_order_also_when_a_model_goes_meanwhile(stocked: Shop) -> None:
    admin = stocked.admin
    first = await admin.call(explore.LIST, explore.ListModels(limit=1))
    await admin.call(explore.REMOVE, explore.ModelRef(name="one"))
    rest = await admin.call(explore.LIST, explore.ListModels(limit=2, cursor=first.next_cursor))

    assert [item.name for item in (*first.items, *rest.items)] == ["one", "three", "two"]
    assert rest.next_cursor is None
    with pytest.raises(InvalidInputError):
        await admin.call(explore.LIST, explore.ListModels(cursor="\u00e4"))


@pytest.mark.requirement("I13")
async def test_the_catalogue_is_searched_by_words_filters_and_pages(shop: Shop) -> None:
    who = shop.as_role("user")

    async def found(**wish: object) -> list[str]:
        names, cursor = list[str](), None
        while True:
            page = await who.call(explore.CATALOGUE, explore.SearchCatalogue(limit=4, cursor=cursor, **wish))
            names += [item.name for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return names
            assert len(page.items) == 4

    every = [model.name for model in curated_models()]
    assert await found() == every == sorted(every)
    assert await found(query="qwen2.5 coder") == ["qwen2.5-coder-1.5b"]
    assert await found(family="qwen3", tag="tiny") == ["qwen3-0.6b"]
    assert await found(category="code") == ["qwen2.5-coder-1.5b"]
    assert await found(language="hi", max_bytes=10**9) == ["llama-3.2-1b"]
    assert await found(tag="tin") == []


async def test_every_curated_model_can_be_asked_for_and_sizes_are_honest(shop: Shop) -> None:
    page = await shop.admin.call(explore.CATALOGUE, explore.SearchCatalogue(limit=100))

    for item in page.items:
        shop.service._sources.find(item.source)  # pyright: ignore[reportPrivateUsage]
        assert item.size_is_estimate == (item.sha256 is None)
        assert item.fit is not None
        assert item.fit.fits is (item.fit.reason == "")


async def test_the_hub_is_searched_page_by_page_for_managers(shop: Shop, server: ModelServer) -> None:
    server.files = {f"small-{number}.gguf": b"" for number in range(5)} | {"other.gguf": b""}
    wish = explore.SearchCatalogue(query="small", origin="hf", limit=3)

    first = await shop.admin.call(explore.CATALOGUE, wish)
    rest = await shop.admin.call(explore.CATALOGUE, wish.model_copy(update={"cursor": first.next_cursor}))

    sources = [item.source for item in (*first.items, *rest.items)]
    assert sources == [f"hf:acme/small-{number}" for number in range(5)]
    assert (first.items[0].licence, first.items[0].languages, rest.next_cursor) == ("mit", ("en",), None)
    with pytest.raises(ForbiddenError):
        await shop.as_role("user").call(explore.CATALOGUE, wish)
    with pytest.raises(InvalidInputError, match="words and one tag"):
        await shop.admin.call(explore.CATALOGUE, wish.model_copy(update={"family": "x"}))


async def test_whether_a_model_fits_is_told_before_it_is_downloaded(tmp_path: Path, server: ModelServer) -> None:
    async with running_shop(tmp_path, server, memory_bytes=2 * GIGABYTE) as shop:
        page = await shop.admin.call(explore.CATALOGUE, explore.SearchCatalogue(limit=100))

    fits = {item.name: item.fit.fits for item in page.items if item.fit}
    assert (fits["smollm2-135m"], fits["qwen3-8b"]) == (True, False)
    assert server.requests == []


def test_the_context_counts_as_memory() -> None:
    machine = Machine(memory_bytes=10 * GIGABYTE, free_disk_bytes=100 * GIGABYTE, reserve_bytes=GIGABYTE)

    def fits(context_tokens: int) -> bool | None:
        return fit(machine, size_bytes=4 * GIGABYTE, kv_bytes_per_token=131_072, context_tokens=context_tokens).fits

    assert (fits(8_000), fits(64_000)) == (True, False)
    small = Machine(memory_bytes=10 * GIGABYTE, free_disk_bytes=4 * GIGABYTE, reserve_bytes=GIGABYTE)
    assert "of disk" in fit(small, size_bytes=4 * GIGABYTE, kv_bytes_per_token=1, context_tokens=1).reason
    assert fit(machine, size_bytes=None, kv_bytes_per_token=None, context_tokens=1).fits is None


async def test_one_model_is_the_default_and_it_must_be_on(stocked: Shop) -> None:
    await stocked.change("one", is_default=True)
    assert (await stocked.change("TWO", is_default=True)).is_default

    page = await stocked.admin.call(explore.LIST, explore.ListModels())
    assert [item.name for item in page.items if item.is_default] == ["two"]
    await stocked.change("three", enabled=False)
    with pytest.raises(ConflictError):
        await stocked.change("three", is_default=True)
    with pytest.raises(NotFoundError):
        await stocked.change("four", enabled=False)


async def test_who_runs_models_is_told_the_file_and_the_rules(stocked: Shop) -> None:
    await stocked.change("one", is_default=True, roles=("admin",))

    shelf = await stocked.admin.as_service("test").call(explore.SHELF, Nothing())

    one = next(model for model in shelf.installed if model.name == "one")
    assert one.path == str(stocked.files.path(sha256(model_file(seed=0, general__basename="qwen"))))
    assert (one.family, one.context_tokens, one.kv_bytes_per_token) == ("qwen", 4096, 256)
    rule = next(rule for rule in shelf.rules if rule.name == "one")
    assert (rule.is_default, rule.allows({"admin"}), rule.allows({"user"})) == (True, True, False)
    with pytest.raises(ForbiddenError):
        await stocked.admin.call(explore.SHELF, Nothing())


@pytest.mark.parametrize("role", ["editor", "user", "viewer"])
async def test_only_managers_install_and_remove(stocked: Shop, role: str) -> None:
    who = stocked.as_role(role)

    for action, request in (
        (explore.INSTALL, explore.InstallModel(source="hf:acme/one")),
        (explore.REMOVE, explore.ModelRef(name="one")),
        (explore.CHANGE, explore.ChangeModel(name="one", enabled=False)),
    ):
        with pytest.raises(ForbiddenError):
            await who.call(action, request)


@pytest.mark.parametrize(
    "source", ["gpt-9", "ftp:x", "hf:nobody", "hf:a/b/../c.gguf", "ollama:a b", "pypi:x==", "file:x"]
)
async def test_what_names_no_source_is_refused_at_once(shop: Shop, source: str) -> None:
    with pytest.raises(InvalidInputError):
        await shop.begin(shop.admin, source)


@on_both_databases
async def test_the_migrations_make_the_tables_that_the_code_describes(shop: Shop) -> None:
    assert await schema_differences(shop.service.database, durable_metadata, tables.metadata) == []


@pytest.mark.requirement("I6")
async def test_how_a_model_is_run_is_told_to_who_runs_it_and_replaced_whole(stocked: Shop) -> None:
    wanted = explore.RunOptions(pinned=True, context_tokens=1024, parallel=2, keep_alive_s=5.0, priority="low")
    assert (await stocked.change("one", run=wanted)).run == wanted
    assert (await stocked.change("one", tags=("quick",))).run == wanted

    shelf = await stocked.admin.as_service("test").call(explore.SHELF, Nothing())

    on_shelf = {model.name: model for model in shelf.installed}
    assert (on_shelf["one"].window_tokens, on_shelf["one"].parallel) == (1024, 2)
    assert (on_shelf["two"].window_tokens, on_shelf["two"].parallel) == (None, None)
    assert next(rule.run for rule in shelf.rules if rule.name == "one") == wanted
    assert (await stocked.change("one", run=explore.RunOptions(pinned=True))).run == explore.RunOptions(pinned=True)


@pytest.mark.requirement("I6", "I12")
async def test_a_model_that_does_not_chat_cannot_be_the_default(shop: Shop, server: ModelServer) -> None:
    server.files["vectors.gguf"] = bert_file()
    assert (await shop.install("hf:acme/vectors")).state == "succeeded"

    with pytest.raises(ConflictError, match="does not chat"):
        await shop.change("vectors", is_default=True)
