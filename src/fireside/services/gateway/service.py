"""The gateway's part in the mesh: it hears when what it remembers of somebody's credentials no longer holds."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

from fireside.contracts.auth_facts import IdentityChanged
from fireside.core.ids import UserId
from fireside.runtime.context import Context
from fireside.runtime.health import Check
from fireside.runtime.mesh import Service, on_signal


class GatewayService(Service):
    """Listens for every node that takes requests from outside."""

    name: ClassVar[str] = "gateway"

    def __init__(
        self,
        *,
        forget: Sequence[Callable[[UserId | None], None]],
        checks: Mapping[str, Callable[[], Awaitable[Check]]] | None = None,
    ) -> None:
        """Prepare.

        Args:
            forget: What to call; more may be added to the sequence later.
            checks: Ways to look at what the gateway stands on, by a short name each.
        """
        self._forget = forget
        self._checks = checks or {}

    async def health(self) -> Mapping[str, Check]:
        """How well is what the gateway stands on."""
        return {name: await check() for name, check in self._checks.items()}

    @on_signal(IdentityChanged)
    async def forget(self, _context: Context, signal: IdentityChanged) -> None:
        """Have a user's credentials looked up anew; a change of rights may have happened on another node."""
        for forget in self._forget:
            forget(signal.user_id)
