"""Where models come from, by scheme, and how much memory this machine has for them."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from fireside.adapters.model_source.file import FileSource
from fireside.adapters.model_source.https import HttpsSource
from fireside.adapters.model_source.huggingface import HuggingFaceSource
from fireside.adapters.model_source.ollama import OllamaSource
from fireside.adapters.model_source.public_web import PublicWeb
from fireside.adapters.model_source.pypi import PyPiSource
from fireside.ports.model_source import ModelSource
from fireside.services.explore.settings import ExploreSettings

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def make_model_sources(settings: ExploreSettings, *, home: Path) -> Mapping[str, ModelSource]:
    """Every source, by its scheme; they share one client."""
    places = (settings.hub_url, settings.registry_url, settings.index_url)
    web = PublicWeb([*settings.trusted_hosts, *(f"{url.host}:{url.port}" for url in places)])
    return {
        "hf": HuggingFaceSource(web, hub=str(settings.hub_url), token=settings.hf_token.get_secret_value()),
        "ollama": OllamaSource(web, registry=str(settings.registry_url)),
        "https": HttpsSource(web),
        "http": HttpsSource(web, scheme="http"),
        "file": FileSource(settings.import_folders or (home / "import",)),
        "pypi": PyPiSource(web, index=str(settings.index_url)),
    }


def memory_bytes() -> int:
    """Memory of this machine, or what the container may have of it when that is less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for place in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):
            found.append(int(Path(place).read_text("utf-8")))
    return min(found)
