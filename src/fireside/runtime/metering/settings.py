"""What can be set about limits and prices."""

from decimal import Decimal
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fireside.contracts.usage import LimitScope, LimitUnit, LimitWindow

EACH = "*"


class Limit(BaseModel):
    """How much may be used in each hour, day or month (UTC), and by whom.

    `scope` and `who`: `user` and `key` mean one by its id, or each by itself with `*`; `role` means all together who
    have the role `who`, `member` each of them by themselves; `all` means everybody together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: LimitScope
    who: str = Field(default=EACH, min_length=1, max_length=100)
    model: str | None = Field(default=None, min_length=1, max_length=100)
    unit: LimitUnit
    window: LimitWindow
    amount: Decimal = Field(ge=0, le=10**12)

    @property
    def name(self) -> str:
        """Tells it from others: two limits of one name would contradict each other."""
        return "/".join((self.scope, self.who, self.model or EACH, self.unit, self.window))

    @model_validator(mode="after")
    def _says_whom(self) -> "Limit":
        if self.scope in {"role", "member"} and self.who == EACH:
            raise ValueError(f"{self.scope}: name the role in 'who'")
        if self.scope == "all" and self.who != EACH:
            raise ValueError("all: 'who' stays '*'")
        return self


class Price(BaseModel):
    """What a million tokens of a model cost; cached ones as much as others of the prompt when nothing is said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Decimal = Field(default=Decimal(0), ge=0, le=10**9)
    completion: Decimal = Field(default=Decimal(0), ge=0, le=10**9)
    cached: Decimal | None = Field(default=None, ge=0, le=10**9)


class MeteringSettings(BaseSettings):
    """How much of models may be used, and what they cost."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_USAGE_", frozen=True)
    live: ClassVar = frozenset({"limits", "prices", "currency", "answer_tokens"})

    limits: tuple[Limit, ...] = Field(
        default=(),
        description='Limits, as JSON: [{"scope": "user", "who": "*", "unit": "tokens", "window": "day", '
        '"amount": 100000}]; see docs/how-to/limits.md.',
    )
    prices: dict[str, Price] = Field(
        default_factory=dict,
        description='Price of a million tokens by model, as JSON: {"gpt-4o": {"prompt": 2.5, "completion": 10, '
        '"cached": 1.25}}; a model without one costs nothing, and usage says so.',
    )
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$", description="What prices and limits of cost are in.")
    answer_tokens: int = Field(
        default=1024, gt=0, description="Length that is assumed of an answer whose request sets none."
    )
    lease_s: float = Field(
        default=600.0, gt=0, description="When room is free again that a dead node held for a call, in s."
    )
    write_s: float = Field(
        default=0.25, gt=0, description="How long usage is gathered before it is written, in s; lost by a kill."
    )

    @field_validator("limits")
    @classmethod
    def _do_not_contradict(cls, limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
        names = [limit.name for limit in limits]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"there are two limits {twice[0]}")
        return limits
