"""Who and what caused a change, as it is written beside every fact and job."""

from dataclasses import dataclass

from fireside.core.identity import Identity
from fireside.core.ids import UserId
from fireside.runtime.context import Context
from fireside.runtime.logging import current_call


@dataclass(frozen=True, slots=True)
class Origin:
    """The cause of a change.

    Attributes:
        actor_id: The user who acts or on whose behalf a service does; None when no user does.
        request_id: The request; empty when there is none.
    """

    actor_id: UserId | None = None
    request_id: str = ""


NO_ORIGIN = Origin()


def origin_of(context: Context | None) -> Origin:
    """The cause named by a context; without one, the call that the running task works on."""
    cause = context or current_call.get()
    return NO_ORIGIN if cause is None else Origin(cause.identity.user_id, cause.request_id)


def owner_identity(owner_id: UserId | None) -> Identity:
    """The identity of a user of whom only the id is known; nobody when there is none."""
    return Identity(kind="anonymous") if owner_id is None else Identity(kind="user", user_id=owner_id)
