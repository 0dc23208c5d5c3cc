"""`/api/v1/admin/dead-letters`: what two services gave up, under one roof."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import httpx
import pytest

from fireside.contracts.jobs import DeadLetter, DeadLetterPage, DeadLetterRef, ListDeadLetters, jobs_of
from fireside.core.errors import NotFoundError
from fireside.runtime.context import Context
from fireside.runtime.mesh import Service, action
from fireside.services.gateway.dead_letter_routes import routes
from tests.services.gateway.gateway_house import gateway, person

pytestmark = pytest.mark.requirement("P8")

STOCK, SHELF = jobs_of("stock"), jobs_of("shelf")


def letter(name: str) -> DeadLetter:
    error = {"code": "upstream", "message": "no"}
    return DeadLetter(
        id=uuid4(), type="job", name=name, subject_id=uuid4(), attempts=1, error=error, occurred_at=datetime.now(UTC)
    )


class _Desk(Service):
    def __init__(self, *letters: DeadLetter) -> None:
        self.letters = list(letters)

    def page(self, request: ListDeadLetters) -> DeadLetterPage:
        start = int(request.cursor or 0)
        end = start + request.limit
        return DeadLetterPage(
            letters=tuple(self.letters[start:end]), next_cursor=str(end) if end < len(self.letters) else None
        )

    def take(self, request: DeadLetterRef) -> DeadLetter:
        for found in self.letters:
            if found.id == request.id:
                self.letters.remove(found)
                return found
        raise NotFoundError("there is no such dead letter")


class Stock(_Desk):
    name: ClassVar[str] = "stock"

    @action(STOCK.dead)
    async def dead(self, context: Context, request: ListDeadLetters) -> DeadLetterPage:
        return self.page(request)

    @action(STOCK.redrive)
    async def redrive(self, context: Context, request: DeadLetterRef) -> DeadLetter:
        return self.take(request)


class Shelf(_Desk):
    name: ClassVar[str] = "shelf"

    @action(SHELF.dead)
    async def dead(self, context: Context, request: ListDeadLetters) -> DeadLetterPage:
        return self.page(request)

    @action(SHELF.redrive)
    async def redrive(self, context: Context, request: DeadLetterRef) -> DeadLetter:
        return self.take(request)


LETTERS = {"stock": [letter("stock.count") for _ in range(3)], "shelf": [letter("shelf.dust") for _ in range(2)]}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    services = Stock(*LETTERS["stock"]), Shelf(*LETTERS["shelf"])
    routers = (routes(["stock", "shelf"]),)
    async with gateway(*services, page=tmp_path, routers=routers, identity=person("admin")) as client:
        yield client


async def listed(client: httpx.AsyncClient, limit: int) -> list[tuple[str, str]]:
    found, query = list[tuple[str, str]](), dict[str, Any](limit=limit)
    while True:
        page = (await client.get("/api/v1/admin/dead-letters", params=query)).json()
        assert len(page["items"]) <= limit
        found += [(item["service"], item["id"]) for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_every_dead_letter_of_every_service_is_listed_once(client: httpx.AsyncClient, limit: int) -> None:
    expected = [(service, str(letter.id)) for service, letters in LETTERS.items() for letter in letters]

    assert await listed(client, limit) == expected


async def test_a_dead_letter_is_driven_again_by_the_service_that_has_it(client: httpx.AsyncClient) -> None:
    chosen = LETTERS["shelf"][1]

    driven = await client.post(f"/api/v1/admin/dead-letters/{chosen.id}/redrive")
    again = await client.post(f"/api/v1/admin/dead-letters/{chosen.id}/redrive")

    assert driven.json()["id"] == str(chosen.id)
    assert again.status_code == 404
    assert ("shelf", str(chosen.id)) not in await listed(client, 100)


async def test_dead_letters_are_for_managers_of_jobs_alone(tmp_path: Path) -> None:
    async with gateway(Stock(), page=tmp_path, routers=(routes(["stock"]),)) as client:
        assert (await client.get("/api/v1/admin/dead-letters")).status_code == 403
        assert (await client.post(f"/api/v1/admin/dead-letters/{uuid4()}/redrive")).status_code == 403


async def test_a_cursor_that_no_page_gave_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/admin/dead-letters?cursor=elsewhere:1")).status_code == 422
