"""The whole ingest - upload, read, cut, embed, index, store - against the bare embedding of the same windows."""

import asyncio
import random
import time

import aiohttp

from benchmarks.serving import fireside, headers_of
from fireside.adapters.document_parser.isolated import IsolatedDocumentParser
from fireside.adapters.embedder.openvino_minilm import OpenVinoMiniLm
from fireside.ports.document_parser import ParseLimits
from fireside.services.documents.chunking import split_into_chunks
from fireside.testing.process import FiresideProcess

DOCUMENTS = 60
SECTIONS = 8
SENTENCES = 14
SEED = 11
OFF = {"FIRESIDE_INFERENCE_ENGINE": "off"}
WORDS = (
    "travel leave budget office train hotel supervisor form request team week month contract vendor review award"
    " training laptop badge visitor meeting room invoice approval deadline policy insurance holiday working remote"
)


def main() -> None:
    """Measure and print."""
    files = make_documents()
    bare_s, windows = asyncio.run(_bare(files))
    with fireside(OFF) as house:
        whole_s = asyncio.run(_ingest(house, files))
    print(f"{len(files)} documents, {windows} windows")
    print(f"bare embedding: {windows / bare_s:.0f} windows/s; whole ingest: {windows / whole_s:.0f} windows/s")
    print(f"whole ingest, share of the bare embedder's rate: {bare_s / whole_s:.2f} (goal >= 0.85)")


def make_documents() -> dict[str, bytes]:
    """Documents of plausible shape, the same each time."""
    chance, words = random.Random(SEED), WORDS.split()

    def sentence() -> str:
        return " ".join(chance.choices(words, k=chance.randint(8, 20))).capitalize() + "."

    def section(number: int) -> str:
        return f"## Section {number}\n\n" + " ".join(sentence() for _ in range(SENTENCES))

    return {
        f"guide-{n}.md": (f"# Guide {n}\n\n" + "\n\n".join(section(s) for s in range(SECTIONS))).encode()
        for n in range(DOCUMENTS)
    }


async def _bare(files: dict[str, bytes]) -> tuple[float, int]:
    parser, embedder = IsolatedDocumentParser(), OpenVinoMiniLm()
    texts = list[str]()
    for name, content in files.items():
        parsed = await parser.parse(content, media_type="text/markdown", file_name=name, limits=ParseLimits())
        texts += [window for chunk in split_into_chunks(parsed, title=name) for window in chunk.windows]
    await embedder.embed(texts[:64])
    began = time.perf_counter()
    await embedder.embed(texts)
    took = time.perf_counter() - began
    await embedder.aclose()
    await parser.aclose()
    return took, len(texts)


async def _ingest(house: FiresideProcess, files: dict[str, bytes]) -> float:
    headers = {"authorization": headers_of(house)["authorization"]}
    async with aiohttp.ClientSession(base_url=house.url, headers=headers) as session:
        await _upload(session, {"warm-up.md": b"# Warm up\n\nLoads the model."})
        began = time.perf_counter()
        await _upload(session, files)
        return time.perf_counter() - began


async def _upload(session: aiohttp.ClientSession, files: dict[str, bytes]) -> None:
    form = aiohttp.FormData()
    for name, content in files.items():
        form.add_field("files", content, filename=name)
    async with session.post("/api/v1/documents", data=form) as reply:
        job = (await reply.json())["job_id"]
    state = "queued"
    while state in {"queued", "running"}:
        await asyncio.sleep(0.05)
        async with session.get(f"/api/v1/jobs/{job}") as reply:
            state = (await reply.json())["state"]
    if state != "succeeded":
        raise SystemExit(f"the ingest ended as {state}")


if __name__ == "__main__":
    main()
