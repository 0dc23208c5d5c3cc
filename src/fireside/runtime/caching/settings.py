"""The settings of the cache: in what form values are kept, and how many. How long, their services say."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CacheSettings(BaseSettings):
    """How results are kept. Where, says FIRESIDE_CACHE_URL; how long, the services say."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_CACHE_", frozen=True)

    compress_above_bytes: int = Field(default=4096, ge=0, description="Longer values are compressed, in bytes.")
    max_entries: int = Field(default=50_000, gt=0, description="Most values that one node keeps in its memory.")
    max_bytes: int = Field(default=64 * 2**20, gt=0, description="Most bytes that one node keeps in its memory.")
