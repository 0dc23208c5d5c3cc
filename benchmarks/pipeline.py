"""The whole way of a question - think, search, respond, check - with a scripted model, against that model alone."""

import asyncio
import statistics

import aiohttp

from benchmarks.chatting import ask, complete
from benchmarks.paired import differences, measure, quality_of_run
from benchmarks.serving import fireside, headers_of, scripted_server, with_server
from fireside.testing.process import FiresideProcess

DOCUMENT = "# Travel\n\nTravellers book trains through the travel desk. The desk closes at half past four.\n"
QUESTION = "When does the travel desk close?"


def main() -> None:
    """Measure and print."""
    with scripted_server() as upstream, fireside(with_server(upstream)) as house:
        asyncio.run(_measure(upstream, house))


async def _measure(upstream: str, house: FiresideProcess) -> None:
    async with aiohttp.ClientSession() as session:
        await _ingest(session, house)

        async def total(url: str, model: str) -> float:
            return (await complete(session, url, headers_of(house), ask(model, QUESTION))).total_ms

        targets = {
            "model": lambda: total(upstream, "scripted"),
            "pipeline": lambda: total(house.url, "fireside"),
        }
        found = await measure(targets)
    print(quality_of_run(found["model"]))
    print(f"the model alone: {statistics.median(found['model']):.1f} ms")
    print(f"added by the whole pipeline: {differences(found, direct='model')['pipeline']} ms")


async def _ingest(session: aiohttp.ClientSession, house: FiresideProcess) -> None:
    headers = {"authorization": headers_of(house)["authorization"]}
    form = aiohttp.FormData()
    form.add_field("files", DOCUMENT, filename="travel.md")
    async with session.post(house.url + "/api/v1/documents", data=form, headers=headers) as reply:
        job = (await reply.json())["job_id"]
    state = ""
    while state not in {"succeeded", "failed", "cancelled"}:
        async with session.get(f"{house.url}/api/v1/jobs/{job}", headers=headers) as reply:
            state = (await reply.json())["state"]
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    main()
