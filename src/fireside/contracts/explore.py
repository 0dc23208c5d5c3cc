"""What the explore service offers: the models that are here, those that can be installed, installing and removing.

It is the one place that knows who may use which model; the inference service asks for that and for the files of
installed models with `explore.shelf`, and again after every `ModelsChanged`.
"""

from collections.abc import Collection
from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from fireside.contracts.base import INTERNAL, Action, Contract, Event, Nothing, Signal
from fireside.contracts.inference import AnswerStyle, ModelKind, ModelRole, ModelState
from fireside.contracts.permissions import MODELS_MANAGE, MODELS_USE
from fireside.contracts.providers import ServedProvider
from fireside.core.ids import JobId, UserId

Tag = str
ModelName = str
NAME_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9._:-]{0,99}$"


class RunOptions(Contract):
    """How engines run a model; None leaves a choice to the settings of the inference service.

    `pinned`: loaded when a node starts and never unloaded. `context_tokens` is its window, `parallel` how many requests
    are answered at once, `keep_alive_s` how long it stays without one. Of models that nobody uses, those of low
    `priority` make room first.
    """

    pinned: bool = False
    context_tokens: int | None = Field(default=None, ge=256, le=2**24)
    parallel: int | None = Field(default=None, ge=1, le=256)
    keep_alive_s: float | None = Field(default=None, ge=0)
    priority: Literal["low", "normal", "high"] = "normal"


class Fit(Contract):
    """Whether a model runs on the machine of the explore service.

    `needed_bytes` is memory for weights, for the context's keys and values, and for computing; `context_tokens` is the
    window it was counted for. `fits` is None while the model's size is not known.
    """

    fits: bool | None
    reason: str = ""
    needed_bytes: int | None = None
    memory_bytes: int
    free_disk_bytes: int
    context_tokens: int


class ModelView(Contract):
    """A model that is here.

    `state`: `installed` for a file that no engine has loaded; the others as the inference service says. `roles` names
    who may use it, None everybody. `tokens_per_s` and `answers` are what the engine has seen since its start.
    """

    name: ModelName
    state: ModelState | Literal["installed", "missing"]
    is_default: bool = False
    enabled: bool = True
    roles: tuple[str, ...] | None = None
    tags: tuple[Tag, ...] = ()
    detail: str = ""
    kind: ModelKind = "chat"
    answer_style: AnswerStyle = "write"
    context_tokens: int | None = None
    family: str | None = None
    architecture: str | None = None
    quantisation: str | None = None
    parameters: int | None = None
    size_bytes: int | None = None
    licence: str | None = None
    languages: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    source: str | None = None
    digest: str | None = None
    installed_at: datetime | None = None
    tokens_per_s: float | None = None
    answers: int = 0
    fit: Fit | None = None
    run: RunOptions = RunOptions()


class ListModels(Contract):
    """The models here that the caller may use, in order of name; `everything` shows managers the others too."""

    family: str | None = None
    tag: Tag | None = None
    everything: bool = False
    cursor: str | None = None
    limit: int = Field(default=20, ge=1, le=100)


class ModelPage(Contract):
    """Models; `next_cursor` is None on the last page."""

    items: tuple[ModelView, ...]
    next_cursor: str | None = None


class CatalogueItem(Contract):
    """A model that can be installed with its `source`.

    `size_bytes` is exact or, with `size_is_estimate`, worked out of parameters and quantisation. `sha256` is None where
    the source itself tells it when the model is installed.
    """

    name: str
    title: str
    source: str
    description: str = ""
    family: str | None = None
    parameters: int | None = None
    quantisation: str | None = None
    size_bytes: int | None = None
    size_is_estimate: bool = False
    sha256: str | None = None
    licence: str | None = None
    languages: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    tags: tuple[Tag, ...] = ()
    context_tokens: int | None = None
    downloads: int | None = None
    installed: bool = False
    fit: Fit | None = None


class SearchCatalogue(Contract):
    """What to look for: every word, and exactly this family, tag, category and language.

    `origin`: `curated` is the list that comes with Fireside; `hf` asks the Hugging Face Hub, by words and tag alone;
    `file` looks into the folders that files are imported from.
    """

    query: str = ""
    origin: Literal["curated", "hf", "file"] = "curated"
    family: str | None = None
    tag: Tag | None = None
    category: str | None = None
    language: str | None = None
    max_bytes: int | None = Field(default=None, ge=0)
    cursor: str | None = None
    limit: int = Field(default=20, ge=1, le=100)


class CataloguePage(Contract):
    """Models that can be installed; `next_cursor` is None on the last page."""

    items: tuple[CatalogueItem, ...]
    next_cursor: str | None = None


class InstallModel(Contract):
    """Install a model: the name of one of the catalogue, or `hf:`, `ollama:`, `https:`, `file:` or `pypi:`.

    `sha256` is the digest that the downloaded file must have. `anyway` installs what does not fit into memory here.
    """

    source: str = Field(min_length=1, max_length=1000)
    name: str | None = Field(default=None, pattern=NAME_PATTERN)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    anyway: bool = False


class InstallStarted(Contract):
    """The job that installs."""

    job_id: JobId
    source: str


class ModelRef(Contract):
    """Which model is meant."""

    name: str


class CopyModel(Contract):
    """Give a model a second name, with rules of its own; the file is not copied."""

    name: str
    to: str = Field(pattern=NAME_PATTERN)


class ChangeModel(Contract):
    """Change what is said about a model; what is None stays. `roles` empty opens it to everybody.

    `run` replaces all that was said of running it.
    """

    name: str
    enabled: bool | None = None
    tags: tuple[Tag, ...] | None = Field(default=None, max_length=50)
    roles: tuple[str, ...] | None = Field(default=None, max_length=50)
    is_default: bool | None = None
    run: RunOptions | None = None


class InstallRef(Contract):
    """Which installation is meant, by its job."""

    job_id: JobId


class ModelRule(Contract):
    """Who may use a model, whether it answers when nobody names one, and how it is run."""

    name: ModelName
    enabled: bool = True
    roles: tuple[str, ...] | None = None
    is_default: bool = False
    run: RunOptions = RunOptions()

    def allows(self, roles: Collection[str]) -> bool:
        """Whether somebody with these roles may use it."""
        return self.enabled and (self.roles is None or not set(self.roles).isdisjoint(roles))


class InstalledModel(Contract):
    """A file that an engine can load. `path` is where explore has it: nodes that host inference share the folder.

    `window_tokens` and `parallel` are what an administrator wants, as in `RunOptions`.
    """

    name: ModelName
    path: str
    digest: str
    size_bytes: int
    family: str | None = None
    context_tokens: int | None = None
    kv_bytes_per_token: int | None = None
    answer_style: AnswerStyle = "write"
    kind: ModelKind = "chat"
    window_tokens: int | None = None
    parallel: int | None = None


class Shelf(Contract):
    """Everything that who runs models must know. `chains`: the models of a role, the first that can answers."""

    rules: tuple[ModelRule, ...] = ()
    installed: tuple[InstalledModel, ...] = ()
    providers: tuple[ServedProvider, ...] = ()
    chains: dict[ModelRole, tuple[str, ...]] = Field(default_factory=lambda: dict[ModelRole, tuple[str, ...]]())


class ModelsChanged(Signal):
    """Something about models changed: read `explore.shelf` again."""

    topic: ClassVar[str] = "explore.models.changed"


class ModelInstalled(Event):
    """A model was installed, or got a further name."""

    topic: ClassVar[str] = "explore.model.installed"

    model_id: UUID
    name: ModelName
    source: str
    digest: str
    size_bytes: int
    installed_by: UserId | None = None

    @property
    def aggregate_id(self) -> UUID:
        """The model."""
        return self.model_id


class ModelRemoved(Event):
    """A model was removed."""

    topic: ClassVar[str] = "explore.model.removed"

    model_id: UUID
    name: ModelName
    digest: str

    @property
    def aggregate_id(self) -> UUID:
        """The model."""
        return self.model_id


LIST = Action("explore.list", ListModels, ModelPage, access=MODELS_USE, idempotent=True)
CATALOGUE = Action("explore.catalogue", SearchCatalogue, CataloguePage, access=MODELS_USE, idempotent=True)
INSTALL = Action("explore.install", InstallModel, InstallStarted, access=MODELS_MANAGE)
REMOVE = Action("explore.remove", ModelRef, Nothing, access=MODELS_MANAGE)
COPY = Action("explore.copy", CopyModel, ModelView, access=MODELS_MANAGE)
CHANGE = Action("explore.change", ChangeModel, ModelView, access=MODELS_MANAGE)
PAUSE = Action("explore.pause", InstallRef, Nothing, access=MODELS_MANAGE, idempotent=True)
RESUME = Action("explore.resume", InstallRef, Nothing, access=MODELS_MANAGE, idempotent=True)
SHELF = Action("explore.shelf", Nothing, Shelf, access=INTERNAL, idempotent=True)
