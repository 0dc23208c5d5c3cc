"""The settings of the think service."""

from typing import ClassVar

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ThinkSettings(BaseSettings):
    """How questions are understood."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_THINK_", frozen=True)
    live: ClassVar = frozenset({"default_language", "follow_up_reach"})

    default_language: str = Field(
        default="en",
        pattern=r"^[a-z]{2}$",
        description="Language assumed when neither a message nor those before it tell theirs, ISO 639-1.",
    )
    follow_up_reach: int = Field(
        default=2, ge=1, le=5, description="Most earlier questions that a follow-up question is joined with."
    )
