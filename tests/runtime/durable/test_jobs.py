import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select, update

from fireside.contracts.jobs import JobFinished, JobProgress, JobRef, JobView, jobs_of
from fireside.core.errors import InvalidInputError, NotFoundError, UpstreamError
from fireside.core.identity import Identity
from fireside.core.ids import JobId
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, Job, JobRun, event_log
from fireside.runtime.durable.job_store import JobLostError
from fireside.runtime.durable.job_table import JobBeingCancelledError
from fireside.runtime.durable.tables import jobs
from fireside.runtime.mesh import Node, on_signal
from fireside.testing.durable import QUICK, eventually, job_that_ended
from fireside.testing.mesh import local_node
from tests.runtime.durable.conftest import MakeDatabase
from tests.runtime.durable.notes import BRIEF, SCRIBE, SINGLE, JobBody, NotesService, Scribe, someone, texts, write_note

ACTIONS = jobs_of("notes")


@asynccontextmanager
async def running(database: Database, body: JobBody | None = None) -> AsyncIterator[Context]:
    """A node whose jobs do what the body says, seen by a user."""
    async with local_node(NotesService(database=database, job=body)) as node:
        yield node.context(identity=someone(), request_id="request-1")


async def enqueue(
    database: Database, context: Context, job: Job[Scribe] = SCRIBE, *, text: str = "", **options: Any
) -> JobId:
    async with database.transaction(context) as unit:
        return unit.enqueue(job, Scribe(text=text), owner_id=context.identity.user_id, **options)


async def until(context: Context, job_id: JobId, **expected: object) -> JobView:
    async def look() -> JobView | None:
        view = await context.call(ACTIONS.get, JobRef(id=job_id))
        return view if all(getattr(view, name) == value for name, value in expected.items()) else None

    return await eventually(look)


async def test_a_job_runs_with_its_payload_and_keeps_its_result(database: Database) -> None:
    async def body(_context: Context, run: JobRun, payload: Scribe) -> dict[str, Any]:
        return {"text": payload.text.upper(), "attempt": run.attempt, "job": str(run.id)}

    async with running(database, body) as context:
        job_id = await enqueue(database, context, text="milk")
        view = await job_that_ended(context, "notes", job_id)

    assert (view.state, view.kind, view.percent, view.error) == ("succeeded", "notes.scribe", 100.0, None)
    assert view.result == {"text": "MILK", "attempt": 1, "job": str(job_id)}
    assert view.owner_id == context.identity.user_id
    assert view.started_at is not None
    assert view.finished_at is not None
    assert view.created_at <= view.started_at <= view.finished_at == view.updated_at


async def test_a_job_asked_for_in_a_transaction_that_fails_never_runs(database: Database) -> None:
    ran: list[str] = []

    async def body(_context: Context, _run: JobRun, payload: Scribe) -> None:
        ran.append(payload.text)

    async def fail_after_asking(context: Context) -> None:
        async with database.transaction(context) as unit:
            unit.enqueue(SCRIBE, Scribe(text="never"), owner_id=None)
            raise ZeroDivisionError

    async with running(database, body) as context:
        with pytest.raises(ZeroDivisionError):
            await fail_after_asking(context)
        job_id = await enqueue(database, context, text="once")
        await job_that_ended(context, "notes", job_id)

    assert ran == ["once"]


async def test_a_job_acts_for_its_owner_under_the_request_that_asked_for_it(database: Database) -> None:
    seen: list[tuple[Identity, str, str]] = []

    async def body(context: Context, run: JobRun, _payload: Scribe) -> None:
        seen.append((context.identity, context.request_id, context.action))
        assert run.owner_id == context.identity.user_id

    async with running(database, body) as context:
        await job_that_ended(context, "notes", await enqueue(database, context))

    ((identity, request_id, action),) = seen
    assert (identity.kind, identity.name, identity.user_id) == ("service", "notes", context.identity.user_id)
    assert (request_id, action) == ("request-1", "notes.scribe")


async def test_a_job_without_an_owner_acts_for_nobody(database: Database) -> None:
    seen: list[Identity] = []

    async def body(context: Context, _run: JobRun, _payload: Scribe) -> None:
        seen.append(context.identity)

    async with running(database, body) as context:
        async with database.transaction() as unit:
            job_id = unit.enqueue(SCRIBE, Scribe(), owner_id=None)
        manager = context.with_identity(someone("jobs:manage"))
        await job_that_ended(manager, "notes", job_id)

    assert seen[0].is_service
    assert seen[0].user_id is None


async def test_a_failed_attempt_is_tried_again_until_one_succeeds(database: Database) -> None:
    async def body(_context: Context, run: JobRun, _payload: Scribe) -> dict[str, Any]:
        if run.attempt < 3:
            raise UpstreamError("the wiki answers with 502")
        return {"attempt": run.attempt}

    async with running(database, body) as context:
        view = await job_that_ended(context, "notes", await enqueue(database, context))

    assert (view.state, view.attempts, view.result, view.error) == ("succeeded", 3, {"attempt": 3}, None)


async def test_a_job_that_fails_every_time_is_given_up_with_its_error(database: Database) -> None:
    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        raise UpstreamError("the wiki answers with 502", url="https://wiki")

    async with running(database, body) as context:
        view = await job_that_ended(context, "notes", await enqueue(database, context))

    assert (view.state, view.attempts) == ("failed", 3)
    assert view.error is not None
    assert (view.error["code"], view.error["message"]) == ("upstream", "the wiki answers with 502")
    assert view.error["details"] == {"url": "https://wiki"}


async def test_a_request_that_can_never_work_is_not_tried_again(database: Database) -> None:
    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        raise InvalidInputError("no such format")

    async with running(database, body) as context:
        view = await job_that_ended(context, "notes", await enqueue(database, context))

    assert (view.state, view.attempts) == ("failed", 1)


async def test_the_text_of_a_foreign_error_is_not_stored(database: Database) -> None:
    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        raise RuntimeError("password=hunter2")

    async with running(database, body) as context:
        view = await job_that_ended(context, "notes", await enqueue(database, context, SINGLE))

    assert view.error is not None
    assert view.error["message"] == "RuntimeError; the log has the cause"
    assert "hunter2" not in view.model_dump_json()


async def test_an_attempt_that_takes_too_long_is_stopped(database: Database) -> None:
    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        await asyncio.Event().wait()

    async with running(database, body) as context:
        view = await job_that_ended(context, "notes", await enqueue(database, context, BRIEF))

    assert view.error is not None
    assert (view.error["code"], view.error["message"]) == ("deadline_exceeded", "not done after 0.05 s")


async def test_a_timeout_inside_a_job_is_not_taken_for_its_own(database: Database) -> None:
    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        raise TimeoutError

    async with running(database, body) as context:
        view = await job_that_ended(context, "notes", await enqueue(database, context, SINGLE))

    assert view.error is not None
    assert view.error["message"] == "something the job waited for took too long"


async def test_a_result_that_cannot_be_stored_fails_the_attempt(database: Database) -> None:
    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> dict[str, Any]:
        return {"number": 2**80}

    async with running(database, body) as context:
        view = await job_that_ended(context, "notes", await enqueue(database, context, SINGLE))

    assert view.state == "failed"


async def test_a_stored_request_that_the_code_does_not_understand_is_given_up_at_once(database: Database) -> None:
    async with running(database) as context:
        job_id = await enqueue(database, context, delay_s=3600)
        async with database.transaction() as unit:
            await unit.session.execute(update(jobs).values(payload='{"steps": "many"}', run_at=database.clock.now()))
        database.wakeups.wake("jobs")
        view = await job_that_ended(context, "notes", job_id)

    assert (view.state, view.attempts) == ("failed", 1)
    assert view.error is not None
    assert view.error["code"] == "invalid_input"


async def test_a_job_waits_for_its_delay(database: Database) -> None:
    async with running(database) as context:
        later = await enqueue(database, context, delay_s=0.3)
        now = await enqueue(database, context)
        await job_that_ended(context, "notes", now)
        view = await job_that_ended(context, "notes", later)

    assert view.started_at is not None
    assert (view.started_at - view.created_at).total_seconds() >= 0.3


async def test_no_more_jobs_of_a_kind_run_at_once_than_it_allows(database: Database) -> None:
    at_once = most = 0
    two = asyncio.Event()

    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if at_once == 2:
            two.set()
        await two.wait()
        await asyncio.sleep(0)
        at_once -= 1

    async with running(database, body) as context:
        ids = [await enqueue(database, context) for _ in range(6)]
        for job_id in ids:
            await job_that_ended(context, "notes", job_id)

    assert most == SCRIBE.concurrency == 2


async def test_a_kind_that_nobody_does_waits_and_is_shown(database: Database) -> None:
    unknown = Job("notes.unknown", Scribe)
    async with running(database) as context:
        job_id = await enqueue(database, context, unknown)
        await job_that_ended(context, "notes", await enqueue(database, context))
        view = await context.call(ACTIONS.get, JobRef(id=job_id))
    assert view.state == "queued"


async def test_while_a_job_lives_its_key_leads_to_it(database: Database) -> None:
    go = asyncio.Event()
    ran: list[str] = []

    async def body(_context: Context, _run: JobRun, payload: Scribe) -> None:
        ran.append(payload.text)
        await go.wait()

    async with running(database, body) as context:
        first = await enqueue(database, context, text="first", key="page-7")
        assert await enqueue(database, context, text="second", key="page-7") == first
        await until(context, first, state="running")
        assert await enqueue(database, context, text="third", key="page-7") == first
        other_key = await enqueue(database, context, text="other key", key="page-8")
        other_kind = await enqueue(database, context, SINGLE, text="other kind", key="page-7")
        assert len({first, other_key, other_kind}) == 3
        go.set()
        for job_id in (first, other_key, other_kind):
            await job_that_ended(context, "notes", job_id)

    assert sorted(ran) == ["first", "other key", "other kind"]


async def test_a_key_whose_job_has_ended_begins_anew(database: Database) -> None:
    async def body(_context: Context, run: JobRun, payload: Scribe) -> dict[str, Any]:
        assert run.checkpoint == {}
        await run.save({"seen": payload.text})
        await run.progress(50.0, "half")
        return {"text": payload.text}

    async with running(database, body) as context:
        first = await enqueue(database, context, text="first", key="page-7")
        await job_that_ended(context, "notes", first)
        assert await enqueue(database, context, text="second", key="page-7") == first
        view = await until(context, first, state="succeeded", result={"text": "second"})

    assert view.attempts == 1


async def test_the_same_key_twice_in_one_transaction_is_one_job(database: Database) -> None:
    async with running(database) as context:
        async with database.transaction(context) as unit:
            ids = {unit.enqueue(SCRIBE, Scribe(), owner_id=context.identity.user_id, key="k") for _ in range(2)}
        view = await job_that_ended(context, "notes", ids.pop())
    assert not ids
    assert view.attempts == 1


async def test_a_key_whose_job_is_being_cancelled_asks_to_come_back(database: Database) -> None:
    release = asyncio.Event()

    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        await release.wait()

    async with running(database, body) as context:
        job_id = await enqueue(database, context, key="page-7")
        await until(context, job_id, state="running")
        await context.call(ACTIONS.cancel, JobRef(id=job_id))
        with pytest.raises(JobBeingCancelledError):
            await enqueue(database, context, key="page-7")
        await job_that_ended(context, "notes", job_id)
        release.set()
        assert await enqueue(database, context, key="page-7") == job_id
        await until(context, job_id, state="succeeded")


async def test_the_end_of_a_job_is_a_fact(database: Database) -> None:
    async def body(_context: Context, _run: JobRun, payload: Scribe) -> None:
        if payload.text == "fail":
            raise InvalidInputError("no such format")

    async with running(database, body) as context:
        good = await enqueue(database, context)
        bad = await enqueue(database, context, text="fail")
        gone = await enqueue(database, context, delay_s=3600)
        await context.call(ACTIONS.cancel, JobRef(id=gone))
        for job_id in (good, bad, gone):
            await job_that_ended(context, "notes", job_id)

    async with database.read() as session:
        log = await event_log.read(session, after=0)
    facts = {fact.job_id: fact for fact in (JobFinished.model_validate_json(entry.payload) for entry in log)}
    assert {entry.topic for entry in log} == {"jobs.finished"}
    assert {entry.actor_id for entry in log} == {context.identity.user_id}
    assert [facts[job_id].state for job_id in (good, bad, gone)] == ["succeeded", "failed", "cancelled"]
    assert facts[good].error is None
    assert (facts[bad].error or {})["code"] == "invalid_input"
    assert facts[bad].aggregate_id == bad
    assert (facts[good].service, facts[good].kind) == ("notes", "notes.scribe")


@pytest.mark.requirement("P12")
async def test_progress_is_stored_sent_and_never_goes_back(database: Database) -> None:
    sent: list[JobProgress] = []

    class Listening(NotesService):
        @on_signal(JobProgress)
        async def moved(self, _context: Context, signal: JobProgress) -> None:
            sent.append(signal)

    stored = asyncio.Event()

    async def body(_context: Context, run: JobRun, _payload: Scribe) -> None:
        await run.progress(60.0, "reading", "page 3")
        await stored.wait()
        await run.progress(20.0, "reading", "page 4")
        await run.progress(250.0, "writing")
        raise InvalidInputError("over")

    async with local_node(Listening(database=database, job=body)) as node:
        context = node.context(identity=someone())
        job_id = await enqueue(database, context)
        seen = await until(context, job_id, stage="reading")
        assert (seen.percent, seen.detail) == (60.0, "page 3")
        stored.set()
        view = await job_that_ended(context, "notes", job_id)

        async def heard() -> bool | None:
            return True if sent else None

        await eventually(heard)

    assert (view.state, view.percent, view.stage) == ("failed", 100.0, "writing")
    percents = [signal.job.percent for signal in sent]
    assert percents == sorted(percents)
    assert (sent[0].service, sent[0].job.id, sent[0].job.owner_id) == ("notes", job_id, context.identity.user_id)


async def test_progress_is_written_a_few_times_a_second_at_most_and_the_last_always(make: MakeDatabase) -> None:
    database = make(settings=QUICK.model_copy(update={"progress_s": 60.0}))
    writes = 0

    class Counting(NotesService):
        @on_signal(JobProgress)
        async def moved(self, _context: Context, _signal: JobProgress) -> None:
            nonlocal writes
            writes += 1

    async def body(_context: Context, run: JobRun, _payload: Scribe) -> None:
        for step in range(1000):
            await run.progress(step / 10, "step", str(step))
        raise InvalidInputError("over")

    async with local_node(Counting(database=database, job=body)) as node:
        context = node.context(identity=someone())
        view = await job_that_ended(context, "notes", await enqueue(database, context))

    assert writes <= 1
    assert (view.percent, view.detail) == (99.9, "999")


async def test_progress_that_is_no_number_is_refused(database: Database) -> None:
    async def body(_context: Context, run: JobRun, _payload: Scribe) -> None:
        await run.progress(float("nan"), "lost")

    async with running(database, body) as context:
        view = await job_that_ended(context, "notes", await enqueue(database, context))
    assert (view.error or {})["code"] == "invalid_input"


@pytest.mark.requirement("P12")
async def test_a_job_goes_on_from_its_checkpoint_after_a_failure(database: Database) -> None:
    done: list[int] = []

    async def body(_context: Context, run: JobRun, _payload: Scribe) -> None:
        for step in range(run.checkpoint.get("step", 0), 6):
            if step == 3 and run.attempt == 1:
                raise UpstreamError("try later")
            done.append(step)
            await run.save({"step": step + 1})

    async with running(database, body) as context:
        await job_that_ended(context, "notes", await enqueue(database, context))
    assert done == [0, 1, 2, 3, 4, 5]


async def test_a_checkpoint_counts_together_with_what_was_written_beside_it(database: Database) -> None:
    async def body(_context: Context, run: JobRun, _payload: Scribe) -> dict[str, Any]:
        if run.attempt == 1:
            async with database.transaction() as unit:
                await write_note(unit.session, "half")
                await run.save({"half": True}, unit=unit)
                raise UpstreamError("before the commit")
        return run.checkpoint

    async with running(database, body) as context:
        view = await job_that_ended(context, "notes", await enqueue(database, context))

    assert view.result == {}
    assert await texts(database) == []


async def test_stopping_the_node_leaves_its_jobs_to_be_resumed(database: Database) -> None:
    steps: list[int] = []

    async def body(_context: Context, run: JobRun, _payload: Scribe) -> None:
        first = run.checkpoint.get("step", 0)
        for step in range(first, 4):
            steps.append(step)
            await run.save({"step": step + 1})
            await run.progress(25.0 * (step + 1), "step")
            if step == 1 and first == 0:
                await asyncio.Event().wait()

    async with running(database, body) as context:
        owner = context.identity
        job_id = await enqueue(database, context)
        await until(context, job_id, percent=50.0)

    async with database.read() as session:
        stopped = (await session.execute(select(jobs))).one()
    assert (stopped.state, stopped.interruptions, stopped.lease_node) == ("queued", 0, None)

    async with local_node(NotesService(database=database, job=body)) as node:
        view = await job_that_ended(node.context(identity=owner), "notes", job_id)

    assert steps == [0, 1, 2, 3]
    assert (view.state, view.attempts) == ("succeeded", 1)


async def test_a_job_stopped_before_it_began_is_left_to_be_resumed(make: MakeDatabase) -> None:
    database = make()
    async with running(database) as context:
        owner = context.identity
        job_id = await enqueue(database, context)
    async with local_node(NotesService(database=database)) as node:
        view = await job_that_ended(node.context(identity=owner), "notes", job_id)
    assert view.state == "succeeded"


async def test_a_job_that_ignores_being_stopped_does_not_keep_the_node(make: MakeDatabase) -> None:
    database = make(settings=QUICK.model_copy(update={"stop_s": 0.05}))
    stubborn = asyncio.Event()
    begun = asyncio.Event()

    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        begun.set()
        while not stubborn.is_set():
            try:
                await stubborn.wait()
            except asyncio.CancelledError:
                continue

    async with running(database, body) as context:
        await enqueue(database, context)
        await begun.wait()
    tasks = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    stubborn.set()
    await asyncio.wait(tasks)


async def jobs_in_state(database: Database, state: str) -> int:
    async with database.read() as session:
        return len((await session.execute(select(jobs.c.id).where(jobs.c.state == state))).all())


class Two:
    """Two nodes over one database, as on PostgreSQL."""

    def __init__(self, make: MakeDatabase, body: JobBody) -> None:
        self.databases = [
            make(settings=QUICK.model_copy(update={"node_id": f"node-{n}", "lease_s": 0.4, "heartbeat_s": 0.02}))
            for n in range(2)
        ]
        self.services = [NotesService(database=database, job=body) for database in self.databases]


async def test_a_job_whose_node_has_gone_silent_is_taken_over(make: MakeDatabase) -> None:
    taken: list[str] = []

    async def body(context: Context, run: JobRun, _payload: Scribe) -> dict[str, Any]:
        taken.append(context.request_id)
        return {"interrupted": True}

    two = Two(make, body)
    await two.databases[0].open()
    async with two.databases[0].transaction() as unit:
        job_id = unit.enqueue(SCRIBE, Scribe(), owner_id=None)
    async with two.databases[0].transaction() as unit:
        gone = {
            "state": "running",
            "lease_node": "node-gone",
            "lease_boot": job_id,
            "lease_until": two.databases[0].clock.now(),
        }
        await unit.session.execute(update(jobs).values(gone))

    async with local_node(two.services[1]) as node:
        view = await job_that_ended(node.context(identity=someone("jobs:manage")), "notes", job_id)
    assert view.state == "succeeded"
    assert len(taken) == 1


async def test_leases_of_jobs_that_run_are_kept(make: MakeDatabase) -> None:
    starts = 0
    go = asyncio.Event()

    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        nonlocal starts
        starts += 1
        await go.wait()

    two = Two(make, body)
    async with local_node(two.services[0]) as first, local_node(two.services[1]):
        context = first.context(identity=someone())
        job_id = await enqueue(two.databases[0], context)
        row_at_first = await until(context, job_id, state="running")

        async def renewed() -> bool | None:
            async with two.databases[0].read() as session:
                lease = (await session.execute(select(jobs.c.lease_until))).scalar_one()
            return True if (lease - row_at_first.updated_at).total_seconds() > 1.0 else None

        await eventually(renewed)
        go.set()
        await job_that_ended(context, "notes", job_id)
    assert starts == 1


async def test_a_node_that_lost_a_job_stops_running_it_and_writes_nothing_of_it(make: MakeDatabase) -> None:
    stopped = asyncio.Event()
    saved: list[BaseException] = []

    async def body(_context: Context, run: JobRun, _payload: Scribe) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            try:
                await run.save({"late": True})
            except JobLostError as lost:
                saved.append(lost)
            stopped.set()
            raise error from None

    database = make()
    async with running(database, body) as context:
        job_id = await enqueue(database, context)
        await until(context, job_id, state="running")
        async with database.transaction() as unit:
            other = {
                "lease_boot": job_id,
                "lease_node": "other",
                "lease_until": database.clock.now().replace(year=2999),
            }
            await unit.session.execute(update(jobs).values(other))
        await asyncio.wait_for(stopped.wait(), 10)
        view = await context.call(ACTIONS.get, JobRef(id=job_id))

    assert view.state == "running"
    assert len(saved) == 1


async def test_a_job_that_dies_with_its_process_again_and_again_is_given_up(make: MakeDatabase) -> None:
    database = make(settings=QUICK.model_copy(update={"interruptions": 3}))
    await database.open()
    async with database.transaction() as unit:
        job_id = unit.enqueue(Job("notes.deadly", Scribe), Scribe(), owner_id=None)
    for _ in range(3):
        async with database.transaction() as unit:
            gone = {"state": "running", "lease_node": QUICK.node_id, "lease_boot": job_id}
            await unit.session.execute(update(jobs).values(lease_until=database.clock.now().replace(year=2999), **gone))
        async with local_node(NotesService(database=database)) as node:
            manager = node.context(identity=someone("jobs:manage"))
            view = await manager.call(ACTIONS.get, JobRef(id=job_id))
        await database.open()

    assert view.state == "failed"
    assert (view.error or {})["code"] == "job_interrupted"


async def test_a_job_cancelled_while_its_process_was_gone_is_cancelled(make: MakeDatabase) -> None:
    database = make()
    await database.open()
    async with database.transaction() as unit:
        job_id = unit.enqueue(SCRIBE, Scribe(), owner_id=None)
    async with database.transaction() as unit:
        gone = {"state": "running", "lease_node": QUICK.node_id, "lease_boot": job_id, "cancel_requested": True}
        await unit.session.execute(update(jobs).values(lease_until=database.clock.now(), **gone))
    async with local_node(NotesService(database=database)) as node:
        view = await job_that_ended(node.context(identity=someone("jobs:manage")), "notes", job_id)
    assert view.state == "cancelled"


async def test_cancelling_a_queued_job_ends_it_at_once(database: Database) -> None:
    async with running(database) as context:
        job_id = await enqueue(database, context, delay_s=3600)
        view = await context.call(ACTIONS.cancel, JobRef(id=job_id))
    assert (view.state, view.cancelling) == ("cancelled", False)


@pytest.mark.requirement("P12")
async def test_a_running_job_notices_that_it_is_cancelled_at_its_next_step(database: Database) -> None:
    go_on = asyncio.Event()
    tidied = asyncio.Event()

    async def body(_context: Context, run: JobRun, _payload: Scribe) -> None:
        await run.progress(10.0, "waiting")
        await go_on.wait()
        assert run.cancelled
        try:
            await run.progress(20.0, "next")
        finally:
            tidied.set()

    async with running(database, body) as context:
        job_id = await enqueue(database, context)
        await until(context, job_id, stage="waiting")
        view = await context.call(ACTIONS.cancel, JobRef(id=job_id))
        assert (view.state, view.cancelling) == ("running", True)
        go_on.set()
        view = await job_that_ended(context, "notes", job_id)

    assert tidied.is_set()
    assert (view.state, view.percent, view.error) == ("cancelled", 10.0, None)


async def test_a_job_that_does_not_look_is_stopped_after_a_while(database: Database) -> None:
    async def body(_context: Context, run: JobRun, _payload: Scribe) -> None:
        await run.progress(10.0, "stuck")
        await asyncio.Event().wait()

    async with running(database, body) as context:
        job_id = await enqueue(database, context)
        await until(context, job_id, stage="stuck")
        await context.call(ACTIONS.cancel, JobRef(id=job_id))
        await context.call(ACTIONS.cancel, JobRef(id=job_id))
        view = await job_that_ended(context, "notes", job_id)
    assert view.state == "cancelled"


async def test_a_job_on_another_node_can_be_cancelled(make: MakeDatabase) -> None:
    async def body(_context: Context, run: JobRun, _payload: Scribe) -> None:
        await asyncio.Event().wait()

    two = Two(make, body)
    async with local_node(two.services[0]) as first:
        user = someone()
        job_id = await enqueue(two.databases[0], first.context(identity=user))
        await until(first.context(identity=user), job_id, state="running")
        async with local_node(two.services[1]) as second:
            await second.context(identity=user).call(ACTIONS.cancel, JobRef(id=job_id))
            view = await job_that_ended(second.context(identity=user), "notes", job_id)
    assert view.state == "cancelled"


async def test_a_job_that_succeeds_although_it_was_cancelled_has_succeeded(database: Database) -> None:
    go_on = asyncio.Event()

    async def body(_context: Context, run: JobRun, _payload: Scribe) -> dict[str, Any]:
        await run.progress(10.0, "waiting")
        await go_on.wait()
        return {"done": True}

    async with running(database, body) as context:
        job_id = await enqueue(database, context)
        await until(context, job_id, stage="waiting")
        await context.call(ACTIONS.cancel, JobRef(id=job_id))
        go_on.set()
        view = await job_that_ended(context, "notes", job_id)
        again = await context.call(ACTIONS.cancel, JobRef(id=job_id))
    assert view.state == again.state == "succeeded"
    assert view.result == {"done": True}


async def test_a_job_of_someone_else_is_not_there(database: Database) -> None:
    async with running(database) as context:
        job_id = await enqueue(database, context)
        stranger = context.with_identity(someone())
        for action in (ACTIONS.get, ACTIONS.cancel, ACTIONS.retry):
            with pytest.raises(NotFoundError):
                await stranger.call(action, JobRef(id=job_id))
        await job_that_ended(context, "notes", job_id)


def node_of(context: Context) -> Node:
    assert isinstance(context.dispatcher, Node)
    return context.dispatcher
