"""What nodes show each other: with each call who asks, and with their announcement that they belong to the cluster.

Both are tokens (see `tokens`) in the metadata of Moleculer's packets, under the key `fireside`.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from fireside.core.clock import Clock
from fireside.core.identity import Identity
from fireside.runtime.context import Context
from fireside.runtime.mesh.packets import Info
from fireside.runtime.mesh.registry import fireside_part
from fireside.runtime.mesh.settings import MeshSettings
from fireside.runtime.mesh.tokens import InvalidTokenError, TokenBox, identity_claims, identity_from_claims

log = structlog.stdlib.get_logger(__name__)

SIGNALS = "signals"
"""Audience of the passes that accompany signals."""
NODES = "nodes"
"""Audience of the passes with which nodes announce themselves."""


class Passes:
    """Makes and reads the tokens of one node."""

    def __init__(self, settings: MeshSettings, clock: Clock) -> None:
        self._calls = TokenBox(settings.cluster_key, purpose="call", clock=clock, read=identity_from_claims)
        self._nodes = TokenBox(settings.cluster_key, purpose="node", clock=clock, read=_node_from_claims)

    def for_call(self, context: Context, audience: str) -> dict[str, Any]:
        """What accompanies a call: who asks, for the eyes of one service, and the place in its trace."""
        part = {"token": self._calls.mint(context.identity, identity_claims, audience=audience)}
        if context.traceparent:
            part["traceparent"] = context.traceparent
        return part

    def find_identity(self, part: Mapping[str, Any], audience: str) -> Identity | None:
        """Who asks, by our part of a packet's metadata; None when no part of the cluster vouches for it."""
        token = part.get("token")
        if token is None:
            return None
        try:
            return self._calls.verify(token, audience=audience)
        except InvalidTokenError as error:
            log.warning("call_token_refused", audience=audience, detail=error.message)
            return None

    def for_node(self, node_id: str, instance_id: str) -> str | None:
        """What shows that a node has the cluster key."""
        return self._nodes.mint((node_id, instance_id), _node_claims, audience=NODES)

    def is_ours(self, info: Info) -> bool:
        """Whether the node that announces itself has the cluster key."""
        token = fireside_part(info.metadata).get("token")
        if token is None:
            return False
        try:
            return self._nodes.verify(token, audience=NODES) == (info.sender, info.instance_id)
        except InvalidTokenError as error:
            log.warning("node_token_refused", node_id=info.sender, detail=error.message)
            return False


def _node_claims(node: tuple[str, str]) -> dict[str, Any]:
    return {"node": node[0], "instance": node[1]}


def _node_from_claims(claims: dict[str, Any]) -> tuple[str, str]:
    return claims["node"], claims["instance"]
