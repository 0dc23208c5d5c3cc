"""How a node follows live settings."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class FollowingSettings(BaseSettings):
    """How a node follows the live settings that the admin service keeps."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_SETTINGS_", frozen=True)

    follow: bool = Field(
        default=True,
        description="Whether live settings hold on this node; false starts it without them, to repair a wrong one.",
    )
    reread_s: float = Field(
        default=10.0, gt=0, description="Longest time until a change is seen whose signal was lost, in seconds."
    )
