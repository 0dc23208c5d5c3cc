"""`ollama:name[:tag]`: the Ollama registry, which speaks the container registry's API (OCI distribution).

A manifest lists layers; the one of type `application/vnd.ollama.image.model` is the GGUF file, and its digest is the
SHA-256 of the bytes. The registry cannot be searched: a reference is known or not.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from fireside.adapters.model_source.public_web import PublicWeb
from fireside.ports.model_source import BrokenDownloadError, FoundPage, Incoming, InvalidSourceError, Resolution

_REFERENCE = re.compile(
    r"(?:([a-z0-9][a-z0-9._-]*)/)?([a-z0-9][a-z0-9._-]*)(?::([a-z0-9][a-z0-9._-]*))?", re.IGNORECASE
)
_MANIFEST = {"accept": "application/vnd.docker.distribution.manifest.v2+json"}
_TYPE = "application/vnd.ollama.image."
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_LICENCE_BYTES = 200_000


class OllamaSource:
    """One registry."""

    def __init__(self, web: PublicWeb, *, registry: str) -> None:
        """Ask the registry at this URL."""
        self._web, self._registry = web, registry.rstrip("/")

    def check(self, reference: str) -> None:
        """Pass when it looks like a name."""
        _parts(reference)

    async def resolve(self, reference: str) -> Resolution:
        """The model's file, from the manifest."""
        owner, name, tag = _parts(reference)
        place = f"{self._registry}/v2/{owner}/{name}"
        manifest = await self._web.json(f"{place}/manifests/{tag}", headers=_MANIFEST)
        layers = _layers(manifest)
        models = [layer for layer in layers if layer["mediaType"] == f"{_TYPE}model"]
        if len(models) != 1 or any(layer["mediaType"] == f"{_TYPE}adapter" for layer in layers):
            raise InvalidSourceError(f"ollama:{reference}: not one model file, but {len(models)}, or an adapter of one")
        digest = _digest(models[0])
        return Resolution(
            source=f"ollama:{reference}",
            location=f"{place}/blobs/sha256:{digest}",
            name=f"{name}-{tag}".lower() if tag != "latest" else name.lower(),
            size_bytes=_size(models[0]),
            sha256=digest,
            licence=await self._licence(place, layers),
        )

    async def search(self, words: str, *, tags: Sequence[str], limit: int, cursor: str | None) -> FoundPage | None:
        """The registry has no search."""
        del words, tags, limit, cursor

    def download(self, location: str, *, start: int, validator: str) -> AbstractAsyncContextManager[Incoming]:
        """Open the blob from a place on; what a digest names never changes."""
        return self._web.download(location, start=start, validator=validator, immutable=True)

    async def aclose(self) -> None:
        """Release the client's connections; it makes new ones when it is asked again."""
        await self._web.aclose()

    async def _licence(self, place: str, layers: Sequence[Mapping[str, Any]]) -> str | None:
        """The first line of the first licence."""
        for layer in layers:
            if layer["mediaType"] == f"{_TYPE}license" and 0 < (_size(layer) or 0) < _LICENCE_BYTES:
                body, _ = await self._web.body(f"{place}/blobs/sha256:{_digest(layer)}", max_bytes=_LICENCE_BYTES)
                lines = body.decode("utf-8", "replace").split("\n")
                return next((line.strip()[:100] for line in lines if line.strip()), None)
        return None


def _parts(reference: str) -> tuple[str, str, str]:
    match = _REFERENCE.fullmatch(reference)
    if not match:
        raise InvalidSourceError(f"{reference[:200]!r}: ollama: wants name, name:tag or owner/name:tag")
    return match[1] or "library", match[2], match[3] or "latest"


def _layers(manifest: Any) -> list[dict[str, Any]]:
    layers = cast("dict[str, Any]", manifest).get("layers") if isinstance(manifest, dict) else None
    listed = cast("list[Any]", layers) if isinstance(layers, list) else []
    found = [cast("dict[str, Any]", layer) for layer in listed if isinstance(layer, dict)]
    found = [layer for layer in found if isinstance(layer.get("mediaType"), str)]
    if not found:
        raise BrokenDownloadError("the registry answered with a manifest that has no layers")
    return found


def _digest(layer: Mapping[str, Any]) -> str:
    match = _DIGEST.fullmatch(str(layer.get("digest")))
    if not match:
        raise BrokenDownloadError("the registry answered with a layer that has no SHA-256")
    return match[1]


def _size(layer: Mapping[str, Any]) -> int | None:
    size = layer.get("size")
    return size if isinstance(size, int) and size >= 0 else None
