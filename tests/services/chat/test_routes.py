"""Chat over HTTP and WebSocket, on a real server."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from fireside.contracts.answer import Token
from fireside.contracts.conversation import NumberedEvent
from fireside.core.errors import FiresideError, UnavailableError
from fireside.core.ids import MessageId
from fireside.runtime.context import Context
from fireside.services.chat.routes import routes
from fireside.services.chat.settings import ChatSettings

from .conftest import Chat
from .fakes import PASSAGE, Script

SSE = {"Accept": "text/event-stream"}
NDJSON = {"Accept": "application/x-ndjson"}
NOBODYS_ID = "0192f000-0000-7000-8000-000000000000"


class WithContext:
    """What the gateway does for every request: says who asks."""

    def __init__(self, app: Any, chat: Any) -> None:
        self._app = app
        self._chat = chat

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in {"http", "websocket"}:
            is_other = (b"x-user", b"other") in scope["headers"]
            context: Context = self._chat.someone_else if is_other else self._chat.me
            scope.setdefault("state", {})["context"] = context
        await self._app(scope, receive, send)


@asynccontextmanager
async def serving(chat: Any, *, keep_alive_s: float = 15.0) -> AsyncIterator[aiohttp.ClientSession]:
    application = FastAPI()

    @application.exception_handler(FiresideError)
    async def problem(request: Request, error: FiresideError) -> JSONResponse:
        return JSONResponse(error.to_dict(), error.status)

    application.include_router(routes(ChatSettings(keep_alive_s=keep_alive_s)))
    application.add_middleware(WithContext, chat=chat)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        port = listener.getsockname()[1]
        config = uvicorn.Config(application, log_level="warning", ws="websockets-sansio", lifespan="off")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listener]))
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}/api/v1/") as session:
                yield session
        finally:
            server.should_exit = True
            await task


@pytest.fixture
async def http(app: Chat) -> AsyncIterator[aiohttp.ClientSession]:
    async with serving(app) as session:
        yield session


async def created(http: aiohttp.ClientSession, **fields: Any) -> str:
    async with http.post("conversations", json=fields) as response:
        assert response.status == 201
        return str((await response.json())["id"])


def events_in(body: str) -> list[tuple[int, str, dict[str, Any]]]:
    """The events of a whole SSE body."""
    events = []
    for block in body.strip().split("\n\n"):
        if block.startswith(":"):
            continue
        parts = dict(line.split(": ", 1) for line in block.split("\n"))
        events.append((int(parts["id"]), parts["event"], json.loads(parts["data"])))
    return events


async def test_an_answer_comes_as_json_with_everything_known_about_it(http: aiohttp.ClientSession) -> None:
    conversation_id = await created(http, title="T")

    async with http.post(f"conversations/{conversation_id}/messages", json={"content": "Days?"}) as response:
        answer = await response.json()

    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert answer["message_id"] == answer["id"]
    assert (answer["content"], answer["mode"], answer["model"]) == ("Thirty days [1].", "company", "scripted")
    assert answer["sources"][0]["chunk_id"] == str(PASSAGE.chunk_id)
    assert (answer["state"], answer["confidence"]) == ("complete", 0.8)
    assert answer["steps"]


@pytest.mark.requirement("U1")
async def test_an_answer_streams_as_server_sent_events(http: aiohttp.ClientSession) -> None:
    conversation_id = await created(http)

    async with http.post(
        f"conversations/{conversation_id}/messages", json={"content": "Days?"}, headers=SSE
    ) as response:
        events = events_in(await response.text())

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    assert "".join(data["text"] for _, name, data in events if name == "token") == "Thirty days [1]."
    assert [name for _, name, _ in events][-2:] == ["final", "done"]
    assert events[-2][2]["message_id"] == response.headers["x-message-id"]
    assert events[-1][2] == {}
    async with http.get(f"conversations/{conversation_id}/messages") as listed:
        assert (await listed.json())["items"][1]["id"] == response.headers["x-message-id"]


@pytest.mark.requirement("U1")
async def test_an_answer_streams_as_lines_of_json(http: aiohttp.ClientSession) -> None:
    conversation_id = await created(http)

    async with http.post(
        f"conversations/{conversation_id}/messages", json={"content": "Days?"}, headers=NDJSON
    ) as response:
        lines = [json.loads(line) for line in (await response.text()).splitlines()]

    assert response.headers["content-type"].startswith("application/x-ndjson")
    assert [line["id"] for line in lines] == list(range(1, len(lines) + 1))
    assert "".join(line["text"] for line in lines if line["type"] == "token") == "Thirty days [1]."
    assert lines[-1] == {"id": len(lines), "type": "done"}


async def test_the_first_words_arrive_before_the_last_are_written(app: Chat, http: aiohttp.ClientSession) -> None:
    app.respond.script = Script(hold_after=2)
    conversation_id = await created(http)

    async with http.post(
        f"conversations/{conversation_id}/messages", json={"content": "Days?"}, headers=SSE
    ) as response:
        async with asyncio.timeout(5):
            async for line in response.content:
                if b"days" in line:
                    break
        app.respond.script.go_on.set()
        assert b"event: done" in await response.read()


async def test_a_lost_connection_is_taken_up_by_its_last_event_id(app: Chat, http: aiohttp.ClientSession) -> None:
    app.respond.script = Script(hold_after=2)
    conversation_id, question_id = await created(http), str(uuid4())
    body = {"content": "Days?", "id": question_id}
    url = f"conversations/{conversation_id}/messages"
    async with http.post(url, json=body, headers=SSE) as response:
        got = b""
        while b"days" not in got or not got.endswith(b"\n\n"):
            got += await response.content.readany()
        message_id = response.headers["x-message-id"]
        response.close()
    first = events_in(got.decode())
    last = {**SSE, "Last-Event-ID": str(first[-1][0])}
    app.respond.script.go_on.set()

    async with http.get(f"messages/{message_id}/events", headers=last) as response:
        rest = events_in(await response.text())
    async with http.post(url, json=body, headers=last) as response:
        resent = events_in(await response.text())
    async with http.get(f"messages/{question_id}/events") as response:
        whole = events_in(await response.text())

    assert first + rest == whole
    assert resent == rest
    assert whole[-1][1] == "done"


async def test_a_last_event_id_that_is_none_is_refused_by_its_name(app: Chat, http: aiohttp.ClientSession) -> None:
    answer = await app.ask(await app.conversation())

    for value, status in (
        ("abc", 422),
        ("-1", 422),
        ("1.5", 422),
        ("٣", 422),
        ("", 200),
        ("9" * 40, 200),
        ("9" * 41, 422),
    ):
        headers = {**SSE, "Last-Event-ID": value}
        async with http.get(f"messages/{answer.message_id}/events", headers=headers) as response:
            assert response.status == status, value
            assert status == 200 or "Last-Event-ID" in await response.text()


async def test_silence_is_filled_with_keep_alives(app: Chat) -> None:
    app.respond.script = Script(hold_after=1)
    async with serving(app, keep_alive_s=0.02) as http:
        conversation_id = await created(http)
        async with http.post(
            f"conversations/{conversation_id}/messages", json={"content": "Days?"}, headers=SSE
        ) as response:
            async with asyncio.timeout(5):
                async for line in response.content:
                    if line.startswith(b":"):
                        break
            app.respond.script.go_on.set()
            assert b"event: done" in await response.read()


async def test_what_is_refused_has_its_own_status_in_every_format(app: Chat, http: aiohttp.ClientSession) -> None:
    mine = (await app.conversation()).id
    for headers in ({}, SSE, NDJSON):
        async with http.post(
            f"conversations/{mine}/messages", json={"content": "x"}, headers={**headers, "x-user": "other"}
        ) as response:
            assert (response.status, (await response.json())["code"]) == (404, "conversation_not_found")
        for body in ({"content": "   "}, {}, {"content": "x", "id": "no uuid"}, {"content": "x", "mode": "loud"}):
            async with http.post(f"conversations/{mine}/messages", json=body, headers=headers) as response:
                assert response.status == 422, body


async def test_a_failed_answer_as_json_is_a_problem_with_its_message(app: Chat, http: aiohttp.ClientSession) -> None:
    app.respond.script = Script(words=("Thirty",), error=UnavailableError("model died"))
    conversation_id = await created(http)

    async with http.post(f"conversations/{conversation_id}/messages", json={"content": "Days?"}) as response:
        problem = await response.json()

    assert (response.status, problem["code"], problem["message"]) == (503, "unavailable", "model died")
    async with http.get(f"messages/{problem['details']['message_id']}") as response:
        assert (await response.json())["content"] == "Thirty"


async def test_context_edit_regenerate_stop_and_feedback(app: Chat, http: aiohttp.ClientSession) -> None:
    conversation_id = await created(http)
    posts = f"conversations/{conversation_id}/messages"
    async with http.post(posts, json={"content": "We are in Berlin.", "answer": False}) as response:
        assert response.status == 201
        assert (await response.json())["context_only"] is True
    async with http.post(posts, json={"content": "Where?"}) as response:
        answer = await response.json()
    async with http.post(f"messages/{answer['id']}/regenerate") as response:
        again = await response.json()
    async with http.post(f"messages/{answer['parent_id']}/edit", json={"content": "Who?"}, headers=SSE) as response:
        edited = events_in(await response.text())
    async with http.post(f"messages/{answer['id']}/stop") as response:
        assert (await response.json())["state"] == "complete"
    for status in (201, 409):
        async with http.post(f"messages/{answer['id']}/feedback", json={"rating": 1, "comment": "ok"}) as response:
            assert response.status == status
    async with http.post(f"messages/{answer['id']}/feedback", json={"rating": 5}) as response:
        assert response.status == 422

    assert again["parent_id"] == answer["parent_id"]
    assert edited[-1][1] == "done"
    async with http.get(posts, params={"limit": 100}) as response:
        messages = (await response.json())["items"]
    assert [m["role"] for m in messages] == ["user", "user", "assistant", "assistant", "user", "assistant"]


async def test_conversations_are_managed_listed_exported_and_imported(http: aiohttp.ClientSession) -> None:
    conversation_id = await created(http, title="Alpha", tags=["x"])
    await created(http, title="Beta")
    one = f"conversations/{conversation_id}"
    async with http.patch(one, json={"title": "Gamma", "pinned": True}) as response:
        assert ((await response.json())["title"], response.status) == ("Gamma", 200)
    async with http.get("conversations", params={"limit": 1}) as response:
        page = await response.json()
    assert ([item["title"] for item in page["items"]], page["next_cursor"] is None) == (["Gamma"], False)
    async with http.get("conversations", params={"query": "beta", "cursor": ""}) as response:
        assert [item["title"] for item in (await response.json())["items"]] == ["Beta"]
    async with http.get("messages", params={"query": "gamma"}) as response:
        assert [hit["title"] for hit in (await response.json())["items"]] == ["Gamma"]
    async with http.get(f"{one}/export", params={"format": "json"}) as response:
        exported = await response.read()
        assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''Gamma.json"
    async with http.post("conversations/import", data=exported) as response:
        assert ((await response.json())["title"], response.status) == ("Gamma", 201)
    async with http.post("conversations/import", data=b"\xff") as response:
        assert response.status == 422
    async with http.get(f"{one}/export", params={"format": "exe"}) as response:
        assert response.status == 422
    async with http.delete(one) as response:
        assert (response.status, await response.read()) == (204, b"")
    async with http.get(one) as response:
        assert response.status == 404
    async with http.post(f"{one}/restore") as response:
        assert (await response.json())["id"] == conversation_id
    for bad in ({"limit": 0}, {"limit": 101}, {"cursor": "nonsense"}):
        async with http.get("conversations", params=bad) as response:
            assert response.status == 422, bad


async def until_done(ws: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = []
    async with asyncio.timeout(5):
        while not frames or frames[-1]["type"] != "done":
            frames.append(await ws.receive_json())
    return frames


@pytest.mark.requirement("U1")
async def test_a_socket_speaks_the_same_events(http: aiohttp.ClientSession) -> None:
    conversation_id = await created(http)

    async with http.ws_connect("ws") as ws:
        await ws.send_json({"type": "ask", "ref": "r1", "conversation_id": conversation_id, "content": "Days?"})
        accepted, *frames = await until_done(ws)
        await ws.send_json({"type": "resume", "message_id": frames[0]["message_id"], "after": frames[-3]["id"]})
        _, *rest = await until_done(ws)

    assert accepted == {"type": "accepted", "ref": "r1", "message_id": frames[0]["message_id"]}
    assert [frame["id"] for frame in frames] == list(range(1, len(frames) + 1))
    assert {frame["message_id"] for frame in frames} == {accepted["message_id"]}
    assert "".join(frame["text"] for frame in frames if frame["type"] == "token") == "Thirty days [1]."
    assert rest == frames[-2:]


async def test_one_socket_stops_what_another_one_asked(app: Chat, http: aiohttp.ClientSession) -> None:
    app.respond.script = Script(hold_after=1)
    conversation_id = await created(http)
    async with http.ws_connect("ws") as asking, http.ws_connect("ws") as stopping:
        await asking.send_json({"type": "ask", "conversation_id": conversation_id, "content": "Days?"})
        accepted = await asking.receive_json()
        await asyncio.wait_for(app.respond.script.reached_hold.wait(), 5)
        await stopping.send_json({"type": "stop", "ref": "s", "message_id": accepted["message_id"]})
        stopped = await stopping.receive_json()
        frames = await until_done(asking)

    assert (stopped["type"], stopped["ref"], stopped["message"]["state"]) == ("message", "s", "stopped")
    assert frames[-2]["content"] == "Thirty "


async def test_several_answers_share_a_socket_with_edits_and_context(http: aiohttp.ClientSession) -> None:
    first, second = await created(http), await created(http)
    async with http.ws_connect("ws") as ws:
        await ws.send_json({"type": "ask", "conversation_id": first, "content": "Note", "answer": False, "ref": "n"})
        note = await ws.receive_json()
        for conversation_id in (first, second):
            await ws.send_json({"type": "ask", "conversation_id": conversation_id, "content": "Days?"})
        frames: list[dict[str, Any]] = []
        while [frame["type"] for frame in frames].count("done") < 2:
            frames.append(await ws.receive_json())
        answer_id = frames[0]["message_id"]
        await ws.send_json({"type": "regenerate", "message_id": answer_id})
        again = await until_done(ws)
        await ws.send_json({"type": "edit", "message_id": note["message"]["id"], "content": "Who?"})
        edited = await until_done(ws)

    assert note["message"]["context_only"] is True
    for message_id in {frame["message_id"] for frame in frames}:
        mine = [frame for frame in frames if frame["message_id"] == message_id]
        assert [f["id"] for f in mine if "id" in f] == list(range(1, len(mine)))
    assert again[0]["message_id"] not in {answer_id, edited[0]["message_id"]}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "invalid_input"),
        ("[]", "invalid_input"),
        ('{"type": "shout"}', "invalid_input"),
        ('{"type": "stop"}', "invalid_input"),
        (json.dumps({"type": "stop", "ref": "r", "message_id": NOBODYS_ID}), "message_not_found"),
        (
            json.dumps({"type": "ask", "ref": "r", "conversation_id": NOBODYS_ID, "content": "x"}),
            "conversation_not_found",
        ),
    ],
)
async def test_a_bad_frame_is_answered_and_the_socket_lives_on(
    http: aiohttp.ClientSession, frame: str, code: str
) -> None:
    conversation_id = await created(http)
    async with http.ws_connect("ws") as ws:
        await ws.send_str(frame)
        error = await ws.receive_json()
        await ws.send_json({"type": "ask", "conversation_id": conversation_id, "content": "Days?"})
        assert (await until_done(ws))[-1]["type"] == "done"

    assert (error["type"], error["code"], "id" in error) == ("error", code, False)
    assert error["ref"] == ("r" if "not_found" in code else "")


async def test_closing_a_socket_does_not_end_the_answer(app: Chat, http: aiohttp.ClientSession) -> None:
    app.respond.script = Script(hold_after=1)
    conversation_id = await created(http)
    async with http.ws_connect("ws") as ws:
        await ws.send_json({"type": "ask", "conversation_id": conversation_id, "content": "Days?"})
        accepted = await ws.receive_json()
        await asyncio.wait_for(app.respond.script.reached_hold.wait(), 5)
    app.respond.script.go_on.set()

    async with http.get(f"messages/{accepted['message_id']}/events") as response:
        assert events_in(await response.text())[-1][1] == "done"


async def test_a_binary_frame_closes_the_socket(http: aiohttp.ClientSession) -> None:
    async with http.ws_connect("ws") as ws:
        await ws.send_bytes(b"\x00")
        message = await asyncio.wait_for(ws.receive(), 5)

    assert message.type is aiohttp.WSMsgType.CLOSE or message.type is aiohttp.WSMsgType.CLOSED


async def test_one_socket_reads_only_so_many_answers_at_once(app: Chat, http: aiohttp.ClientSession) -> None:
    app.respond.script = Script(hold_after=1)
    conversation_id = await created(http)
    async with http.ws_connect("ws") as ws:
        await ws.send_json({"type": "ask", "conversation_id": conversation_id, "content": "Days?"})
        message_id = (await ws.receive_json())["message_id"]
        for number in range(32):
            await ws.send_json({"type": "resume", "ref": str(number), "message_id": message_id})
        async with asyncio.timeout(5):
            while (frame := await ws.receive_json())["type"] != "error":
                pass

    assert (frame["code"], frame["ref"]) == ("too_many_requests", "31")


async def test_an_error_while_reading_is_told_in_the_stream_without_an_id() -> None:
    async def events() -> AsyncIterator[NumberedEvent]:
        yield NumberedEvent(id=1, message_id=MessageId(uuid4()), event=Token(text="Thirty"))
        raise UnavailableError("the node went away")

    class Reading:
        def stream(self, *_: Any) -> AsyncIterator[NumberedEvent]:
            return events()

    chat = SimpleNamespace(me=Reading(), someone_else=None)
    async with serving(chat) as http, http.get(f"messages/{uuid4()}/events") as response:
        text = await response.text()

    assert response.status == 200
    last = text.strip().split("\n\n")[-1]
    assert last.startswith("event: error\ndata: ")
    assert "the node went away" in last


async def test_events_beyond_the_end_are_not_found_as_json_and_an_empty_stream_otherwise(
    app: Chat, http: aiohttp.ClientSession
) -> None:
    answer = await app.ask(await app.conversation())
    url, last = f"messages/{answer.message_id}/events", {"Last-Event-ID": "999"}

    async with http.get(url, headers={**last, "Accept": "application/json"}) as response:
        assert response.status == 404
    async with http.get(url, headers=last) as response:
        assert (response.status, await response.read()) == (200, b"")
    async with http.get(url, headers={"Accept": "application/json"}) as response:
        assert (await response.json())["message_id"] == str(answer.message_id)
