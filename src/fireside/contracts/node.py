"""What every node tells of itself and of the others it sees; the names are those of Moleculer's `$node` service."""

from typing import Literal

from fireside.contracts.base import INTERNAL, Action, Contract, Nothing


class NodeView(Contract):
    """A node as another sees it.

    `trusted` nodes have the cluster key. `last_seen_s` is how long ago it gave a sign of life, `latency_ms` the round
    trip of the last ping.
    """

    id: str
    local: bool
    trusted: bool
    client: str
    services: tuple[str, ...]
    last_seen_s: float
    cpu: float | None = None
    latency_ms: float | None = None


class OfferView(Contract):
    """A service, action or event, and the nodes that have it."""

    name: str
    nodes: tuple[str, ...]


class CheckView(Contract):
    """How well one part of a node is."""

    name: str
    status: Literal["ok", "degraded", "failed"]
    detail: str = ""
    latency_ms: float | None = None


class HealthView(Contract):
    """How well a node is; `status` is the worst of its checks."""

    node: str
    status: Literal["ok", "degraded", "failed"]
    checks: tuple[CheckView, ...]


class ClusterNode(NodeView):
    """A node with how well it says it is, and what it offers though it is not Fireside's own."""

    status: Literal["ok", "degraded", "failed"]
    checks: tuple[CheckView, ...] = ()
    actions: tuple[str, ...] = ()


class Cluster(Contract):
    """All nodes, the asked one first."""

    nodes: tuple[ClusterNode, ...]


LIST = Action[Nothing, tuple[NodeView, ...]]("$node.list", Nothing, tuple[NodeView, ...], access=INTERNAL)
"""The nodes that the asked one sees, itself included."""
SERVICES = Action[Nothing, tuple[OfferView, ...]]("$node.services", Nothing, tuple[OfferView, ...], access=INTERNAL)
"""The services of all nodes."""
ACTIONS = Action[Nothing, tuple[OfferView, ...]]("$node.actions", Nothing, tuple[OfferView, ...], access=INTERNAL)
"""The actions of all nodes, but for those of `$node`, which each node answers for itself."""
EVENTS = Action[Nothing, tuple[OfferView, ...]]("$node.events", Nothing, tuple[OfferView, ...], access=INTERNAL)
"""The events that any node listens to."""
HEALTH = Action[Nothing, HealthView]("$node.health", Nothing, HealthView, access=INTERNAL, timeout_s=3.0)
"""How well the asked node is."""
CLUSTER = Action("$node.cluster", Nothing, Cluster, access=INTERNAL)
"""How well every node is: each is asked, and one that does not answer soon has failed."""
