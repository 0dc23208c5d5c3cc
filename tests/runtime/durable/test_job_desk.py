import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update

from fireside.contracts.jobs import (
    DeadLetterRef,
    JobRef,
    JobView,
    ListDeadLetters,
    ListJobs,
    jobs_of,
)
from fireside.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
    UpstreamError,
)
from fireside.core.identity import ANONYMOUS
from fireside.core.ids import JobId
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, Job, JobRun
from fireside.runtime.durable.tables import jobs
from fireside.testing.durable import job_that_ended
from fireside.testing.mesh import local_node
from tests.runtime.durable.notes import SCRIBE, SINGLE, JobBody, NotesService, Scribe, someone

ACTIONS = jobs_of("notes")
LATER = Job("notes.later", Scribe)


@asynccontextmanager
async def running(database: Database, body: JobBody | None = None) -> AsyncIterator[Context]:
    async with local_node(NotesService(database=database, job=body)) as node:
        yield node.context(identity=someone())


async def enqueue(database: Database, context: Context, job: Job[Scribe] = LATER, count: int = 1) -> list[JobId]:
    ids = list[JobId]()
    for _ in range(count):
        async with database.transaction(context) as unit:
            ids.append(unit.enqueue(job, Scribe(), owner_id=context.identity.user_id))
    return ids


async def fail(_context: Context, _run: JobRun, _payload: Scribe) -> None:
    raise UpstreamError("no answer")


async def listed(context: Context, request: ListJobs) -> list[JobId]:
    return [view.id for view in (await context.call(ACTIONS.list, request)).jobs]


async def test_a_user_sees_the_own_jobs_newest_first(database: Database) -> None:
    async with running(database) as context:
        mine = await enqueue(database, context, count=3)
        stranger = context.with_identity(someone())
        theirs = await enqueue(database, stranger)
        assert await listed(context, ListJobs()) == mine[::-1]
        assert await listed(stranger, ListJobs()) == theirs


async def test_a_manager_of_jobs_sees_everybodys(database: Database) -> None:
    async with running(database) as context:
        ids = [*await enqueue(database, context), *await enqueue(database, context.with_identity(someone()))]
        async with database.transaction() as unit:
            ids.append(unit.enqueue(LATER, Scribe(), owner_id=None))
        manager = context.with_identity(someone("jobs:manage"))
        assert await listed(manager, ListJobs(everyone=True)) == ids[::-1]
        assert await listed(manager, ListJobs()) == []
        assert (await manager.call(ACTIONS.get, JobRef(id=ids[2]))).owner_id is None


async def test_others_may_not_see_everybodys(database: Database) -> None:
    async with running(database) as context:
        with pytest.raises(ForbiddenError):
            await listed(context, ListJobs(everyone=True))
        with pytest.raises(UnauthenticatedError):
            await listed(context.with_identity(ANONYMOUS), ListJobs())


async def test_a_service_that_acts_for_nobody_has_no_jobs_of_its_own(database: Database) -> None:
    async with running(database) as context:
        with pytest.raises(UnauthenticatedError):
            await listed(context.with_identity(ANONYMOUS).as_service("chat"), ListJobs())


async def test_jobs_are_listed_by_kind_and_state(database: Database) -> None:
    async with running(database) as context:
        (later,) = await enqueue(database, context)
        (scribe,) = await enqueue(database, context, SCRIBE)
        await job_that_ended(context, "notes", scribe)
        assert await listed(context, ListJobs(kind="notes.later")) == [later]
        assert await listed(context, ListJobs(state="succeeded")) == [scribe]
        assert await listed(context, ListJobs(kind="notes.later", state="succeeded")) == []


async def test_pages_hold_every_job_once_even_those_of_one_moment(database: Database) -> None:
    async with running(database) as context:
        ids = await enqueue(database, context, count=7)
        moment = datetime.now(UTC)
        async with database.transaction() as unit:
            same = jobs.c.id.in_(ids[:4])
            await unit.session.execute(update(jobs).values(created_at=moment))
            await unit.session.execute(update(jobs).where(same).values(created_at=moment - timedelta(hours=1)))
        pages = list[list[JobId]]()
        cursor: str | None = None
        while True:
            page = await context.call(ACTIONS.list, ListJobs(limit=3, cursor=cursor))
            pages.append([view.id for view in page.jobs])
            cursor = page.next_cursor
            if cursor is None:
                break
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [job_id for page in pages for job_id in page] == ids[:3:-1] + ids[3::-1]


@pytest.mark.parametrize("cursor", ["", "?", "bm9uc2Vuc2U=", "MjAyNi0wMS0wMVQwMDowMDowMCBub25l"])
async def test_a_made_up_cursor_is_refused(database: Database, cursor: str) -> None:
    async with running(database) as context:
        with pytest.raises(InvalidInputError, match="cursor"):
            await listed(context, ListJobs(cursor=cursor))
        manager = context.with_identity(someone("jobs:manage"))
        with pytest.raises(InvalidInputError, match="cursor"):
            await manager.call(ACTIONS.dead, ListDeadLetters(cursor=cursor))


async def test_a_job_that_does_not_exist_is_not_there(database: Database) -> None:
    async with running(database) as context:
        for action in (ACTIONS.get, ACTIONS.cancel, ACTIONS.retry):
            with pytest.raises(NotFoundError):
                await context.call(action, JobRef(id=JobId(uuid4())))


async def test_a_failed_job_tried_again_goes_on_from_its_checkpoint(database: Database) -> None:
    broken = True

    async def body(_context: Context, run: JobRun, _payload: Scribe) -> dict[str, int]:
        if broken:
            await run.save({"step": 3})
            await run.progress(40.0, "half way")
            raise UpstreamError("no answer")
        return run.checkpoint

    async with running(database, body) as context:
        (job_id,) = await enqueue(database, context, SCRIBE)
        failed = await job_that_ended(context, "notes", job_id)
        broken = False
        queued = await context.call(ACTIONS.retry, JobRef(id=job_id))
        view = await job_that_ended(context, "notes", job_id)
        manager = context.with_identity(someone("jobs:manage"))
        waiting = (await manager.call(ACTIONS.dead, ListDeadLetters())).letters
        past = (await manager.call(ACTIONS.dead, ListDeadLetters(redriven=True))).letters

    assert (failed.state, failed.attempts, failed.percent) == ("failed", 3, 40.0)
    assert (queued.state, queued.attempts, queued.percent, queued.error) == ("queued", 0, 40.0, None)
    assert (view.state, view.attempts, view.result) == ("succeeded", 1, {"step": 3})
    assert waiting == ()
    assert [letter.redriven_by for letter in past] == [context.identity.user_id]


async def test_a_cancelled_job_can_be_tried_again(database: Database) -> None:
    async with running(database) as context:
        async with database.transaction(context) as unit:
            job_id = unit.enqueue(SCRIBE, Scribe(), owner_id=context.identity.user_id, delay_s=3600)
        await context.call(ACTIONS.cancel, JobRef(id=job_id))
        await context.call(ACTIONS.retry, JobRef(id=job_id))
        assert (await job_that_ended(context, "notes", job_id)).state == "succeeded"


async def test_a_job_that_lives_or_succeeded_is_not_tried_again(database: Database) -> None:
    async with running(database) as context:
        (done,) = await enqueue(database, context, SCRIBE)
        await job_that_ended(context, "notes", done)
        (queued,) = await enqueue(database, context)
        for job_id, state in ((done, "succeeded"), (queued, "queued")):
            with pytest.raises(ConflictError, match=f"the job is {state}"):
                await context.call(ACTIONS.retry, JobRef(id=job_id))


@pytest.mark.requirement("P8")
async def test_a_job_that_was_given_up_is_listed_and_driven_again(database: Database) -> None:
    broken = True

    async def body(context: Context, run: JobRun, payload: Scribe) -> None:
        if broken:
            await fail(context, run, payload)

    async with running(database, body) as context:
        (job_id,) = await enqueue(database, context, SINGLE)
        await job_that_ended(context, "notes", job_id)
        manager = context.with_identity(someone("jobs:manage"))
        (letter,) = (await manager.call(ACTIONS.dead, ListDeadLetters())).letters
        assert (letter.type, letter.name, letter.subject_id) == ("job", "notes.single", job_id)
        assert (letter.attempts, letter.error["code"], letter.redriven_at) == (1, "upstream", None)

        broken = False
        driven = await manager.call(ACTIONS.redrive, DeadLetterRef(id=letter.id))
        view = await job_that_ended(context, "notes", job_id)
        assert (view.state, driven.redriven_by) == ("succeeded", manager.identity.user_id)
        with pytest.raises(NotFoundError):
            await manager.call(ACTIONS.redrive, DeadLetterRef(id=letter.id))
        with pytest.raises(NotFoundError):
            await manager.call(ACTIONS.redrive, DeadLetterRef(id=uuid4()))


async def test_of_two_who_drive_a_letter_again_at_once_one_does(database: Database) -> None:
    starts = 0

    async def body(context: Context, run: JobRun, payload: Scribe) -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            await fail(context, run, payload)

    async with running(database, body) as context:
        (job_id,) = await enqueue(database, context, SINGLE)
        await job_that_ended(context, "notes", job_id)
        manager = context.with_identity(someone("jobs:manage"))
        (letter,) = (await manager.call(ACTIONS.dead, ListDeadLetters())).letters
        both = (manager.call(ACTIONS.redrive, DeadLetterRef(id=letter.id)) for _ in range(2))
        results = await asyncio.gather(*both, return_exceptions=True)
        await job_that_ended(context, "notes", job_id)
    assert sorted(type(result).__name__ for result in results) == ["DeadLetter", "DeadLetterNotFoundError"]
    assert starts == 2


async def test_dead_letters_come_in_pages_newest_first(database: Database) -> None:
    async with running(database, fail) as context:
        ids = await enqueue(database, context, SINGLE, count=5)
        views = [await job_that_ended(context, "notes", job_id) for job_id in ids]
        manager = context.with_identity(someone("jobs:manage"))
        first = await manager.call(ACTIONS.dead, ListDeadLetters(limit=3))
        second = await manager.call(ACTIONS.dead, ListDeadLetters(limit=3, cursor=first.next_cursor))
    ended = sorted(views, key=_finished, reverse=True)
    assert [letter.subject_id for letter in first.letters + second.letters] == [view.id for view in ended]
    assert (len(first.letters), second.next_cursor) == (3, None)


async def test_dead_letters_are_for_managers_of_jobs_alone(database: Database) -> None:
    async with running(database) as context:
        with pytest.raises(ForbiddenError):
            await context.call(ACTIONS.dead, ListDeadLetters())
        with pytest.raises(ForbiddenError):
            await context.call(ACTIONS.redrive, DeadLetterRef(id=uuid4()))


def _finished(view: JobView) -> datetime:
    assert view.finished_at is not None
    return view.finished_at
