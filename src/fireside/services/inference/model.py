"""Which models are served, by which server, and who answers for a name or a role. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fireside.contracts.inference import AnswerStyle, ModelKind, ModelRole
from fireside.ports.language_model import LanguageModelServer
from fireside.ports.model_engine import ModelEngine
from fireside.runtime.errors import PartOf
from fireside.services.inference.errors import UnknownModelError
from fireside.services.inference.fair_queue import FairQueue
from fireside.services.inference.provider_line import ProviderLine


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that users know as `name` and its server as `upstream_name`.

    `queue` hands out the places of its server. `engine` is set when the model runs on this machine, and needs
    `memory_bytes` there; `line` when a provider offers it. `answer_style` and `context_tokens` are facts about the
    model that decide how it is used.
    """

    name: str
    upstream_name: str
    server: LanguageModelServer
    queue: FairQueue
    answer_style: AnswerStyle
    context_tokens: int
    engine: ModelEngine | None = None
    size_bytes: int | None = None
    family: str | None = None
    memory_bytes: int = 0
    kind: ModelKind = "chat"
    line: ProviderLine | None = None

    @property
    def wait_s(self) -> float | None:
        """For how many seconds its provider is left alone; None when it may be asked."""
        return None if self.line is None else self.line.wait_s(self.upstream_name)

    @property
    def part(self) -> PartOf:
        """A block in which it is asked: what fails there does not speak against the other models."""
        return PartOf(f"model {self.name}")

    @property
    def is_there(self) -> bool:
        """Whether it reads what it is asked as soon as it is asked, and is not being loaded first."""
        return self.engine is None or self.engine.status.state == "ready"

    def require_ready(self) -> None:
        """Pass when it may be asked.

        Raises:
            ProviderRestingError: Its provider is left alone.
        """
        if self.line is not None:
            with self.part:
                self.line.require_ready(self.upstream_name)


def _no_chains() -> Mapping[ModelRole, Sequence[str]]:
    return {}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All served models; the order is the order of preference when nobody names one.

    Models of one name are equals, whoever offers them. `named_only` holds names of models that answer nobody who has
    not asked for them: they would have to be loaded, or the question would leave the house. `chains` names for a role
    the models that answer for it instead of the others, in order.
    """

    models: tuple[ServedModel, ...]
    named_only: frozenset[str] = frozenset()
    chains: Mapping[ModelRole, Sequence[str]] = field(default_factory=_no_chains)

    @property
    def distinct(self) -> tuple[ServedModel, ...]:
        """One of each name, in order."""
        return tuple(self.get(name) for name in self._names())

    def candidates(self, name: str | None, role: ModelRole = "answer") -> Sequence[ServedModel]:
        """Who may answer: the named model first, then those of the role in order as its fallbacks.

        Equals of a model stand side by side, those first that can answer soonest.

        Raises:
            UnknownModelError: There is no model of that name.
        """
        known = self._names()
        chain = [chosen for chosen in self.chains.get(role, ()) if chosen in known]
        names = chain or [other for other in known if other not in self.named_only]
        if name is not None:
            self.get(name)
            names = [name, *(other for other in names if other != name)]
        return [model for chosen in names for model in self.equals(chosen) if model.kind == "chat" or chosen == name]

    def equals(self, name: str) -> Sequence[ServedModel]:
        """The models of that name: those whose provider is well, the least busy, the one asked longest ago first.

        Raises:
            UnknownModelError: There is none.
        """
        found = [model for model in self.models if model.name == name]
        if len(found) < 2:
            return found or [self.get(name)]
        return sorted(found, key=lambda model: (model.wait_s or 0.0, model.queue.busy, model.queue.joined_at_s))

    def get(self, name: str) -> ServedModel:
        """The first model of that name.

        Raises:
            UnknownModelError: There is none.
        """
        for model in self.models:
            if model.name == name:
                return model
        known = ", ".join(self._names()) or "none"
        raise UnknownModelError(f"there is no model {name!r} (there is: {known})", model=name)

    def _names(self) -> list[str]:
        return list(dict.fromkeys(model.name for model in self.models))
