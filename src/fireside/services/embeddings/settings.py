"""The settings of the embeddings service."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class EmbeddingsSettings(BaseSettings):
    """How texts are embedded."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_EMBEDDINGS_", frozen=True)

    threads: int = Field(default=0, ge=0, description="Processor threads of the embedding model; 0 lets it choose.")
    warm_up: bool = Field(default=True, description="Load the model when the node starts, not with the first text.")
    cache_entries: int = Field(default=10_000, ge=0, description="Most texts whose vectors are kept in memory.")
    cache_ttl_s: float = Field(default=86_400.0, gt=0, description="How long a vector is kept, in seconds.")
