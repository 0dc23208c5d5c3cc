"""Installing: from every source, through broken connections, together, and never the wrong bytes."""

import asyncio
from pathlib import Path

import pytest

from fireside.contracts import explore
from fireside.contracts.jobs import JobRef, JobView, jobs_of
from fireside.core.errors import ConflictError, ForbiddenError, NotFoundError
from fireside.testing.durable import eventually
from tests.databases import on_both_databases
from tests.gguf import model_file
from tests.services.explore.conftest import Shop, running_shop
from tests.services.explore.servers import COMMIT, ModelServer, sha256, wheel

SMALL = model_file()
LARGE = model_file(2_000_000, seed=7)


def digest_of(view: JobView) -> str:
    assert view.state == "succeeded", view.error
    assert view.result is not None
    return str(view.result["digest"])


@pytest.mark.requirement("I6")
@pytest.mark.parametrize(
    ("source", "name", "exactly"),
    [
        ("hf:acme/tiny-q8_0", "tiny-q8_0", f"hf:acme/tiny-q8_0/tiny-q8_0.gguf@{COMMIT}"),
        ("hf:acme/tiny-q8_0:Q8_0", "tiny-q8_0", f"hf:acme/tiny-q8_0/tiny-q8_0.gguf@{COMMIT}"),
        ("ollama:tiny-q8_0:1b", "tiny-q8_0-1b", "ollama:tiny-q8_0:1b"),
        ("pypi:tiny-model", "tiny-model.q8_0", "pypi:tiny-model==1.10"),
        ("pypi:tiny-json==1.9", "tiny-model.q8_0", "pypi:tiny-json==1.9"),
    ],
)
async def test_a_model_is_installed_from_each_source(
    shop: Shop, server: ModelServer, source: str, name: str, exactly: str
) -> None:
    server.files = {"tiny-q8_0.gguf": SMALL}
    server.files |= {f"tiny_model-{version}-py3-none-any.whl": wheel(SMALL) for version in ("1.9", "1.10", "2.0a1")}

    done = await shop.install(source)

    assert (digest_of(done), done.percent) == (sha256(SMALL), 100.0)
    page = await shop.as_role("user").call(explore.LIST, explore.ListModels())
    [model] = page.items
    assert (model.name, model.source, model.state, model.family) == (name, exactly, "installed", "tiny")
    assert (model.quantisation, model.context_tokens, model.languages) == ("Q8_0", 4096, ("en", "de"))
    assert shop.files.path(sha256(SMALL)).read_bytes() == SMALL
    assert shop.drafts() == []


async def test_a_model_comes_from_a_web_server_or_from_a_folder_meant_for_it(
    shop: Shop, server: ModelServer, tmp_path: Path
) -> None:
    server.files["plain.gguf"] = SMALL
    folder = tmp_path / "import"
    folder.mkdir()
    (folder / "own.gguf").write_bytes(LARGE)

    fetched = await shop.install(f"{server.url}/cdn/plain.gguf#sha256={sha256(SMALL)}")
    imported = await shop.install(f"file:{folder}/own.gguf")

    assert (digest_of(fetched), digest_of(imported)) == (sha256(SMALL), sha256(LARGE))
    assert await shop.names(shop.admin) == ["own", "plain"]
    found = await shop.admin.call(explore.CATALOGUE, explore.SearchCatalogue(origin="file"))
    assert [item.source for item in found.items] == [f"file:{folder}/own.gguf"]


@pytest.mark.parametrize("place", ["/etc/passwd.gguf", "{tmp}/import/link.gguf", "{tmp}/import/../secret.gguf"])
async def test_files_from_elsewhere_are_not_imported(shop: Shop, tmp_path: Path, place: str) -> None:
    (tmp_path / "import").mkdir()
    (tmp_path / "secret.gguf").write_bytes(SMALL)
    (tmp_path / "import" / "link.gguf").symlink_to(tmp_path / "secret.gguf")

    with pytest.raises(ForbiddenError, match="FIRESIDE_EXPLORE_IMPORT_FOLDERS"):
        await shop.begin(shop.admin, f"file:{place.format(tmp=tmp_path)}")


@pytest.mark.requirement("I6")
async def test_a_wrong_checksum_never_becomes_visible(shop: Shop, server: ModelServer) -> None:
    server.files = {"tiny.gguf": SMALL, "tiny_model-1.0-py3-none-any.whl": wheel(SMALL)}
    server.digests = {"tiny.gguf": "0" * 64, "tiny_model-1.0-py3-none-any.whl": "1" * 64}
    refused = [
        await shop.install("hf:acme/tiny"),
        await shop.install("pypi:tiny-model"),
        await shop.install(f"{server.url}/cdn/tiny.gguf", sha256="2" * 64),
    ]
    server.digests.clear()
    refused += [
        await shop.install("hf:acme/tiny", sha256="3" * 64),
        await shop.install("pypi:tiny-model", sha256="4" * 64),
    ]

    assert [(job.state, (job.error or {})["code"]) for job in refused] == [("failed", "checksum_mismatch")] * 5
    assert await shop.names(shop.admin, everything=True) == []
    assert shop.visible() == []
    assert digest_of(await shop.install("hf:acme/tiny")) == sha256(SMALL)


@pytest.mark.requirement("I6")
async def test_a_broken_connection_is_taken_up_where_it_broke_and_progress_never_goes_back(
    shop: Shop, server: ModelServer
) -> None:
    server.files["tiny.gguf"] = LARGE
    server.break_after, server.pause_s = [300_000, 300_000, 0, 300_000], 0.002
    who, seen = shop.admin, list[float]()
    job_id = await shop.begin(who, "hf:acme/tiny")

    async def ended() -> JobView | None:
        view = await who.call(jobs_of("explore").get, JobRef(id=job_id))
        seen.append(view.percent)
        return view if view.state not in {"queued", "running"} else None

    assert digest_of(await eventually(ended)) == sha256(LARGE)
    starts = [start for _, start in server.requests]
    assert len(starts) == 5
    assert starts == sorted(starts)
    assert starts[1] > 0
    assert server.sent["tiny.gguf"] < len(LARGE) + 300_000
    assert seen == sorted(seen)


async def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(shop: Shop, server: ModelServer) -> None:
    server.files["tiny.gguf"] = LARGE
    server.break_after = [300_000] * 3
    server.ignore_range = True

    assert digest_of(await shop.install(f"{server.url}/cdn/tiny.gguf")) == sha256(LARGE)
    assert [start for _, start in server.requests] == [0, 0, 0, 0]


async def test_a_source_that_goes_away_for_good_is_told(tmp_path: Path, server: ModelServer) -> None:
    server.files["tiny.gguf"] = LARGE
    server.break_after = [0] * 1000

    async with running_shop(tmp_path, server, broken_attempts=2) as shop:
        job = await shop.install("hf:acme/tiny")

    assert (job.state, (job.error or {})["code"]) == ("failed", "broken_download")


@pytest.mark.requirement("I6")
@on_both_databases
async def test_two_users_who_install_one_model_download_it_once(shop: Shop, server: ModelServer) -> None:
    server.files["tiny.gguf"] = LARGE
    server.pause_s = 0.002
    people = [shop.admin, shop.admin, shop.admin]
    sources = ["hf:acme/tiny", "hf:acme/tiny", "ollama:tiny"]

    jobs = await asyncio.gather(*(shop.begin(who, source) for who, source in zip(people, sources, strict=True)))
    done = await asyncio.gather(*(shop.ended(who, job) for who, job in zip(people, jobs, strict=True)))

    assert {digest_of(job) for job in done} == {sha256(LARGE)}
    assert server.sent["tiny.gguf"] == len(LARGE)
    assert await shop.names(shop.admin) == ["tiny"]


async def test_a_web_file_of_unknown_digest_is_downloaded_once_too(shop: Shop, server: ModelServer) -> None:
    server.files["tiny.gguf"] = LARGE
    server.pause_s = 0.002
    people = [shop.admin, shop.admin]

    jobs = await asyncio.gather(*(shop.begin(who, f"{server.url}/cdn/tiny.gguf") for who in people))
    done = await asyncio.gather(*(shop.ended(who, job) for who, job in zip(people, jobs, strict=True)))

    assert {digest_of(job) for job in done} == {sha256(LARGE)}
    assert server.sent["tiny.gguf"] == len(LARGE)


@pytest.mark.requirement("I6")
async def test_an_installation_pauses_goes_on_and_can_be_cancelled(shop: Shop, server: ModelServer) -> None:
    server.files["tiny.gguf"] = LARGE
    server.pause_s = 0.02
    who = shop.admin
    job_id = await shop.begin(who, "hf:acme/tiny")
    get = jobs_of("explore").get

    async def stage(wanted: str) -> bool | None:
        view = await who.call(get, JobRef(id=job_id))
        assert view.state in {"queued", "running"}
        return True if view.stage == wanted else None

    await eventually(lambda: stage("downloading"))
    await who.call(explore.PAUSE, explore.InstallRef(job_id=job_id))
    await eventually(lambda: stage("paused"))
    sent = server.sent["tiny.gguf"]
    assert 0 < sent < len(LARGE)
    await who.call(explore.RESUME, explore.InstallRef(job_id=job_id))
    await eventually(lambda: stage("downloading"))
    await who.call(jobs_of("explore").cancel, JobRef(id=job_id))

    assert (await shop.ended(who, job_id)).state == "cancelled"
    assert (shop.drafts(), shop.visible(), await shop.names(who)) == ([], [], [])
    with pytest.raises(NotFoundError):
        await who.call(explore.PAUSE, explore.InstallRef(job_id=job_id))


async def test_what_does_not_fit_is_refused_before_it_is_downloaded(tmp_path: Path, server: ModelServer) -> None:
    server.files["tiny.gguf"] = LARGE

    async with running_shop(tmp_path, server, reserve_bytes=2**60) as shop:
        job = await shop.install("hf:acme/tiny", anyway=True)
        assert (job.error or {})["code"] == "not_enough_disk"
    async with running_shop(tmp_path, server, memory_bytes=100_000_000) as shop:
        job = await shop.install("hf:acme/tiny")
        assert (job.error or {})["code"] == "model_does_not_fit"
        assert server.requests == []
        assert digest_of(await shop.install("hf:acme/tiny", anyway=True)) == sha256(LARGE)


async def test_what_needs_too_much_memory_for_its_context_is_refused_by_its_first_megabyte(
    tmp_path: Path, server: ModelServer
) -> None:
    server.files["wide.gguf"] = wide = model_file(8_000_000, llama__block_count=4000, llama__embedding_length=65536)
    server.pause_s = 0.001

    async with running_shop(tmp_path, server, memory_bytes=1_000_000_000) as shop:
        job = await shop.install("hf:acme/wide")

    assert (job.error or {})["code"] == "model_does_not_fit"
    assert server.sent["wide.gguf"] < len(wide)


async def test_a_hostile_file_is_refused_with_its_reason_as_soon_as_its_head_is_here(
    shop: Shop, server: ModelServer
) -> None:
    server.files = {"evil.gguf": b"MZ" + LARGE[2:], "cut.gguf": LARGE[:-1]}
    server.pause_s = 0.002

    evil, cut = await shop.install("hf:acme/evil"), await shop.install("hf:acme/cut")

    assert "does not begin with 'GGUF'" in (evil.error or {})["message"]
    assert server.sent["evil.gguf"] < len(LARGE)
    assert "it was cut" in (cut.error or {})["message"]
    assert (shop.visible(), shop.drafts()) == ([], [])


async def test_a_wheel_must_carry_one_model(shop: Shop, server: ModelServer) -> None:
    server.files["tiny_model-1.0-py3-none-any.whl"] = wheel(b"", name="readme.txt")
    none = await shop.install("pypi:tiny-model")
    server.files["tiny_model-1.0-py3-none-any.whl"] = b"no archive"
    broken = await shop.install("pypi:tiny-model")
    server.files["tiny_model-1.0-py3-none-any.whl"] = wheel(b"\0" * 50_000_000)
    bomb = await shop.install("pypi:tiny-model")

    assert [(job.error or {})["code"] for job in (none, broken, bomb)] == ["unusable_model_file"] * 3
    assert shop.visible() == []


async def test_a_download_keeps_to_its_rate(tmp_path: Path, server: ModelServer) -> None:
    server.files["tiny.gguf"] = model_file(300_000)

    async with running_shop(tmp_path, server, rate_bytes_per_s=400_000) as shop:
        job = await shop.install("hf:acme/tiny")

    assert job.finished_at is not None
    assert job.started_at is not None
    assert (job.finished_at - job.started_at).total_seconds() >= 0.7


async def test_a_name_belongs_to_one_file_and_the_other_leaves_nothing_behind(shop: Shop, server: ModelServer) -> None:
    server.files = {"one.gguf": SMALL, "two.gguf": LARGE}
    await shop.install("hf:acme/one", name="mine")

    again = await shop.install("hf:acme/one", name="Mine")
    other = await shop.install("hf:acme/two", name="mine")

    assert again.state == "succeeded"
    assert (other.error or {})["code"] == "model_name_taken"
    assert shop.visible() == [sha256(SMALL)]


async def test_a_file_goes_with_its_last_name(shop: Shop, server: ModelServer) -> None:
    server.files["one.gguf"] = SMALL
    await shop.install("hf:acme/one")
    admin = shop.admin

    copied = await admin.call(explore.COPY, explore.CopyModel(name="one", to="Second"))
    await admin.call(explore.REMOVE, explore.ModelRef(name="one"))

    assert (copied.name, copied.digest) == ("Second", sha256(SMALL))
    assert (await shop.names(admin), shop.visible()) == (["Second"], [sha256(SMALL)])
    await admin.call(explore.REMOVE, explore.ModelRef(name="second"))
    assert (await shop.names(admin), shop.visible()) == ([], [])
    with pytest.raises(NotFoundError):
        await admin.call(explore.REMOVE, explore.ModelRef(name="second"))


async def test_a_taken_name_is_not_given_to_a_copy(shop: Shop, server: ModelServer) -> None:
    server.files = {"one.gguf": SMALL, "two.gguf": LARGE}
    await shop.install("hf:acme/one")
    await shop.install("hf:acme/two")

    with pytest.raises(ConflictError):
        await shop.admin.call(explore.COPY, explore.CopyModel(name="one", to="TWO"))
