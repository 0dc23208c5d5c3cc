"""What every test has: a clean environment, so that no setting of this machine reaches the code.

And where tests run: those that share something that takes long to start run on the same worker, so that it starts once.
"""

import os
from collections.abc import Iterator

import pytest
import structlog

from tests.databases import migrated_files  # noqa: F401 - a fixture
from tests.mongodb import mongodb_server, mongodb_url  # noqa: F401 - fixtures
from tests.postgresql import cluster, own_cluster, postgresql_server, postgresql_url  # noqa: F401 - fixtures

_LONGER_THAN_A_TEST = {"module", "package", "session"}


@pytest.fixture(autouse=True, scope="session")
def clean_environment() -> Iterator[None]:
    """Hide the machine's own FIRESIDE_* settings; FIRESIDE_TEST_* tell tests what may be skipped."""
    hidden = {name: value for name, value in os.environ.items() if _is_setting(name)}
    for name in hidden:
        del os.environ[name]
    yield
    os.environ.update(hidden)


@pytest.fixture(autouse=True, scope="session")
def plain_tracebacks() -> None:
    """Write exceptions to the log as the server does; with colours and boxes, one takes up to half a second."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share a fixture of their module or folder on one worker, unless they say where they belong."""
    for item in items:
        if isinstance(item, pytest.Function) and not item.get_closest_marker("xdist_group"):
            for where in _shared_by(item):
                item.add_marker(pytest.mark.xdist_group(where))


def _shared_by(item: pytest.Function) -> set[str]:
    """The folder or the module whose fixture the test shares with others, the widest; none for what all may use."""
    found = {
        used[-1].baseid for used in item._fixtureinfo.name2fixturedefs.values() if used[-1].scope in _LONGER_THAN_A_TEST
    }
    return set(sorted(found - {"", "tests"}, key=len)[:1])


def _is_setting(name: str) -> bool:
    return name.startswith("FIRESIDE_") and not name.startswith("FIRESIDE_TEST_")
