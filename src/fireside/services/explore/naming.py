"""Giving installed files their names, further names, and taking names away; a file without a name goes.

Whoever calls this says afterwards that models changed; see `model_book`.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.exc import IntegrityError

from fireside.contracts.explore import ModelInstalled, ModelRemoved
from fireside.core.clock import Clock
from fireside.core.ids import JobId, UserId, new_id
from fireside.ports.model_files import ModelFiles
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, UnitOfWork
from fireside.services.explore import repository
from fireside.services.explore.curated import find_curated
from fireside.services.explore.errors import ModelNameTakenError, ModelNotInstalledHereError, VanishedFileError
from fireside.services.explore.facts import ModelFacts
from fireside.services.explore.model import StoredModel


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model file that is here and shall have a name.

    `source` is exact, `wanted` is what was asked for.
    """

    name: str
    digest: str
    size_bytes: int
    source: str
    wanted: str
    facts: ModelFacts
    licence: str | None
    tags: tuple[str, ...]
    job_id: JobId
    installed_by: UserId | None


async def record(
    database: Database, files: ModelFiles, clock: Clock, context: Context, new: NewModel
) -> dict[str, Any]:
    """Give a file its name. Doing it again changes nothing; a name of another file is not taken from it.

    Raises:
        ModelNameTakenError: Another model has the name.
        VanishedFileError: The file was removed meanwhile.
    """
    model = _stored(new, clock)
    try:
        async with database.transaction(context) as unit:
            await _hold(unit, files, model)  # from here on, who installs the same file waits
            there = await repository.find_model(unit.session, new.name)
            if there is None:
                await _add(unit, model)
            elif there.digest != new.digest:
                raise ModelNameTakenError(f"there is another model {new.name!r}: give this one a name", model=new.name)
            await repository.resume(unit.session, new.job_id)
    except ModelNameTakenError:
        await _release(database, files, context, new.digest)
        raise
    stored = there or model
    return {"name": stored.name, "digest": stored.digest, "size_bytes": stored.size_bytes, "source": stored.source}


async def copy(database: Database, files: ModelFiles, clock: Clock, context: Context, names: tuple[str, str]) -> None:
    """Give a model, the first name, a second.

    Raises:
        ModelNotInstalledHereError: It is not installed.
        ModelNameTakenError: Another model has the second name.
    """
    name, to = names
    async with database.transaction(context) as unit:
        model = await repository.find_model(unit.session, name, lock=True)
        if model is None:
            raise ModelNotInstalledHereError(f"{name!r} is not installed, and cannot be copied", model=name)
        copied = replace(
            model, id=new_id(), name=to, installed_at=clock.now(), installed_by=context.identity.user_id, job_id=None
        )
        await _hold(unit, files, copied)
        await _add(unit, copied)
        rule = await repository.find_rule(unit.session, name)
        await repository.put_rule(unit.session, replace(rule, name=to, is_default=False), now=clock.now())


async def remove(database: Database, files: ModelFiles, context: Context, name: str) -> None:
    """Take a name away, and the file when it was its last.

    Raises:
        ModelNotInstalledHereError: No installed model has the name.
    """
    async with database.transaction(context) as unit:
        model = await repository.remove_model(unit.session, name)
        if model is None:
            raise ModelNotInstalledHereError(f"{name!r} is not installed, and cannot be removed", model=name)
        await repository.drop_rule(unit.session, name)
        unit.emit(ModelRemoved(model_id=model.id, name=model.name, digest=model.digest))
        await _drop_nameless(unit, files, model.digest)


async def _release(database: Database, files: ModelFiles, context: Context, digest: str) -> None:
    """Let go of a file that was to have a name and got none."""
    async with database.transaction(context) as unit:
        await repository.add_file(unit.session, digest, 0)
        await _drop_nameless(unit, files, digest)


async def _drop_nameless(unit: UnitOfWork, files: ModelFiles, digest: str) -> None:
    if await repository.drop_file(unit.session, digest):
        # while its row is locked, so that nobody gives it a name just now
        await asyncio.to_thread(files.delete, digest)


async def _hold(unit: UnitOfWork, files: ModelFiles, model: StoredModel) -> None:
    """Keep the file of a model from being removed until the transaction ends."""
    await repository.add_file(unit.session, model.digest, model.size_bytes)
    if not await asyncio.to_thread(files.path(model.digest).is_file):
        raise VanishedFileError(f"the file of {model.name!r} is gone", digest=model.digest)


async def _add(unit: UnitOfWork, model: StoredModel) -> None:
    try:
        await repository.add_model(unit.session, model)
    except IntegrityError as error:
        raise ModelNameTakenError(f"there is a model {model.name!r} already", model=model.name) from error
    unit.emit(
        ModelInstalled(
            model_id=model.id,
            name=model.name,
            source=model.source,
            digest=model.digest,
            size_bytes=model.size_bytes,
            installed_by=model.installed_by,
        )
    )


def _stored(new: NewModel, clock: Clock) -> StoredModel:
    facts, curated = new.facts, find_curated(new.wanted)
    return StoredModel(
        id=new_id(),
        name=new.name,
        digest=new.digest,
        size_bytes=new.size_bytes,
        source=new.source,
        architecture=facts.architecture,
        family=curated.family if curated else facts.family,
        quantisation=facts.quantisation,
        parameters=facts.parameters,
        context_tokens=facts.context_tokens,
        kv_bytes_per_token=facts.kv_bytes_per_token,
        answer_style=facts.answer_style,
        licence=new.licence or (curated.licence if curated else facts.licence),
        languages=curated.languages if curated else facts.languages,
        categories=curated.categories if curated else (facts.kind,),
        tags=tuple(dict.fromkeys(curated.tags if curated else (*new.tags, *facts.tags)))[:50],
        job_id=new.job_id,
        installed_by=new.installed_by,
        installed_at=clock.now(),
        kind=facts.kind,
    )
