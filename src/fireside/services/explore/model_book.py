"""What is known of the models here: which are installed, and what was said about them. Read from the cache.

Everything is kept under one key, and who may see what is decided after it was read, so the cache can show nobody more
than the database would. Whoever is about to change something reads the database.
"""

from dataclasses import dataclass

from pydantic import TypeAdapter

from fireside.contracts.explore import ModelsChanged
from fireside.runtime.caching import Cache
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.services.explore import repository
from fireside.services.explore.model import StoredModel, StoredRule

_KEY = "all"
_TAG = "models"


@dataclass(frozen=True, slots=True)
class Known:
    """Installed models by name, and rules by the key of their model's name."""

    models: tuple[StoredModel, ...]
    rules: dict[str, StoredRule]


class ModelBook:
    """Reads it, and makes every node read it anew."""

    def __init__(self, database: Database, cache: Cache | None, *, ttl_s: float) -> None:
        """Prepare.

        Args:
            database: Of the explore service.
            cache: Where it is kept; nowhere when None.
            ttl_s: How long.
        """
        self._database, self._cache = database, cache
        self._known = None if cache is None else cache.namespace("models", TypeAdapter(Known), ttl_s=ttl_s)

    async def start(self) -> None:
        """Begin to keep it warm, read anew: a process that died may have changed it and told nobody."""
        if self._cache is not None:
            await self._cache.invalidate(_TAG)
            self._cache.keep_warm("models", self.read)

    async def read(self) -> Known:
        """As it was when it was last changed."""
        if self._known is None:
            return await self.read_now()
        return await self._known.get_or_load(_KEY, self.read_now, tags=(_TAG,))

    async def read_now(self) -> Known:
        """As the database has it."""
        async with self._database.read() as session:
            return Known(tuple(await repository.all_models(session)), await repository.all_rules(session))

    async def changed(self, context: Context) -> None:
        """A change of it is committed: have all nodes read it anew, and tell who runs models."""
        await self.forget()
        await context.broadcast(ModelsChanged())

    async def forget(self) -> None:
        """Read it anew when it is asked for next."""
        if self._cache is not None:
            await self._cache.invalidate(_TAG)
