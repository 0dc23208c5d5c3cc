"""What can be set about the door of the house: limits, trusted proxies, other sites."""

from ipaddress import ip_network
from typing import ClassVar

from limits import parse
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class GatewaySettings(BaseSettings):
    """Limits of requests, and whom to believe. A rate reads `600/minute` or `5 per 10 second`."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_GATEWAY_", frozen=True)
    live: ClassVar = frozenset(
        {
            "user_rate",
            "credential_rate",
            "anonymous_rate",
            "sign_in_rate",
            "failed_rate",
            "max_anonymous_body_bytes",
            "max_body_bytes",
            "max_upload_bytes",
            "remember_identity_s",
        }
    )

    user_rate: str = Field(default="6000/minute", description="Requests of one user, over all credentials.")
    credential_rate: str = Field(default="6000/minute", description="Requests with one API key or session.")
    anonymous_rate: str = Field(default="600/minute", description="Requests from one address without a credential.")
    sign_in_rate: str = Field(
        default="300/minute", description="Requests from one address to sign in, register or set up."
    )
    failed_rate: str = Field(
        default="30/minute", description="Wrong passwords, tokens and keys from one address, before it has to wait."
    )
    max_anonymous_body_bytes: int = Field(
        default=2**20, gt=0, description="Largest body of a request without a credential, in bytes."
    )
    max_body_bytes: int = Field(default=16 * 2**20, gt=0, description="Largest body of a request, in bytes.")
    max_upload_bytes: int = Field(default=2 * 2**30, gt=0, description="Largest body of an upload, in bytes.")
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#]*[^\s?#/])?$",
        description="Where people reach the page, for links in answers that other programs show; where such a program "
        "reached this server when empty.",
    )
    allowed_origins: tuple[str, ...] = Field(
        default=(), description="Other web sites whose pages may call with an API key; none by default."
    )
    remember_identity_s: float = Field(
        default=10.0, ge=0, description="Longest time a role can be out of date when a signal between nodes is lost."
    )

    @field_validator("user_rate", "credential_rate", "anonymous_rate", "sign_in_rate", "failed_rate")
    @classmethod
    def _is_a_rate(cls, rate: str) -> str:
        try:
            parse(rate)
        except ValueError as error:
            raise ValueError("a rate reads 600/minute or 5 per 10 second") from error
        return rate

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network, strict=False)
        return networks
