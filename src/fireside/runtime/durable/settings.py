"""What can be set about the durable core."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DurableSettings(BaseSettings):
    """Databases, the relay of facts, jobs: times and limits. The same for every service of a node."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_DURABLE_", frozen=True)

    node_id: str = Field(
        default="local",
        min_length=1,
        description="Under which name this node finds its own interrupted jobs: the same after a restart and different "
        "on every node; `FIRESIDE_NODE_ID` when not set.",
    )
    busy_timeout_s: float = Field(default=5.0, gt=0, description="Longest wait for another program's lock on SQLite.")
    readers: int = Field(default=4, ge=1, description="Most connections for reading, for each service.")
    writers: int = Field(
        default=4, ge=1, description="Most transactions at once, for each service, on PostgreSQL; one on SQLite."
    )
    pool_wait_s: float = Field(
        default=10.0, gt=0, description="Longest wait for a connection while all are in use, before the call fails."
    )
    pre_ping: bool = Field(
        default=True, description="Whether a connection is tried before it is used again, on PostgreSQL."
    )
    connect_timeout_s: float = Field(default=5.0, gt=0, description="Longest wait for a connection to PostgreSQL.")
    start_wait_s: float = Field(
        default=30.0, ge=0, description="How long a start waits for a PostgreSQL server that is not there yet."
    )
    statement_timeout_s: float = Field(default=30.0, ge=0, description="Longest statement on PostgreSQL; 0 for any.")
    lock_timeout_s: float = Field(
        default=10.0, ge=0, description="Longest wait for another transaction's lock on PostgreSQL; 0 for any."
    )
    idle_transaction_timeout_s: float = Field(
        default=60.0, ge=0, description="PostgreSQL ends a transaction that does nothing for so long; 0 for never."
    )
    close_s: float = Field(
        default=5.0, ge=0, description="How long closing waits for sessions in use before their connections are cut."
    )
    poll_s: float = Field(
        default=2.0,
        gt=0,
        description="How often to look for work that other nodes left; on SQLite, with one node, 15 times as seldom.",
    )
    batch: int = Field(default=200, ge=1, description="Most facts that are handed on at once.")
    retry_s: float = Field(default=1.0, gt=0, description="Wait before the second attempt; doubles each time.")
    max_retry_s: float = Field(default=300.0, gt=0, description="Longest wait between two attempts.")
    event_attempts: int = Field(default=12, ge=1, description="Attempts at handling a fact before it is given up.")
    event_timeout_s: float = Field(default=30.0, gt=0, description="Longest time for handling one fact.")
    lease_s: float = Field(default=30.0, gt=0, description="How long a silent node keeps its running jobs.")
    heartbeat_s: float = Field(default=2.0, gt=0, description="How often a node renews the leases of its jobs.")
    cancel_grace_s: float = Field(
        default=5.0, ge=0, description="How long a cancelled job may take to end by itself before it is stopped."
    )
    stop_s: float = Field(default=10.0, gt=0, description="How long a stopping node waits for its jobs to stop.")
    progress_s: float = Field(default=0.25, ge=0, description="Shortest time between two stored steps of progress.")
    interruptions: int = Field(
        default=20, ge=1, description="How often a job may die with its process before it is given up."
    )
