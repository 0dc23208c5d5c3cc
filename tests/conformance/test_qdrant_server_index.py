"""The search index on a Qdrant server keeps the port's promises: always in the client's local mode, and on a real
server when FIRESIDE_TEST_QDRANT_URL names one.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from qdrant_client import AsyncQdrantClient

from fireside.adapters.vector_index.qdrant_server import QdrantServerIndex
from fireside.ports.vector_index import IndexUnavailableError, VectorIndex
from fireside.testing.conformance.vector_index import DurableVectorIndexConformance, VectorIndexConformance

SERVER_URL = os.environ.get("FIRESIDE_TEST_QDRANT_URL", "")
needs_server = pytest.mark.skipif(not SERVER_URL, reason="FIRESIDE_TEST_QDRANT_URL names no Qdrant server")


class TestLocalMode(VectorIndexConformance):
    @pytest.fixture
    async def index(self) -> AsyncIterator[QdrantServerIndex]:
        index = QdrantServerIndex(AsyncQdrantClient(":memory:"), local=True)
        await index.open()
        yield index
        await index.aclose()


class TestDurableLocalMode(DurableVectorIndexConformance):
    @pytest.fixture
    async def index(self, tmp_path: Path) -> AsyncIterator[QdrantServerIndex]:
        index = QdrantServerIndex(AsyncQdrantClient(path=str(tmp_path)), local=True)
        yield index
        await index.aclose()

    @pytest.fixture
    async def reopen(self, tmp_path: Path) -> AsyncIterator[Callable[[VectorIndex], Awaitable[VectorIndex]]]:
        opened: list[QdrantServerIndex] = []

        async def close_and_open(index: VectorIndex) -> VectorIndex:
            await index.aclose()
            opened.append(QdrantServerIndex(AsyncQdrantClient(path=str(tmp_path)), local=True))
            return opened[0]

        yield close_and_open
        for index in opened:
            await index.aclose()


@needs_server
class TestServer(VectorIndexConformance):
    @pytest.fixture
    async def index(self) -> AsyncIterator[QdrantServerIndex]:
        index = QdrantServerIndex(AsyncQdrantClient(SERVER_URL), prefix=f"test-{uuid4().hex}")
        await index.open()
        yield index
        await index.aclose()


async def test_installations_with_different_prefixes_do_not_see_each_other() -> None:
    client = AsyncQdrantClient(":memory:")
    ours, theirs = (QdrantServerIndex(client, prefix=prefix, local=True) for prefix in ("ours", "theirs"))
    await ours.create("first", dimensions=4)
    await ours.activate("first")

    assert (await theirs.state()).generations == ()
    assert (await theirs.state()).active is None
    await ours.aclose()


async def test_an_unreachable_server_is_unavailable() -> None:
    index = QdrantServerIndex(AsyncQdrantClient("http://127.0.0.1:9", check_compatibility=False, timeout=2))

    with pytest.raises(IndexUnavailableError):
        await index.open()
    await index.aclose()
