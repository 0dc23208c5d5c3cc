"""`/api/v1/jobs`: the jobs of two services under one roof."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from fireside.contracts.jobs import JobPage, JobRef, JobState, JobView, ListJobs, jobs_of
from fireside.core.errors import ConflictError, NotFoundError
from fireside.core.ids import JobId, new_id
from fireside.runtime.context import Context
from fireside.runtime.mesh import Service, action
from fireside.services.gateway.job_routes import routes
from tests.services.gateway.gateway_house import chunks, gateway

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
STOCK, SHELF = jobs_of("stock"), jobs_of("shelf")


def job(kind: str, state: JobState = "succeeded", *, percent: float = 100.0) -> JobView:
    return JobView(id=JobId(new_id()), kind=kind, state=state, percent=percent, created_at=BEGAN, updated_at=BEGAN)


class _Jobs(Service):
    """Jobs that were made up; a running one moves on by 50 percent each time somebody looks."""

    def __init__(self, *jobs: JobView) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.asked: list[ListJobs] = []

    def page(self, request: ListJobs) -> JobPage:
        self.asked.append(request)
        jobs, start = list(self.jobs.values()), int(request.cursor or 0)
        end = start + request.limit
        return JobPage(jobs=tuple(jobs[start:end]), next_cursor=str(end) if end < len(jobs) else None)

    def find(self, request: JobRef) -> JobView:
        found = self.jobs.get(request.id)
        if found is None:
            raise NotFoundError("there is no such job")
        if found.state == "running":
            percent = min(found.percent + 50, 100)
            state = "succeeded" if percent == 100 else "running"
            moved = {"percent": percent, "state": state, "updated_at": found.updated_at + timedelta(seconds=1)}
            self.jobs[request.id] = found.model_copy(update=moved)
        return found

    def change(self, request: JobRef, state: JobState, *, unless: JobState) -> JobView:
        found = self.find(request)
        if found.state == unless:
            raise ConflictError(f"the job is {unless}")
        self.jobs[request.id] = found.model_copy(update={"state": state})
        return self.jobs[request.id]


class Stock(_Jobs):
    name: ClassVar[str] = "stock"

    @action(STOCK.list)
    async def list_jobs(self, context: Context, request: ListJobs) -> JobPage:
        return self.page(request)

    @action(STOCK.get)
    async def get_job(self, context: Context, request: JobRef) -> JobView:
        return self.find(request)


class Shelf(_Jobs):
    name: ClassVar[str] = "shelf"

    @action(SHELF.list)
    async def list_jobs(self, context: Context, request: ListJobs) -> JobPage:
        return self.page(request)

    @action(SHELF.get)
    async def get_job(self, context: Context, request: JobRef) -> JobView:
        return self.find(request)

    @action(SHELF.cancel)
    async def cancel_job(self, context: Context, request: JobRef) -> JobView:
        return self.change(request, "cancelled", unless="cancelled")

    @action(SHELF.retry)
    async def retry_job(self, context: Context, request: JobRef) -> JobView:
        return self.change(request, "queued", unless="succeeded")


STOCK_JOBS = [job("stock.count") for _ in range(3)]
SHELF_JOBS = [job("shelf.dust", "failed"), job("shelf.build")]
RUNNING = job("shelf.paint", "running", percent=0.0)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    shelf = Shelf(*SHELF_JOBS, RUNNING)
    async with gateway(Stock(*STOCK_JOBS), shelf, page=tmp_path, routers=(routes(["stock", "shelf"]),)) as client:
        yield client


async def pages(client: httpx.AsyncClient, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        page = (await client.get("/api/v1/jobs", params=query)).json()
        found.append([item["id"] for item in page["items"]])
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_every_job_of_every_service_is_listed_once(client: httpx.AsyncClient, limit: int) -> None:
    found = await pages(client, limit)

    assert [job_id for page in found for job_id in page] == [str(job.id) for job in (*STOCK_JOBS, *SHELF_JOBS, RUNNING)]
    assert all(len(page) <= limit for page in found)


async def test_filters_reach_the_services(tmp_path: Path) -> None:
    stock = Stock()
    async with gateway(stock, page=tmp_path, routers=(routes(["stock"]),)) as client:
        await client.get("/api/v1/jobs?kind=stock.count&state=failed&everyone=true&limit=7")

    assert stock.asked == [ListJobs(kind="stock.count", state="failed", everyone=True, limit=7)]


@pytest.mark.parametrize("query", ["cursor=nowhere:1", "limit=0", "limit=101", "state=lost"])
async def test_a_wrong_question_is_the_clients_error(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/api/v1/jobs?{query}")).status_code == 422


async def test_a_job_is_found_in_whichever_service_has_it(client: httpx.AsyncClient) -> None:
    for each in (STOCK_JOBS[1], SHELF_JOBS[1]):
        assert (await client.get(f"/api/v1/jobs/{each.id}")).json()["kind"] == each.kind


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry")])
async def test_a_job_that_nobody_has_is_not_found(client: httpx.AsyncClient, method: str, path: str) -> None:
    reply = await client.request(method, f"/api/v1/jobs/{new_id()}{path}")

    assert reply.status_code == 404
    assert reply.json()["code"] == "not_found"


@pytest.mark.requirement("P12")
async def test_progress_is_told_until_the_end(client: httpx.AsyncClient) -> None:
    reply = await client.get(f"/api/v1/jobs/{RUNNING.id}/events")

    assert reply.headers["content-type"].startswith("text/event-stream")
    told = chunks(reply.content)
    assert [view["percent"] for view in told] == [0, 50, 100, 100]
    names = [line[7:] for line in reply.text.splitlines() if line.startswith("event: ")]
    assert names == ["progress", "progress", "progress", "done"]
    assert [line for line in reply.text.splitlines() if line.startswith("id: ")] == ["id: 1", "id: 2", "id: 3", "id: 4"]


async def test_a_job_that_has_ended_is_told_once(client: httpx.AsyncClient) -> None:
    reply = await client.get(f"/api/v1/jobs/{STOCK_JOBS[0].id}/events")

    assert [view["state"] for view in chunks(reply.content)] == ["succeeded", "succeeded"]


async def test_a_job_is_cancelled_and_tried_again_where_it_is(client: httpx.AsyncClient) -> None:
    path = f"/api/v1/jobs/{SHELF_JOBS[0].id}"

    assert (await client.post(path + "/retry")).json()["state"] == "queued"
    assert (await client.post(path + "/cancel")).json()["state"] == "cancelled"
    refused = await client.post(f"/api/v1/jobs/{SHELF_JOBS[1].id}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
