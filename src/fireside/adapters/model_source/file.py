"""`file:/folder/model.gguf`: a file on the machine of the explore service, from the folders meant for that."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

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

_PIECE_BYTES = 1024**2


class FileSource:
    """Imports from named folders; a link that leads out of them is not followed."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Allow these folders."""
        self._folders = [folder.expanduser().resolve() for folder in folders]

    def check(self, reference: str) -> None:
        """Pass when the path lies in one of the folders."""
        self._path(reference)

    async def resolve(self, reference: str) -> Resolution:
        """The file, or the files of a model in several parts."""
        first = self._path(reference)
        others = [await self._resolve(self._path(name)) for name in further_parts(str(first))]
        return replace(await self._resolve(first), further=tuple(others))

    async def _resolve(self, path: Path) -> Resolution:
        try:
            length = (await asyncio.to_thread(path.stat)).st_size
        except OSError as error:
            raise ModelNotAtSourceError(f"{path} cannot be read: {error.strerror}") from error
        return Resolution(source=f"file:{path}", location=str(path), name=model_name(path.name), size_bytes=length)

    async def search(self, words: str, *, tags: Sequence[str], limit: int, cursor: str | None) -> FoundPage | None:
        """The model files that lie there."""
        del tags, cursor
        found = await asyncio.to_thread(self._matching, words.lower())
        return FoundPage(tuple(FoundModel(source=f"file:{path}", title=path.name) for path in found[:limit]))

    @asynccontextmanager
    async def download(self, location: str, *, start: int, validator: str) -> AsyncGenerator[Incoming]:
        """Open the file from a place on; the time of its last change tells whether it is still the same."""
        path = self._path(location)
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except OSError as error:
            raise ModelNotAtSourceError(f"{path} cannot be read: {error.strerror}") from error
        with file:
            state = path.stat()
            present = f"{state.st_mtime_ns}-{state.st_size}"
            begin = start if validator == present and start <= state.st_size else 0
            file.seek(begin)
            yield Incoming(begin, state.st_size, present, _pieces(file))

    async def aclose(self) -> None:
        """Nothing is held."""

    def _path(self, reference: str) -> Path:
        path = Path(reference.removeprefix("//"))
        if not path.is_absolute() or path.suffix.lower() != ".gguf":
            raise InvalidSourceError(f"{reference[:200]!r}: file: wants the whole path of a .gguf file")
        real = path.resolve()
        if not any(real.is_relative_to(folder) for folder in self._folders):
            named = ", ".join(str(folder) for folder in self._folders)
            raise SourceForbiddenError(
                f"files are imported from {named} (FIRESIDE_EXPLORE_IMPORT_FOLDERS), not from {path.parent}"
            )
        return real

    def _matching(self, words: str) -> list[Path]:
        present = (path for folder in self._folders for path in sorted(folder.glob("**/*.gguf")))
        return [path for path in present if words in path.name.lower() and path.is_file()]


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    try:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece
    except OSError as error:
        raise BrokenDownloadError(f"the file cannot be read on: {error.strerror}") from error
