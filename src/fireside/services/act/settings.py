"""The settings of the act service."""

from typing import ClassVar

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ActSettings(BaseSettings):
    """How evidence is gathered."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_ACT_", frozen=True)
    live: ClassVar = frozenset({"search_limit", "search_timeout_s", "most_searches"})

    search_limit: int = Field(default=24, ge=1, le=100, description="Passages asked of each search.")
    search_timeout_s: float = Field(default=20.0, gt=0, description="Longest wait for one search, in seconds.")
    most_searches: int = Field(default=4, ge=1, le=10, description="Most queries searched for one question.")
