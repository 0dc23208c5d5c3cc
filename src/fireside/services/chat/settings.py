"""What can be set about chat."""

from typing import ClassVar

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ChatSettings(BaseSettings):
    """Limits and times of conversations and answers."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_CHAT_", frozen=True)
    live: ClassVar = frozenset(
        {
            "max_answers_per_user",
            "max_answers",
            "max_answer_chars",
            "answer_timeout_s",
            "history_chars",
            "history_turns",
            "deleted_retention_days",
        }
    )

    max_answers_per_user: int = Field(default=4, gt=0, description="Answers of one user written at the same time.")
    max_answers: int = Field(default=200, gt=0, description="Answers one node writes at the same time.")
    max_answer_chars: int = Field(default=400_000, gt=0, description="Longest answer, in characters.")
    answer_timeout_s: float = Field(default=900.0, gt=0, description="Longest time one answer may take, in seconds.")
    flush_interval_s: float = Field(default=0.3, gt=0, description="Seconds between writes of running answers.")
    flush_events: int = Field(default=64, gt=0, description="Unwritten events of one answer that force a write.")
    lease_s: float = Field(
        default=60.0, gt=0, description="Seconds without a sign of life until an answer is given up."
    )
    drain_s: float = Field(default=20.0, ge=0, description="Seconds that running answers may finish in at shutdown.")
    stop_wait_s: float = Field(default=5.0, gt=0, description="Longest wait for another node to stop an answer.")
    poll_interval_s: float = Field(default=0.3, gt=0, description="Seconds between looks at another node's answer.")
    history_chars: int = Field(default=24_000, gt=0, description="Earlier turns known to an answer, in characters.")
    history_turns: int = Field(default=200, gt=0, description="Earlier turns known to an answer, at most.")
    deleted_retention_days: float = Field(
        default=30.0, ge=0, description="Days a deleted conversation can be restored."
    )
    response_retention_days: float = Field(
        default=30.0, gt=0, description="Days that an answer of the Responses API is kept for its client."
    )
    keep_alive_s: float = Field(
        default=15.0, gt=0, description="Seconds of silence until a stream shows that it lives."
    )
    sweep_interval_s: float = Field(default=600.0, gt=0, description="Seconds between looks for what to erase.")
