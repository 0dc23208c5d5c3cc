"""The vector index for each URL scheme."""

from pathlib import Path
from urllib.parse import urlsplit

from fireside.adapters.vector_index.qdrant_edge import QdrantEdgeIndex
from fireside.bootstrap.environment import SettingsError
from fireside.ports.vector_index import VectorIndex
from fireside.services.vectors.settings import VectorsSettings

_EXTRA = "FIRESIDE_VECTORS_URL needs the Qdrant client: pip install 'fireside-ai[qdrant]'"


def make_vector_index(settings: VectorsSettings, *, folder: Path) -> VectorIndex:
    """The index that FIRESIDE_VECTORS_URL names, not yet open.

    Args:
        settings: Where it is.
        folder: Of this node's data, for an index that runs in the process.

    Raises:
        SettingsError: No index for this scheme, or its library is not installed.
    """
    url = settings.url
    scheme = urlsplit(url).scheme
    if scheme == "edge":
        return QdrantEdgeIndex(folder / "vectors")
    if scheme not in {"http", "https", "qdrant-local"}:
        raise SettingsError(f"FIRESIDE_VECTORS_URL: no vector index for {scheme!r} (edge, http, https, qdrant-local)")
    try:
        from qdrant_client import AsyncQdrantClient  # noqa: PLC0415 - an optional extra

        from fireside.adapters.vector_index.qdrant_server import QdrantServerIndex  # noqa: PLC0415 - needs the extra
    except ImportError as error:
        raise SettingsError(_EXTRA) from error
    if scheme == "qdrant-local":
        client = AsyncQdrantClient(path=str(folder / "qdrant-local"))
        return QdrantServerIndex(client, prefix=settings.prefix, local=True)
    client = AsyncQdrantClient(url=url, api_key=settings.api_key.get_secret_value() or None)
    return QdrantServerIndex(client, prefix=settings.prefix)
