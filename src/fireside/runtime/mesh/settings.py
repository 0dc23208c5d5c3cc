"""Settings of a node's part in the mesh."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class MeshSettings(BaseSettings):
    """How a node finds others and what it expects of them."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_MESH_", frozen=True)

    cluster_key: SecretStr = Field(
        default=SecretStr(""),
        description="Secret that all nodes share; a node without it can neither call nor serve the others.",
    )
    protocol_version: Literal["4", "5"] = Field(
        default="4",
        description="Moleculer protocol of what is sent to all nodes: 4 for moleculer 0.14, 5 for 0.15. Both are read.",
    )
    heartbeat_interval_s: float = Field(default=5.0, gt=0, description="Time between two signs of life, in seconds.")
    heartbeat_timeout_s: float = Field(
        default=15.0, gt=0, description="A node that gave no sign of life for so many seconds is taken for dead."
    )
    absence_wait_s: float = Field(
        default=10.0,
        ge=0,
        description="How long a call waits for an action whose last node has just gone, in seconds: it may be starting "
        "anew.",
    )
    prefer_local: bool = Field(default=True, description="Whether what is offered on this node is called on it.")
    balancing: Literal["round_robin", "latency"] = Field(
        default="round_robin",
        description="How one of several nodes is chosen: in turn, or the nearer of two drawn by lot.",
    )
    shard_keys: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="Actions whose calls always go to the same node for the same value of a field of the request: "
        'JSON such as {"chat.ask": "conversation_id"}.',
    )
    stream_window: int = Field(
        default=64, ge=2, description="Items of a stream that may be on their way before the consumer has taken them."
    )
    signal_mailbox: int = Field(
        default=1000, ge=1, description="Signals that may wait for one handler; the oldest is dropped beyond."
    )
    foreign_actions: tuple[str, ...] = Field(
        default=(),
        description="Actions that nodes without the cluster key may serve (`js.*`); they see no token.",
    )
    foreign_events: tuple[str, ...] = Field(
        default=(), description="Events exchanged with nodes without the cluster key (`js.*`)."
    )
    stop_timeout_s: float = Field(
        default=30.0, ge=0, description="How long a stopping node waits for calls it is working on, in seconds."
    )
