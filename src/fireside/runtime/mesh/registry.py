"""What the other nodes are and offer. Knows nothing of how they are heard of."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Literal, cast

from fireside.core.clock import Clock
from fireside.runtime.mesh.packets import Info, Version

Change = Literal["new", "restarted", "updated", "same"]


@dataclass
class RemoteNode:
    """Another node.

    Attributes:
        info: What it announced last.
        trusted: Whether it showed that it has the cluster key.
        last_seen: When it last gave a sign of life, in seconds of the monotonic clock.
        cpu: Load of its machine, in percent; None when it does not say.
        latency_s: Round trip of the last ping; None before the first.
        node_id: Its name on the mesh.
    """

    info: Info
    trusted: bool
    last_seen: float
    cpu: float | None = None
    latency_s: float | None = None

    def __post_init__(self) -> None:
        """Keep what every call asks for at hand."""
        self.node_id = self.info.sender

    @property
    def version(self) -> Version:
        """The version of the protocol it speaks."""
        return self.info.ver

    @property
    def limits_streams(self) -> bool:
        """Whether it is told, and tells, how much of a stream was taken. Moleculer's own nodes do not."""
        return self.trusted and fireside_part(self.info.metadata).get("streams") == 1


def fireside_part(meta: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What Fireside adds to the metadata of a packet; empty when it is not from one of its nodes."""
    part: Any = meta.get("fireside") if meta else None
    return cast("Mapping[str, Any]", part) if isinstance(part, dict) else {}


class Registry:
    """The other nodes, and who of them offers what.

    Nodes without the cluster key count only for the actions and events that are allowed to be foreign.
    """

    def __init__(
        self, clock: Clock, *, foreign_actions: Sequence[str] = (), foreign_events: Sequence[str] = ()
    ) -> None:
        self._clock = clock
        self._foreign_actions, self._foreign_events = foreign_actions, foreign_events
        self._nodes: dict[str, RemoteNode] = {}
        self._by_action: dict[str, tuple[RemoteNode, ...]] = {}
        self._last_offered: dict[str, float] = {}
        self._subscriptions: list[tuple[str, str, RemoteNode]] = []

    @property
    def nodes(self) -> Sequence[RemoteNode]:
        """All nodes that are alive, by id."""
        return sorted(self._nodes.values(), key=lambda node: node.node_id)

    @property
    def actions(self) -> Mapping[str, Sequence[RemoteNode]]:
        """Who offers which action."""
        return self._by_action

    @property
    def subscriptions(self) -> Sequence[tuple[str, str, RemoteNode]]:
        """Who listens to what: pattern, group and node."""
        return self._subscriptions

    def find(self, node_id: str) -> RemoteNode | None:
        """A node that is alive."""
        return self._nodes.get(node_id)

    def learn(self, info: Info, *, trusted: bool) -> Change:
        """Take in what a node announced; what is older than what is known changes nothing."""
        known = self._nodes.get(info.sender)
        now = self._clock.monotonic()
        if known is not None and known.trusted and not trusted:
            return "same"  # someone without the cluster key uses the name of a node that has it
        if known is not None and known.info.instance_id == info.instance_id and known.trusted == trusted:
            known.last_seen = now
            if _sequence(info) <= _sequence(known.info):
                return "same"
            known.info = info
            self._index()
            return "updated"
        self._nodes[info.sender] = RemoteNode(info, trusted, now)
        self._index()
        return "new" if known is None else "restarted"

    def seen(self, node_id: str, *, cpu: float | None = None) -> bool:
        """Note a sign of life.

        Returns:
            Whether the node is known.
        """
        node = self._nodes.get(node_id)
        if node is None:
            return False
        node.last_seen = self._clock.monotonic()
        node.cpu = node.cpu if cpu is None else cpu
        return True

    def forget(self, node_id: str) -> bool:
        """Drop a node; whether it was known."""
        known = self._nodes.pop(node_id, None) is not None
        if known:
            self._index()
        return known

    def silent_for(self, timeout_s: float) -> Sequence[str]:
        """The nodes that gave no sign of life for so long."""
        oldest = self._clock.monotonic() - timeout_s
        return [node.node_id for node in self._nodes.values() if node.last_seen < oldest]

    def offering(self, action: str) -> Sequence[RemoteNode]:
        """The nodes that offer an action, by id."""
        return self._by_action.get(action, ())

    def offered_lately(self, action: str, within_s: float) -> bool:
        """Whether an action that nobody offers now was offered by some node a moment ago: it may be starting anew."""
        last = self._last_offered.get(action)
        return last is not None and self._clock.monotonic() - last <= within_s

    def listening(self, event: str) -> Mapping[str, Sequence[RemoteNode]]:
        """The nodes that listen to an event, by the group they listen in."""
        groups: dict[str, list[RemoteNode]] = defaultdict(list)
        for pattern, group, node in self._subscriptions:
            if _matches(pattern, event) and (node.trusted or allowed(event, self._foreign_events)):
                groups[group].append(node)
        return groups

    def _index(self) -> None:
        by_action: dict[str, list[RemoteNode]] = defaultdict(list)
        self._subscriptions = []
        for node in self.nodes:
            for service in node.info.services:
                for action in service.actions:
                    if not action.startswith("$") and (node.trusted or allowed(action, self._foreign_actions)):
                        by_action[action].append(node)
                for event, offer in service.events.items():
                    self._subscriptions.append((event, offer.group or service.name, node))
        now = self._clock.monotonic()
        self._last_offered |= dict.fromkeys(self._by_action.keys() - by_action.keys(), now)
        self._by_action = {action: tuple(nodes) for action, nodes in by_action.items()}


def allowed(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits one of the patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    """Moleculer's wildcards: `*` is anything but a dot, `**` anything, `?` one character but a dot."""
    expression = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", r"[^.]*").replace(r"\?", r"[^.]")
    return re.compile(expression + r"\Z", re.DOTALL)


def _matches(pattern: str, event: str) -> bool:
    return pattern == event or _pattern(pattern).match(event) is not None


def _sequence(info: Info) -> int:
    """How many times the node announced itself; one that does not count has done so once, and 0 is before the first."""
    return 1 if info.seq is None else info.seq
