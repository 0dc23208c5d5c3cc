"""Errors of the machinery itself: what keeps a call from reaching its action, or an answer from coming back."""

from fireside.core.errors import FiresideError, UnavailableError


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
