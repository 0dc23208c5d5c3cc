"""Models as the explore service knows them. No I/O."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from fireside.contracts.explore import InstalledModel, ModelRule, RunOptions
from fireside.contracts.inference import AnswerStyle, ModelKind
from fireside.core.ids import JobId, UserId


def name_key(name: str) -> str:
    """By what models are told apart: their name, without case."""
    return name.lower()


@dataclass(frozen=True, slots=True)
class StoredModel:
    """An installed model, as it is stored."""

    id: UUID
    name: str
    digest: str
    size_bytes: int
    source: str
    architecture: str
    family: str
    quantisation: str | None
    parameters: int
    context_tokens: int | None
    kv_bytes_per_token: int | None
    answer_style: AnswerStyle
    licence: str | None
    languages: tuple[str, ...]
    categories: tuple[str, ...]
    tags: tuple[str, ...]
    job_id: JobId | None
    installed_by: UserId | None
    installed_at: datetime
    kind: ModelKind = "chat"

    def on_shelf(self, path: str, run: RunOptions) -> InstalledModel:
        """What an engine must know of it."""
        return InstalledModel(
            name=self.name,
            path=path,
            digest=self.digest,
            size_bytes=self.size_bytes,
            family=self.family,
            context_tokens=self.context_tokens,
            kv_bytes_per_token=self.kv_bytes_per_token,
            answer_style=self.answer_style,
            kind=self.kind,
            window_tokens=run.context_tokens,
            parallel=run.parallel,
        )


@dataclass(frozen=True, slots=True)
class StoredRule:
    """What was said about a model; None is not said."""

    name: str
    enabled: bool = True
    roles: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    is_default: bool = False
    run: RunOptions = field(default_factory=RunOptions)

    def as_rule(self) -> ModelRule:
        """The rule for others."""
        return ModelRule(
            name=self.name, enabled=self.enabled, roles=self.roles, is_default=self.is_default, run=self.run
        )
