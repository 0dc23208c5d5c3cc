"""Which embedding models there are: the one inside Fireside first, then those in folders and those of servers."""

from collections.abc import Iterator
from functools import partial

from fireside.adapters.embedder.bert_folder import BertFolder, installed_minilm
from fireside.adapters.embedder.openai_server import OpenAiServerEmbedder
from fireside.adapters.embedder.openvino_minilm import OpenVinoMiniLm
from fireside.adapters.language_model.model_server import Endpoint
from fireside.adapters.language_model.openai_compatible import AZURE, GEMINI, OPENAI, OpenAICompatibleServer
from fireside.bootstrap.environment import SettingsError
from fireside.ports.embedder import Embedder, EmbedderFacts, EmbedderUnavailableError
from fireside.services.embeddings.settings import EmbeddingServerSettings, EmbeddingsSettings

_VARIANTS = {"openai": OPENAI, "azure": AZURE, "gemini": GEMINI}
FLOAT32_MINILM = "all-minilm-l6-v2-float32"


def make_embedders(settings: EmbeddingsSettings) -> list[Embedder]:
    """Every embedding model, none of them loaded, the default first.

    Raises:
        SettingsError: Two have one name and version, or a folder holds no model.
    """
    found = list(_embedders(settings))
    names = [embedder.facts.full_name for embedder in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SettingsError(f"FIRESIDE_EMBEDDINGS: there are two embedding models {sorted(twice)[0]!r}")
    return found


def _embedders(settings: EmbeddingsSettings) -> Iterator[Embedder]:
    yield OpenVinoMiniLm(threads=settings.threads)
    folder = installed_minilm()
    if folder is not None:
        yield BertFolder(folder, name=FLOAT32_MINILM, threads=settings.threads)
    for item in settings.folders:
        try:
            yield BertFolder(item.path.expanduser(), name=item.name, version=item.version, threads=settings.threads)
        except EmbedderUnavailableError as error:
            raise SettingsError(f"FIRESIDE_EMBEDDINGS_FOLDERS: {error.message}") from error
    for server in settings.servers:
        yield _remote(server)


def _remote(server: EmbeddingServerSettings) -> Embedder:
    facts = EmbedderFacts(
        name=server.name or server.model,
        version=server.version,
        dimensions=server.dimensions,
        max_tokens=server.max_tokens,
        pooling="server",
    )
    connection = OpenAICompatibleServer(partial(_locate, server), variant=_VARIANTS[server.api])
    return OpenAiServerEmbedder(
        connection, facts, model=server.model, batch_texts=server.batch_texts, parallel=server.parallel
    )


async def _locate(server: EmbeddingServerSettings) -> Endpoint:
    return Endpoint(str(server.url).rstrip("/"), server.api_key.get_secret_value())
