"""Providers of models that administrators manage while everything runs, and which models answer for which role.

The explore service keeps both and puts them on its shelf; the inference service asks the providers. A key is sealed
where it enters Fireside and opened where it is used: nothing here ever carries it in plain.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID, uuid5

from pydantic import Field

from fireside.contracts.base import INTERNAL, Action, Contract, Event, Nothing
from fireside.contracts.inference import AnswerStyle, ModelRole
from fireside.contracts.model_addresses import ServerUrl
from fireside.contracts.permissions import ADMIN_READ, ADMIN_WRITE
from fireside.core.ids import UserId

ProviderKind = Literal[
    "openai", "azure", "gemini", "anthropic", "ollama", "groq", "mistral", "vllm", "llama-server", "compatible"
]
ProviderState = Literal["closed", "half_open", "open", "off"]
"""How one node finds a provider, from the best to the worst: the state of its breaker, `off` if it cannot be asked."""
PROVIDER_NAME_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9._:/-]{0,49}$"
PRESET_URLS: Mapping[ProviderKind, str] = {
    "openai": "https://api.openai.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "anthropic": "https://api.anthropic.com",
    "groq": "https://api.groq.com/openai",
    "mistral": "https://api.mistral.ai",
    "ollama": "http://127.0.0.1:11434",
    "vllm": "http://127.0.0.1:8000",
    "llama-server": "http://127.0.0.1:8080",
}
"""Where a provider of a kind usually is, without the /v1 at the end; the other kinds have no usual place."""
_PROVIDERS = UUID("0197f3a0-0000-7000-8000-00000000c0f4")


def key_place(name: str) -> str:
    """The place for which the key of the provider of that name is sealed."""
    return f"explore.providers:{name.lower()}"


class ProviderLimits(Contract):
    """How a provider is asked.

    `parallel`: requests at once on each node, any number if None. `first_word_s`: longest wait for the first piece of
    an answer, `answer_s` for all of it. `context_tokens`: the window of its models.
    """

    parallel: int | None = Field(default=None, gt=0)
    first_word_s: float = Field(default=45.0, gt=0)
    answer_s: float = Field(default=300.0, gt=0)
    context_tokens: int = Field(default=32768, gt=0)


class ProviderFacts(ProviderLimits):
    """A provider without its key. Several urls of one provider are equals: each offers all of its models."""

    name: str
    kind: ProviderKind
    urls: tuple[ServerUrl, ...] = Field(min_length=1, max_length=20)
    models: tuple[str, ...] = Field(default=(), max_length=500)
    answer_style: AnswerStyle = "write"
    enabled: bool = True


class ServedProvider(ProviderFacts):
    """A provider as who runs models must know it; `sealed_key` is empty when it has none."""

    sealed_key: bytes = b""


class SetProvider(ProviderFacts):
    """Make or replace the provider of that name.

    `models`: none to take those that it lists. `sealed_key`: None to keep the key, empty to have none; `key_end` is
    what may be shown of it.
    """

    name: str = Field(pattern=PROVIDER_NAME_PATTERN)
    sealed_key: bytes | None = None
    key_end: str = Field(default="", max_length=4)


class ProviderRef(Contract):
    """Which provider is meant."""

    name: str


class ProviderHealth(Contract):
    """How a provider does, as one node has seen it since it knows the provider.

    `state`: of several addresses the worst. `wait_s`: for how long it is not asked, at any address. `left_alone`: of
    several addresses those that are not asked now. `resting`: models that are left alone because of its rate limit,
    with the seconds left, at some address. `first_word_ms` and `tokens_per_s` are averages in which later answers count
    more.
    """

    name: str
    node_id: str
    state: ProviderState
    wait_s: float | None = None
    left_alone: tuple[str, ...] = ()
    resting: dict[str, float] = Field(default_factory=dict)
    running: int = 0
    answers: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    last_error: str = ""
    last_error_at: datetime | None = None
    last_answer_at: datetime | None = None
    first_word_ms: float | None = None
    tokens_per_s: float | None = None


class ProviderView(ProviderFacts):
    """A provider as administrators see it.

    `fixed`: it stands in the settings, and is changed there. `health`: as each node that asks it finds it; `state`: the
    worst of these, None where no node tells.
    """

    fixed: bool = False
    has_key: bool = False
    key_end: str = ""
    health: tuple[ProviderHealth, ...] = ()
    state: ProviderState | None = None


class Providers(Contract):
    """All providers, in order of name. `silent`: nodes that ask providers too, and did not tell how they find them."""

    items: tuple[ProviderView, ...]
    silent: tuple[str, ...] = ()


class NodeProviders(Contract):
    """The providers of the settings of one node, and how it finds every provider."""

    fixed: tuple[ProviderView, ...] = ()
    health: tuple[ProviderHealth, ...] = ()


class ProviderTrial(Contract):
    """What asking a provider for its models came to; `problem` says in words what is wrong."""

    ok: bool
    models: tuple[str, ...] = ()
    problem: str = ""
    elapsed_ms: float = 0.0


class RoleChains(Contract):
    """For each role the models that answer for it, the first that can. A role that is left out has no chain."""

    roles: dict[ModelRole, tuple[str, ...]] = Field(default_factory=lambda: dict[ModelRole, tuple[str, ...]]())


class ProviderSaved(Event):
    """A provider was made or changed; `key_changed` tells whether its key was too."""

    topic: ClassVar[str] = "explore.provider.saved"

    name: str
    kind: str
    urls: tuple[str, ...]
    models: tuple[str, ...]
    enabled: bool
    key_changed: bool
    by: UserId | None = None

    @property
    def aggregate_id(self) -> UUID:
        """The provider."""
        return uuid5(_PROVIDERS, self.name.lower())


class ProviderRemoved(Event):
    """A provider was removed."""

    topic: ClassVar[str] = "explore.provider.removed"

    name: str
    by: UserId | None = None

    @property
    def aggregate_id(self) -> UUID:
        """The provider."""
        return uuid5(_PROVIDERS, self.name.lower())


class RoleChainsChanged(Event):
    """Other models answer for the roles from now on."""

    topic: ClassVar[str] = "explore.roles.changed"

    roles: dict[str, tuple[str, ...]]
    by: UserId | None = None

    @property
    def aggregate_id(self) -> UUID:
        """The one list of roles."""
        return _PROVIDERS


LIST = Action("explore.providers", Nothing, Providers, access=ADMIN_READ, idempotent=True)
SET = Action("explore.set_provider", SetProvider, ProviderView, access=ADMIN_WRITE)
REMOVE = Action("explore.remove_provider", ProviderRef, Nothing, access=ADMIN_WRITE)
TEST = Action("explore.test_provider", SetProvider, ProviderTrial, access=ADMIN_WRITE)
ROLES = Action("explore.roles", Nothing, RoleChains, access=ADMIN_READ, idempotent=True)
SET_ROLES = Action("explore.set_roles", RoleChains, RoleChains, access=ADMIN_WRITE)
NODE = Action("inference.providers", Nothing, NodeProviders, access=INTERNAL, idempotent=True, timeout_s=3.0)
TRY = Action("inference.try_provider", ServedProvider, ProviderTrial, access=INTERNAL, idempotent=True)
"""Ask a provider for its models, and say in words what is wrong."""
