"""The settings of the respond service."""

from typing import ClassVar

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RespondSettings(BaseSettings):
    """How answers are made."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_RESPOND_", frozen=True)
    live: ClassVar = frozenset(
        {
            "refusal_threshold",
            "most_units",
            "quoted_units",
            "quoted_chars",
            "least_coverage",
            "answer_tokens",
            "embed_timeout_s",
        }
    )

    refusal_threshold: float = Field(
        default=0.3,
        ge=0.0,
        le=1.0,
        description="Below this probability that the passages found answer the question, it is refused.",
    )
    most_units: int = Field(default=160, ge=10, le=1000, description="Most sentences compared with a question.")
    quoted_units: int = Field(default=6, ge=1, le=20, description="Most sentences quoted for one part of a question.")
    quoted_chars: int = Field(default=900, ge=100, description="Most characters quoted for one part of a question.")
    least_coverage: float = Field(
        default=0.6,
        ge=0.0,
        le=1.0,
        description="Share of a written sentence's words that a passage must hold to count as its source.",
    )
    answer_tokens: int = Field(default=512, ge=16, description="Longest written answer, in tokens.")
    embed_timeout_s: float = Field(default=15.0, gt=0, description="Longest wait for the embedder, in seconds.")
