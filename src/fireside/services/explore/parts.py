"""Bringing a model that comes in several files: every part is here and right before any of them can be seen."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from fireside.ports.model_files import ChecksumError, Draft, ModelFiles
from fireside.ports.model_source import ModelSource, Resolution
from fireside.services.explore.errors import UnusableModelFileError
from fireside.services.explore.facts import ModelFacts, facts_of, facts_of_parts
from fireside.services.explore.fetching import Fetching, Watchers, draft_key
from fireside.services.explore.gguf import Head, read_head


@dataclass(frozen=True)
class Parts:
    """The parts of one model on their way in."""

    files: ModelFiles
    fetching: Fetching
    all: Sequence[Resolution]

    async def bring(
        self,
        source: ModelSource,
        watchers: Watchers,
        weigh: Callable[[ModelFacts, int], None],
        sha256: str | None,
    ) -> tuple[str, ModelFacts] | None:
        """Have all parts here; None when somebody else has brought the model meanwhile.

        Args:
            source: Where from.
            watchers: Told of the whole.
            weigh: Refuses facts of a model of so many bytes.
            sha256: The digest that the model must have; None for any.

        Raises:
            ChecksumError: A part, or the model, is not what was announced.
            UnusableModelFileError: The files are not the parts of one model.
        """
        if len({draft_key(part) for part in self.all}) < len(self.all):
            raise UnusableModelFileError("two of the parts are the same file")
        with ExitStack() as stack:
            drafts: list[Draft] = []
            for part in self.all:
                told = replace(watchers, report=self._report(watchers, drafts), inspect=_wait)
                draft = await self.fetching.hold(draft_key(part), stack, told)
                if draft is None:
                    return None
                await self.fetching.fetch(source, part, draft, told)
                await _check(draft, part)
                drafts.append(draft)
            facts = facts_of_parts([await asyncio.to_thread(_head, draft) for draft in drafts])
            weigh(facts, sum(draft.size_bytes for draft in drafts))
            digest = set_digest([await asyncio.to_thread(draft.digest) for draft in drafts])
            if sha256 not in {None, digest}:
                raise ChecksumError(f"the SHA-256 of the list of parts is {digest}, not {sha256}", expected=sha256)
            for number, draft in enumerate(drafts, start=1):
                await asyncio.to_thread(draft.keep_as_part, digest, number, len(drafts))
            await asyncio.to_thread(self.files.finish_parts, digest, len(drafts))
        return digest, facts

    @property
    def digest(self) -> str | None:
        """The digest of the model, when the source tells those of all parts."""
        known = [part.sha256 for part in self.all if part.sha256 is not None]
        return set_digest(known) if len(known) == len(self.all) else None

    def _report(self, watchers: Watchers, done: list[Draft]) -> Callable[[int, int | None], Awaitable[None]]:
        sizes = [part.size_bytes for part in self.all]
        total = sum(size or 0 for size in sizes) if None not in sizes else None
        before = sum(draft.size_bytes for draft in done)

        async def report(here: int, _: int | None) -> None:
            await watchers.report(before + here, total)

        return report


def set_digest(digests: Sequence[str]) -> str:
    """What stands for the digest of a model in several files: that of the list of theirs, a line each."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def facts_of_files(paths: Sequence[Path]) -> ModelFacts:
    """The facts of a model that is here.

    Raises:
        UnusableModelFileError: It is none.
    """
    heads: list[Head] = []
    for path in paths:
        with path.open("rb") as file:
            heads.append(read_head(file, size_bytes=path.stat().st_size))
    return facts_of(heads[0]) if len(heads) == 1 else facts_of_parts(heads)


async def _check(draft: Draft, part: Resolution) -> None:
    digest = await asyncio.to_thread(draft.digest)
    if part.sha256 not in {None, digest}:
        await asyncio.to_thread(draft.discard)
        raise ChecksumError(f"the SHA-256 of a part is {digest}, not {part.sha256}; it was thrown away")


async def _wait(draft: Draft, total: int | None) -> None:
    """The head of one part says too little of the model."""


def _head(draft: Draft) -> Head:
    with draft.open() as file:
        return read_head(file, size_bytes=draft.size_bytes)
