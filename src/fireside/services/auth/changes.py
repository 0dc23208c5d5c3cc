"""Telling everyone at once that what they remember of somebody's credentials no longer holds."""

from collections.abc import Callable, Sequence

from fireside.contracts.auth_facts import IdentityChanged
from fireside.core.ids import UserId
from fireside.runtime.caching import Cache, user_tag
from fireside.runtime.context import Context

Forget = Callable[[UserId | None], None]


class Changes:
    """Called after every commit that takes rights away.

    Whoever remembers identities in this process forgets before the change is answered, so that the next request sees
    it; other nodes hear of it by a signal. A signal may be lost, so they also find it in the list of what a shared
    cache forgot; and without one, nobody remembers an identity for long.
    """

    def __init__(self, forget: Sequence[Forget], cache: Cache | None = None) -> None:
        """Prepare.

        Args:
            forget: The listeners of this process; more may be added to the sequence until the service starts. Each
                gets a user, or None for everyone, and must return at once.
            cache: Forgets under the tag of the user, or under that of all users.
        """
        self._forget = forget
        self._cache = cache

    async def tell(self, context: Context, user_id: UserId | None) -> None:
        """Have a user's credentials looked up anew everywhere; everyone's when None."""
        for forget in self._forget:
            forget(user_id)
        await context.as_service("auth").broadcast(IdentityChanged(user_id=user_id))
        if self._cache is not None:
            await self._cache.invalidate(user_tag(user_id))
