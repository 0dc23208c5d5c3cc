"""Errors of the machinery itself: what keeps a call from reaching its action, or an answer from coming back."""

from types import TracebackType

from fireside.core.errors import FiresideError, UnavailableError

FAILED_PART = "failed_part"
"""The detail that names the part behind an action that failed; for the nodes of the mesh, and not for clients."""


class RefusedError(UnavailableError):
    """The call was refused before anything was done, so that it may safely be made elsewhere.

    `details["action"]` names the action that was refused; see `was_refused`.
    """

    code = "refused"


class ActionUnavailableError(RefusedError):
    """No node offers this action at the moment."""

    code = "action_unavailable"


class NodeLeavingError(RefusedError):
    """The node is about to stop and takes no new calls."""

    code = "node_leaving"


class OverloadedError(RefusedError):
    """As many calls as allowed are being worked on, and as many are waiting."""

    code = "overloaded"


class CircuitOpenError(RefusedError):
    """The action failed too often on this node and is left alone for a while."""

    code = "circuit_open"


class NodeLostError(UnavailableError):
    """The node went away before it had answered."""

    code = "node_lost"


class NodeStoppedError(UnavailableError):
    """The node had to stop before the call, or the stream, had ended."""

    code = "node_stopped"


def was_refused(error: FiresideError, action: str) -> bool:
    """Whether the error says that this very action was not begun.

    An error of the same kind from a call that the action made itself does not count: the action had begun.
    """
    return isinstance(error, RefusedError) and error.details.get("action") == action


class PartOf:
    """A block in which a part behind an action is used, such as one of several servers.

    What fails in it is marked with the part, and then does not speak against the action, which other parts can serve.
    """

    __slots__ = ("_part",)

    def __init__(self, part: str) -> None:
        """Name the part."""
        self._part = part

    def __enter__(self) -> None:
        """Use it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Mark the error; those of the caller's making stay as they are."""
        if isinstance(error, FiresideError) and error.status >= 500:
            error.details.setdefault(FAILED_PART, self._part)


def failed_part(error: FiresideError) -> str | None:
    """The part behind an action that failed, also on another node; None when it was the action itself."""
    return error.details.get(FAILED_PART)
