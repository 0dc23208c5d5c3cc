"""Whom credentials stand for: asked of the auth service once, then remembered for some seconds.

A signal, or a call within the process, makes the memory forget a user at once. So requests wait for no database, and a
change of rights counts from the next request on; if a signal between nodes is lost, after those seconds.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from fireside.contracts.auth import AUTHENTICATE, Authenticate, Authenticated
from fireside.core.clock import Clock
from fireside.core.identity import Identity, user_identity
from fireside.core.ids import UserId
from fireside.runtime.context import Context
from fireside.runtime.notices import Notice

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Known:
    """Whom a credential stands for, as long as that may be believed without asking again.

    Attributes:
        identity: The user with role and rights.
        user: The user's id as text, for counting.
        credential_id: Names the session or API key, for counting.
        until: In seconds of the monotonic clock.
        generation: How often anything had been forgotten when it was asked.
    """

    identity: Identity
    user: str
    credential_id: str
    until: float
    generation: int


@dataclass(frozen=True, slots=True)
class Watch:
    """Tells whether anything changed about a user. Close it."""

    changed: Notice
    close: Callable[[], None] = field(repr=False)


class Authenticator:
    """Finds out whom credentials stand for, and remembers it for a moment."""

    def __init__(self, *, clock: Clock, remember_s: float | Callable[[], float], most: int = _REMEMBERED) -> None:
        """Prepare.

        Args:
            clock: Tells the time.
            remember_s: Longest time that an answer is believed; a function where that may change.
            most: How many are remembered.
        """
        self._clock = clock
        self._remember_s = remember_s
        self._most = most
        self._known: dict[str, Known] = {}
        self._asking: dict[str, asyncio.Task[Known]] = {}
        self._watches: dict[UserId, set[Notice]] = {}
        self.generation = 0

    def remembered(self, credential: str) -> Known | None:
        """Whom a credential stands for, if that was found out a moment ago."""
        known = self._known.get(credential)
        if known is None or known.until > self._clock.monotonic():
            return known
        del self._known[credential]
        return None

    async def identify(self, context: Context, credential: str) -> Known:
        """Whom a credential stands for now. Requests that come while it is being found out wait for the same answer.

        Raises:
            UnauthenticatedError: For nobody.
        """
        known = self.remembered(credential)
        if known is not None:
            return known
        asking = self._asking.get(credential)
        if asking is None:
            asking = self._asking[credential] = asyncio.create_task(self._ask(context, credential, self.generation))
            asking.add_done_callback(lambda done: self._asked(credential, done))
        return await asyncio.shield(asking)  # whoever leaves must not take the answer from the others

    async def _ask(self, context: Context, credential: str, generation: int) -> Known:
        found = await context.as_service("gateway").call(AUTHENTICATE, Authenticate(credential=credential))
        known = self._made(found, generation)
        if generation == self.generation:
            self._remember(credential, known)
        return known

    def forget(self, user_id: UserId | None) -> None:
        """Ask again about this user's credentials, and have open streams and sockets do so; everyone's when None."""
        self.generation += 1
        self._asking.clear()  # what is being found out may be of yesterday: whoever comes now asks again
        gone = [text for text, known in self._known.items() if user_id is None or known.identity.user_id == user_id]
        for text in gone:
            del self._known[text]
        watched = [user_id] if user_id is not None else list(self._watches)
        for watched_id in watched:
            for changed in self._watches.get(watched_id, ()):
                changed.set()

    def watch(self, known: Known) -> Watch:
        """Be told when something about the user behind a long reply or a socket changes."""
        user_id, changed = known.identity.require_user(), Notice()
        self._watches.setdefault(user_id, set()).add(changed)
        if known.generation != self.generation:
            changed.set()
        return Watch(changed, lambda: self._unwatch(user_id, changed))

    def _asked(self, credential: str, done: asyncio.Task[Known]) -> None:
        if self._asking.get(credential) is done:
            del self._asking[credential]
        if not done.cancelled():
            done.exception()  # seen, even when everybody who waited has left

    def _unwatch(self, user_id: UserId, changed: Notice) -> None:
        watches = self._watches.get(user_id, set())
        watches.discard(changed)
        if not watches:
            self._watches.pop(user_id, None)

    def _made(self, found: Authenticated, generation: int) -> Known:
        identity = user_identity(
            found.user_id,
            roles=found.roles,
            permissions=found.permissions,
            session_id=found.session_id,
            api_key_id=found.api_key_id,
        )
        believed_s = self._remember_s() if callable(self._remember_s) else self._remember_s
        if found.expires_at is not None:
            believed_s = min(believed_s, (found.expires_at - self._clock.now()).total_seconds())
        credential_id = str(found.session_id or found.api_key_id)
        return Known(identity, str(found.user_id), credential_id, self._clock.monotonic() + believed_s, generation)

    def _remember(self, credential: str, known: Known) -> None:
        if len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[credential] = known
