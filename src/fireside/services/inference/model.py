"""Which models are served, by which server, and who answers for a name or a role. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from fireside.contracts.inference import AnswerStyle
from fireside.ports.language_model import LanguageModelServer
from fireside.ports.model_engine import ModelEngine
from fireside.services.inference.errors import UnknownModelError
from fireside.services.inference.fair_queue import FairQueue


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that users know as `name` and its server as `upstream_name`.

    `queue` hands out the places of its server. `engine` is set when the model runs on this machine, and needs
    `memory_bytes` there. `answer_style` and `context_tokens` are facts about the model that decide how it is used.
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


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All served models; the order is the order of preference when nobody names one.

    `named_only` holds names of models that answer nobody who has not asked for them: they would have to be loaded.
    """

    models: tuple[ServedModel, ...]
    named_only: frozenset[str] = frozenset()

    def candidates(self, name: str | None) -> Sequence[ServedModel]:
        """Who may answer: the named model first, then the others in order as its fallbacks.

        Raises:
            UnknownModelError: There is no model of that name.
        """
        others = [model for model in self.models if model.name not in self.named_only]
        if name is None:
            return others
        first = self.get(name)
        return [first, *(model for model in others if model is not first)]

    def get(self, name: str) -> ServedModel:
        """The model of that name.

        Raises:
            UnknownModelError: There is none.
        """
        for model in self.models:
            if model.name == name:
                return model
        known = ", ".join(model.name for model in self.models) or "none"
        raise UnknownModelError(f"there is no model {name!r} (there is: {known})", model=name)
