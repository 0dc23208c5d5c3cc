"""`hf:owner/repository[/file.gguf | :QUANTISATION][@revision]`: the Hugging Face Hub.

`/api/models/{repository}/tree/{commit}` tells the SHA-256 of every large file (its Git LFS id), and
`/{repository}/resolve/{commit}/{file}` is that very file for ever.
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, cast
from urllib.parse import quote, urlencode

import orjson
from yarl import URL

from fireside.adapters.model_source.public_web import PublicWeb
from fireside.ports.model_source import (
    BrokenDownloadError,
    FoundModel,
    FoundPage,
    Incoming,
    InvalidSourceError,
    ModelNotAtSourceError,
    Resolution,
    SourceForbiddenError,
    further_parts,
    model_name,
)

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_REFERENCE = re.compile(rf"({_PART}/{_PART})(?:/([^@:]+\.gguf)|:([A-Za-z0-9_]+))?(?:@([A-Za-z0-9][A-Za-z0-9._/-]*))?")
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_PREFERRED = ("q4_k_m", "q4_k_s", "q4_0", "q5_k_m", "q8_0")
_LANGUAGE = re.compile(r"[a-z]{2}")
_NEXT = re.compile(r"<([^>]+)>\s*;\s*rel=\"?next\"?")
_MOST_PAGES = 20
_LFS_DIGEST = re.compile(r"[0-9a-f]{64}")
_GATED = "its licence must be accepted on the Hub first, and FIRESIDE_EXPLORE_HF_TOKEN must be of who accepted it"


class HuggingFaceSource:
    """One Hub, or a mirror of it."""

    def __init__(self, web: PublicWeb, *, hub: str, token: str = "") -> None:
        """Ask the Hub at this URL; the token goes to it alone."""
        self._web, self._hub = web, hub.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    def check(self, reference: str) -> None:
        """Pass when it looks like a repository."""
        _parts(reference)

    async def resolve(self, reference: str) -> Resolution:
        """The exact file at an exact commit, with its SHA-256."""
        repository, file, quantisation, revision = _parts(reference)
        api = f"{self._hub}/api/models/{repository}"
        try:
            facts = _object(await self._web.json(f"{api}/revision/{quote(revision, safe='')}", headers=self._headers))
            commit = quote(str(facts.get("sha") or revision), safe="")
            files = [entry async for entry in self._tree(f"{api}/tree/{commit}?recursive=true")]
        except SourceForbiddenError as error:
            raise SourceForbiddenError(f"hf:{repository}: {_GATED} ({error.message})") from error
        chosen = _choose(repository, files, file=file, quantisation=quantisation)
        present, tags = {str(entry.get("path")): entry for entry in files}, _strings(facts.get("tags"))
        further: list[Resolution] = []
        for name in further_parts(chosen):
            if name not in present:
                raise ModelNotAtSourceError(f"hf:{repository} lacks a part of the model: {name!r}")
            further.append(self._resolution(repository, commit, present[name], tags))
        return replace(self._resolution(repository, commit, present[chosen], tags), further=tuple(further))

    def _resolution(self, repository: str, commit: str, entry: Mapping[str, Any], tags: list[str]) -> Resolution:
        path, lfs = str(entry["path"]), _object(entry.get("lfs"))
        digest = str(lfs.get("oid") or "").removeprefix("sha256:")
        if not _LFS_DIGEST.fullmatch(digest):
            raise BrokenDownloadError(f"the Hub tells no SHA-256 of {path}")
        return Resolution(
            source=f"hf:{repository}/{path}@{commit}",
            location=f"{self._hub}/{repository}/resolve/{commit}/{quote(path)}",
            name=model_name(path),
            size_bytes=int(lfs.get("size") or entry.get("size") or 0) or None,
            sha256=digest,
            licence=_tagged(tags, "license:"),
            tags=_plain(tags),
        )

    async def search(self, words: str, *, tags: Sequence[str], limit: int, cursor: str | None) -> FoundPage | None:
        """Repositories with GGUF files, most downloaded first."""
        query = [("search", words), ("filter", ",".join(("gguf", *tags))), ("sort", "downloads"), ("direction", "-1")]
        query += [("limit", str(limit)), *([("cursor", cursor)] if cursor else [])]
        url = URL(f"{self._hub}/api/models?{urlencode(query)}")
        found, headers = await self._page(str(url))
        following = _next(headers, url)
        items = tuple(_found(entry) for entry in found if not entry.get("private"))
        return FoundPage(items, following.query.get("cursor") if following else None)

    def download(self, location: str, *, start: int, validator: str) -> AbstractAsyncContextManager[Incoming]:
        """Open the file from a place on; a file at a commit never changes."""
        return self._web.download(location, start=start, validator=validator, immutable=True, headers=self._headers)

    async def aclose(self) -> None:
        """Release the client's connections; it makes new ones when it is asked again."""
        await self._web.aclose()

    async def _tree(self, url: str) -> AsyncIterator[dict[str, Any]]:
        place: URL | None = URL(url)
        for _ in range(_MOST_PAGES):
            entries, headers = await self._page(str(place))
            for entry in entries:
                if entry.get("type") == "file":
                    yield entry
            place = _next(headers, place)
            if place is None:
                return

    async def _page(self, url: str) -> tuple[list[dict[str, Any]], Mapping[str, str]]:
        body, headers = await self._web.body(url, headers=self._headers)
        try:
            entries: Any = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BrokenDownloadError("the Hub did not answer with a list") from error
        if not isinstance(entries, list):
            raise BrokenDownloadError("the Hub did not answer with a list")
        return [_object(entry) for entry in cast("list[Any]", entries)], headers


def _parts(reference: str) -> tuple[str, str | None, str | None, str]:
    match = _REFERENCE.fullmatch(reference)
    if not match or ".." in reference:
        raise InvalidSourceError(
            f"{reference[:200]!r}: hf: wants owner/repository, then /file.gguf or :QUANTISATION, then @revision"
        )
    return match[1], match[2], match[3], match[4] or "main"


def _choose(repository: str, files: Iterable[Mapping[str, Any]], *, file: str | None, quantisation: str | None) -> str:
    """The file that is meant, of a model in parts the first; without a wish, the usual quantisation."""
    present = {str(entry["path"]): entry for entry in files if str(entry.get("path", "")).lower().endswith(".gguf")}
    if file is not None:
        if file not in present:
            raise ModelNotAtSourceError(f"hf:{repository} has no file {file!r} (there is: {_listed(present)})")
        candidates = [file]
    else:
        whole = [path for path in present if "mmproj" not in path.lower() and not _LATER_PART.search(path)]
        wishes = [quantisation.lower()] if quantisation else list(_PREFERRED)
        found = ([path for path in whole if wish in path.lower()] for wish in wishes)
        candidates = next((hits for hits in found if hits), list[str]())
        if not quantisation and len(whole) == 1:
            candidates = whole
    if len(candidates) != 1:
        raise InvalidSourceError(f"hf:{repository}: say which file is meant (there is: {_listed(present)})")
    return candidates[0]


def _listed(paths: Iterable[str]) -> str:
    return ", ".join(sorted(paths)[:30]) or "no GGUF file"


def _found(entry: Mapping[str, Any]) -> FoundModel:
    tags = _strings(entry.get("tags"))
    name = str(entry.get("id") or entry.get("modelId") or "")
    downloads = entry.get("downloads")
    return FoundModel(
        source=f"hf:{name}",
        title=name.rpartition("/")[2],
        licence=_tagged(tags, "license:"),
        tags=_plain(tags),
        languages=tuple(tag for tag in tags if _LANGUAGE.fullmatch(tag)),
        downloads=downloads if isinstance(downloads, int) else None,
    )


def _tagged(tags: Iterable[str], prefix: str) -> str | None:
    return next((tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)), None)


def _plain(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(tag for tag in tags if ":" not in tag and not _LANGUAGE.fullmatch(tag))[:50]


def _next(headers: Mapping[str, str], base: URL) -> URL | None:
    match = _NEXT.search(headers.get("link", "") or headers.get("Link", ""))
    return base.join(URL(match[1])) if match else None


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _strings(value: Any) -> list[str]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, str)]
