"""MongoDB for tests: a server of this run's own that speaks its protocol; tests are skipped where there is none."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.servers import MongoServer, running


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server without a database's name."""
    with running(MongoServer(tmp_path_factory.mktemp("mongodb"))) as server:
        yield server.url


@pytest.fixture
def mongodb_url(mongodb_server: str) -> str:
    """An empty database."""
    return f"{mongodb_server}/fireside_{uuid4().hex}"
