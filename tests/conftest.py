"""What every test has: a clean environment, so that no setting of this machine reaches the code."""

import os
from collections.abc import Iterator

import pytest

from tests.databases import migrated_files  # noqa: F401 - a fixture
from tests.mongodb import mongodb_server, mongodb_url  # noqa: F401 - fixtures
from tests.postgresql import cluster, own_cluster, postgresql_server, postgresql_url  # noqa: F401 - fixtures


@pytest.fixture(autouse=True, scope="session")
def clean_environment() -> Iterator[None]:
    """Hide the machine's own FIRESIDE_* settings; FIRESIDE_TEST_* tell tests what may be skipped."""
    hidden = {name: value for name, value in os.environ.items() if _is_setting(name)}
    for name in hidden:
        del os.environ[name]
    yield
    os.environ.update(hidden)


def _is_setting(name: str) -> bool:
    return name.startswith("FIRESIDE_") and not name.startswith("FIRESIDE_TEST_")
