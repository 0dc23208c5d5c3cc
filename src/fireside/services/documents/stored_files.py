"""The bytes of uploaded files: stored while something refers to them, erased when nothing does any more.

Equal files share their bytes, so erasing must not race with storing the same bytes again. Bytes are therefore first
marked in the database as doomed, then erased, then forgotten; whoever wants to keep doomed bytes stores them anew.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from fireside.core.errors import UnavailableError
from fireside.ports.object_store import ObjectStore, StoredObject
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.services.documents.model import Upload
from fireside.services.documents.repository import objects

_PIECE_BYTES = 1024**2
_ATTEMPTS = 50
_WAIT_S = 0.1


class StoredFiles:
    """Stores, reads and erases the bytes of files."""

    def __init__(self, *, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store

    async def keep(self, context: Context, content: bytes, make_upload: Callable[[StoredObject], Upload]) -> Upload:
        """Store the bytes of a received file, then the note that it was received.

        Raises:
            ObjectStoreError: The bytes cannot be stored.
            UnavailableError: Equal bytes are being erased and that does not come to an end.
        """
        for _ in range(_ATTEMPTS):
            upload = make_upload(await self._store.put(_pieces(content)))
            async with self._database.transaction(context) as unit:
                if await objects.keep(unit.session, upload.digest):
                    await objects.add_upload(unit.session, upload)
                    return upload
            await asyncio.sleep(_WAIT_S)
        raise UnavailableError("equal content is just being erased; send the file again in a minute")

    async def read(self, digest: str) -> bytes:
        """All bytes of a file.

        Raises:
            ObjectNotFoundError: They are gone.
            ObjectStoreError: They cannot be read.
        """
        return b"".join([piece async for piece in self._store.open(digest)])

    def open(self, digest: str) -> AsyncIterator[bytes]:
        """The bytes of a file in pieces, with the same errors as `read`."""
        return self._store.open(digest)

    async def release(self, digests: Iterable[str]) -> None:
        """Erase bytes that nothing refers to any more; others stay. Harmless to repeat after a crash."""
        for digest in digests:
            async with self._database.transaction() as unit:
                is_doomed = await objects.doom(unit.session, digest)
            if is_doomed:
                await self._erase(digest)

    async def erase_unknown(self) -> int:
        """Erase bytes that were stored by a process which died before it could note them; returns how many."""
        count = 0
        async for digest in self._store.digests():
            async with self._database.transaction() as unit:
                is_unknown = await objects.doom_unknown(unit.session, digest)
            if is_unknown:
                await self._erase(digest)
                count += 1
        return count

    async def _erase(self, digest: str) -> None:
        self._database.probe("object doomed")
        await self._store.delete(digest)
        self._database.probe("object erased")
        async with self._database.transaction() as unit:
            await objects.forget(unit.session, digest)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE_BYTES):
        yield content[start : start + _PIECE_BYTES]
