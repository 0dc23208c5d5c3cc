"""Answers equal requests of one identity from the cache, for actions whose contract allows it."""

from hashlib import sha256
from typing import Any, ClassVar

from fireside.contracts.base import Contract
from fireside.core.identity import Identity
from fireside.runtime.caching import Cache, user_tag
from fireside.runtime.context import Context
from fireside.runtime.middleware.base import Handler, Middleware, Place, Target


class CacheMiddleware(Middleware):
    """Looks up actions that have `cache_ttl_s`; equal requests that run at once share one run.

    Entries carry the tags `action:<name>`, `service:<name>` and `user:<id>` to be invalidated by. What one identity
    may see is never given to another: the key holds who asks and with which permissions.
    """

    places: ClassVar = frozenset({Place.LOCAL, Place.SERVE})

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def wrap(self, target: Target, handler: Handler) -> Handler:
        """Get the response or load it; actions without `cache_ttl_s` are left alone."""
        action = target.action
        if action.cache_ttl_s is None:
            return handler
        responses = self._cache.namespace(action.name, action.response_adapter, ttl_s=action.cache_ttl_s)
        own_tags = (f"action:{action.name}", f"service:{action.service}")

        async def cached(context: Context, request: Any) -> Any:
            identity = context.identity
            tags = own_tags if identity.user_id is None else (*own_tags, user_tag(identity.user_id))
            return await responses.get_or_load(
                request_key(identity, request), lambda: handler(context, request), tags=tags
            )

        return cached


def request_key(identity: Identity, request: Contract) -> str:
    """The same for equal requests of one identity, different for all else."""
    who = (identity.kind, identity.name, identity.user_id, sorted(identity.roles), sorted(identity.permissions))
    return sha256(f"{who}\n{request.model_dump_json()}".encode()).hexdigest()
