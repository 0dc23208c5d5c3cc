"""What can be set about accounts, sessions and keys."""

from typing import ClassVar

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fireside.contracts.auth import Registration
from fireside.contracts.permissions import ADMIN


class AuthSettings(BaseSettings):
    """Limits and times of accounts, sessions and keys."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_AUTH_", frozen=True, populate_by_name=True)
    live: ClassVar = frozenset(
        {
            "registration",
            "refresh_token_days",
            "one_time_link_hours",
            "password_min_chars",
            "free_attempts",
            "free_attempts_account",
            "first_delay_s",
            "longest_delay_s",
            "forget_failures_s",
            "max_keys_per_user",
        }
    )

    admin_email: str = Field(
        default="",
        validation_alias="FIRESIDE_ADMIN_EMAIL",
        description="Address of the first administrator, made at the first start instead of a set-up link.",
    )
    admin_password: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="FIRESIDE_ADMIN_PASSWORD",
        description="Password of the first administrator.",
    )
    registration: Registration = Field(
        default="open",
        description="Who may register once there is an administrator: everyone, those invited, or nobody.",
    )
    registered_role: str = Field(default="user", description="Role of those who register without an invitation.")
    issuer: str = Field(
        default="http://127.0.0.1:8080",
        description="Public URL of this installation: issuer of its access tokens, and base of the OpenID documents.",
    )
    audience: str = Field(default="fireside", description="For whom access tokens are made; others are refused.")
    access_token_s: int = Field(default=900, gt=0, description="Life of an access token, in seconds.")
    refresh_token_days: float = Field(default=30.0, gt=0, description="Days a session lives without being used.")
    one_time_link_hours: float = Field(default=168.0, gt=0, description="Hours an invitation works.")
    password_min_chars: int = Field(default=8, ge=8, le=128, description="Shortest password, in characters.")
    hashes_at_once: int = Field(default=2, gt=0, description="Passwords hashed at the same time; each takes 19 MiB.")
    free_attempts: int = Field(
        default=10, gt=0, description="Wrong passwords for one account from one address before further ones must wait."
    )
    free_attempts_account: int = Field(
        default=100, gt=0, description="Wrong passwords for one account from anywhere before further ones must wait."
    )
    first_delay_s: float = Field(default=30.0, gt=0, description="First wait, in seconds; doubles with each failure.")
    longest_delay_s: float = Field(default=900.0, gt=0, description="Longest wait after a failure, in seconds.")
    forget_failures_s: float = Field(default=86_400.0, gt=0, description="Seconds after which failures are forgotten.")
    max_keys_per_user: int = Field(default=50, gt=0, description="API keys one user may have.")
    signing_key_days: float = Field(
        default=90.0, gt=0, description="Days after which a start makes a new key for access tokens."
    )
    housekeeping_s: float = Field(default=60.0, gt=0, description="Seconds between writes of when keys were used.")

    @field_validator("registered_role")
    @classmethod
    def _never_administrators(cls, role: str) -> str:
        if role == ADMIN:
            raise ValueError("whoever registers must not become an administrator")
        return role
