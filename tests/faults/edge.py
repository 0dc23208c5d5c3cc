"""nginx in front of a cluster's gateways, with the configuration that is shipped."""

import importlib.machinery
import importlib.util
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from fireside.testing.cluster import free_port
from tests.needs import need_program

_SCRIPT = Path(__file__).parents[2] / "deploy/local-cluster"


@contextmanager
def running_edge(folder: Path, gateways: Sequence[str]) -> Generator[str]:
    """Where nginx answers; it ends with the context."""
    need_program("nginx")
    port = free_port()
    ports = [urlsplit(url).port for url in gateways]
    process = _local_cluster().nginx(folder, port=port, gateways=ports)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _local_cluster() -> ModuleType:
    """The script that starts a cluster with nginx, as a module."""
    loader = importlib.machinery.SourceFileLoader("local_cluster", str(_SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
