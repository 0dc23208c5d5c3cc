"""The settings of the vectors service."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class VectorsSettings(BaseSettings):
    """Where the search index is."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_VECTORS_", frozen=True)

    url: str = Field(
        default="edge://",
        description="edge:// for the index in the data folder, http(s)://host:6333 for a Qdrant server, "
        "qdrant-local:// for tests.",
    )
    api_key: SecretStr = Field(default=SecretStr(""), description="The Qdrant server's key; empty for none.")
    prefix: str = Field(
        default="fireside",
        pattern="^[a-z0-9][a-z0-9_-]*$",
        description="Begins the names of the collections on a Qdrant server, so that installations can share one.",
    )
