"""The embedding models that a node has, and the names that they go by."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b

from fireside.contracts.embeddings import EmbeddingModel
from fireside.ports.embedder import Embedder
from fireside.services.embeddings.errors import UnknownEmbeddingModelError

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")


class Shelf:
    """Models by name; the first is the default."""

    def __init__(self, embedders: Sequence[Embedder]) -> None:
        """Put models on the shelf.

        Args:
            embedders: At least one; of several with one name and version the first counts.
        """
        self._embedders: dict[str, Embedder] = {}
        for embedder in embedders:
            self._embedders.setdefault(embedder.facts.full_name, embedder)
        self._all = tuple(embedders)

    @property
    def default(self) -> Embedder:
        """The model that embeds when none is named."""
        return self._all[0]

    def get(self, name: str) -> Embedder:
        """A model by name, the default for an empty one.

        Raises:
            UnknownEmbeddingModelError: There is none.
        """
        if not name:
            return self.default
        if name not in self._embedders:
            known = ", ".join(self._embedders)
            raise UnknownEmbeddingModelError(f"there is no embedding model {name!r} (there is: {known})", model=name)
        return self._embedders[name]

    def models(self, *, loading: bool) -> Iterator[EmbeddingModel]:
        """Each model as others see it.

        Args:
            loading: Whether the default is just being loaded.
        """
        for name, embedder in self._embedders.items():
            facts = embedder.facts
            waits = "loading" if loading and embedder is self.default else "idle"
            yield EmbeddingModel(
                name=name,
                version=facts.version,
                index_name=index_name(name),
                dimensions=facts.dimensions,
                max_tokens=facts.max_tokens,
                pooling=facts.pooling,
                state="ready" if embedder.ready else waits,
            )

    async def aclose(self) -> None:
        """Let go of every model."""
        for embedder in self._all:
            await embedder.aclose()


def index_name(name: str) -> str:
    """A model's name with only the characters that a generation of the index may have.

    A name that has others ends with a digest of it, so that no two models share a generation.
    """
    plain = "".join(character if character in _NAME_CHARACTERS else "-" for character in name.lower())[:80]
    if plain == name and plain[:1].isalnum():
        return name
    return f"m{plain}-{blake2b(name.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"
