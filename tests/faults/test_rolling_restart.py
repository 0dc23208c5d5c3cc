"""Every node is started anew, one after the other, behind the shipped nginx: nobody at work notices."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.faults.edge import running_edge
from tests.faults.effects import lost_and_doubled
from tests.faults.load import PATIENCE_S, under_load
from tests.faults.setting import GATEWAYS, NODES, SLOW_MODEL, ClusterSetting

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]
LISTENERS = ("documents", "vectors")
TELLERS = tuple(name for name in NODES if name not in LISTENERS)
STORY = " ".join(f"word{n}" for n in range(24))
"""Said again word by word, it takes longer than a gateway waits for its streams when it stops."""


class Story:
    """One long answer, read to its end; where a connection breaks off, reading goes on at the edge.

    Attributes:
        events: Id, name and data of each event that came.
        begun: Set when it is being told.
        resumed: How often reading went on.
    """

    def __init__(self, session: aiohttp.ClientSession, edge: str) -> None:
        self.events: list[tuple[int, str, Any]] = []
        self.begun = asyncio.Event()
        self.resumed = 0
        self._session, self._edge = session, edge

    async def read(self, url: str) -> None:
        """Ask for it at `url`, and read."""
        async with self._session.post(f"{self._edge}/api/v1/conversations", json={"mode": "general"}) as reply:
            assert reply.status == 201, await reply.text()
            conversation, question = (await reply.json())["id"], str(uuid4())
        body = {"id": question, "content": STORY, "model": SLOW_MODEL}
        await self._follow(self._session.post(f"{url}/api/v1/conversations/{conversation}/messages", json=body))
        while self.events[-1][1] != "done":
            self.resumed += 1
            after = {"last-event-id": str(self.events[-1][0])}
            await self._follow(self._session.get(f"{self._edge}/api/v1/messages/{question}/events", headers=after))

    def assert_whole(self) -> None:
        """Every word came once, in order, and no error."""
        assert [name for _, name, _ in self.events if name == "error"] == []
        assert [number for number, _, _ in self.events] == sorted({number for number, _, _ in self.events})
        said = "".join(data["text"] for _, name, data in self.events if name == "token")
        assert said == next(data["content"] for _, name, data in self.events if name == "final") == STORY

    async def _follow(self, request: Any) -> None:
        """Take the events of a reply until it ends or its connection breaks."""
        try:
            async with request as reply:
                assert reply.status == 200, await reply.text()
                async for event in _events_of(reply):
                    self.events.append(event)
                    if event[1] == "token":
                        self.begun.set()
        except aiohttp.ClientPayloadError:
            assert self.events, "the connection broke before the first event"


async def _events_of(reply: aiohttp.ClientResponse) -> AsyncGenerator[tuple[int, str, Any]]:
    number, name = 0, ""
    async for raw in reply.content:
        field, _, value = raw.decode().rstrip("\n").partition(": ")
        if field == "id":
            number = int(value)
        elif field == "event":
            name = value
        elif field == "data":
            yield number, name, json.loads(value)


async def restart_during_a_story(setting: ClusterSetting, name: str, edge: str) -> Story:
    """Start a node anew while a story is told, through this very node when it is a gateway."""
    headers = {"authorization": f"Bearer {setting.cluster.key}", "accept": "text/event-stream"}
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        story = Story(session, edge)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(story.read(setting.cluster.nodes[name].url if name in GATEWAYS else edge))
            await story.begun.wait()
            await asyncio.to_thread(setting.cluster.restart, name)
    return story


@pytest.mark.requirement("P3", "P20", "O7")
async def test_no_request_fails_while_every_node_is_started_anew(setting: ClusterSetting, tmp_path: Path) -> None:
    with running_edge(tmp_path, setting.gateways) as edge:
        async with under_load([edge], setting.cluster.key) as load:
            for name in LISTENERS:
                await asyncio.to_thread(setting.cluster.restart, name)
            stories = {name: await restart_during_a_story(setting, name, edge) for name in TELLERS}
            await load.rest()
            lost_or_doubled = await lost_and_doubled(load, setting.database_url)

    assert [attempt for attempt in load.attempts if attempt.outcome != "answered"] == []
    assert lost_or_doubled == ([], [])
    for name, story in stories.items():
        story.assert_whole()
        assert story.resumed == (1 if name in GATEWAYS else 0)
