"""Choosing one of the nodes that offer an action."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from random import Random
from typing import Protocol

from fireside.runtime.mesh.settings import MeshSettings


class Strategy(Protocol):
    """Chooses a node."""

    def choose(self, name: str, node_ids: Sequence[str]) -> str:
        """One of the nodes, of which there is at least one, for a call of the action or event `name`."""
        ...


class RoundRobin:
    """Each node in turn, for each action by itself."""

    def __init__(self) -> None:
        self._turns: dict[str, int] = defaultdict(int)

    def choose(self, name: str, node_ids: Sequence[str]) -> str:
        """The node whose turn it is."""
        turn = self._turns[name]
        self._turns[name] = turn + 1
        return node_ids[turn % len(node_ids)]


class Nearest:
    """The nearer of two drawn by lot, so that not all callers rush to the one nearest of all.

    A node whose distance is not known yet counts as near. (Mitzenmacher, The Power of Two Choices in Randomized Load
    Balancing, IEEE TPDS 12(10), 2001.)
    """

    def __init__(self, latency_s: Callable[[str], float | None], random: Random) -> None:
        self._latency_s, self._random = latency_s, random

    def choose(self, name: str, node_ids: Sequence[str]) -> str:
        """The nearer of two."""
        del name
        drawn = self._random.sample(node_ids, min(2, len(node_ids)))
        return min(drawn, key=lambda node_id: self._latency_s(node_id) or 0.0)


def shard_owner(key: str, node_ids: Sequence[str]) -> str:
    """The node that owns a key: the same whoever asks, and when nodes come or go only their own keys move.

    Rendezvous hashing (Thaler and Ravishankar, IEEE/ACM Transactions on Networking 6(1), 1998).
    """
    return max(node_ids, key=lambda node_id: blake2b(f"{node_id}\n{key}".encode(), digest_size=8).digest())


class Balancer:
    """Chooses nodes as the settings say."""

    def __init__(
        self, settings: MeshSettings, *, latency_s: Callable[[str], float | None], random: Random | None = None
    ) -> None:
        self._shard_keys = settings.shard_keys
        self._strategy: Strategy = (
            Nearest(latency_s, random or Random()) if settings.balancing == "latency" else RoundRobin()  # noqa: S311 - no secret hangs on it
        )

    def is_sharded(self, action: str) -> bool:
        """Whether the request decides which node is called."""
        return action in self._shard_keys

    def choose(self, name: str, node_ids: Sequence[str], request: object = None) -> str:
        """One of the nodes, of which there is at least one.

        Args:
            name: Of the action or event.
            node_ids: Who offers it, in an order that all callers share.
            request: What the action is called with; its shard key decides where one is set.
        """
        field = self._shard_keys.get(name)
        if field is not None:
            return shard_owner(str(getattr(request, field, None)), node_ids)
        return node_ids[0] if len(node_ids) == 1 else self._strategy.choose(name, node_ids)
