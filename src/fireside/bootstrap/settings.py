"""The settings that choose the parts: where data lives, where the server listens, what stands behind each port."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What the process as a whole needs to know; each service has further settings of its own."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_", frozen=True, extra="ignore")

    home: Path = Field(default=Path("~/.fireside"), description="Folder of everything that this node stores.")
    host: str = Field(default="127.0.0.1", description="Address the server binds to.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port of the server; 0 for any free one.")
    namespace: str = Field(default="", description="Separates clusters that share a broker.")
    cluster_key: SecretStr = Field(
        default=SecretStr(""), description="Secret that lets a node take part; made in FIRESIDE_HOME when empty."
    )
    transport_url: str = Field(
        default="memory://",
        description="How nodes reach each other: memory:// (in one process), nats://, redis://, redis+sentinel://, "
        "redis+cluster://, amqp://, amqps://",
    )
    node_id: str = Field(
        default="",
        validate_default=True,
        description="Name of this node in the cluster, different from all others; made of host name and process id "
        "when empty, or `fireside` where there is no other node.",
    )
    event_stream_url: str = Field(
        default="outbox://",
        description="What carries facts: outbox:// (in process), amqp:// (RabbitMQ), nats:// (JetStream), redis:// "
        "(Streams; also rediss, redis+sentinel, redis+cluster).",
    )
    database_url: str = Field(default="sqlite://", description="Database of all services: sqlite:// (in FIRESIDE_HOME)")
    cache_url: str = Field(
        default="memory://",
        description="The cache: memory://, redis://, redis+sentinel://host:26379/service/0 or redis+cluster://",
    )
    limits_url: str = Field(
        default="",
        description="Where rate limits and limits of usage are counted, memory:// or redis://...; "
        "FIRESIDE_CACHE_URL when empty.",
    )
    conversations_url: str = Field(
        default="",
        description="Where conversations live: empty for the chat service's database, or mongodb://host/name",
    )
    objects_url: str = Field(default="file://", description="Uploaded files: file:// (in FIRESIDE_HOME)")

    @field_validator("node_id")
    @classmethod
    def _has_a_name(cls, name: str, info: ValidationInfo) -> str:
        alone = urlsplit(str(info.data.get("transport_url", ""))).scheme == "memory"
        return name or ("fireside" if alone else f"{socket.gethostname()}-{os.getpid()}")

    @property
    def folder(self) -> Path:
        """The data folder, absolute."""
        return self.home.expanduser().resolve()
