"""Bytes that go with a request."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from fireside.bootstrap.transporters import Transporters
from fireside.contracts.base import PUBLIC, Action, Contract, Nothing
from fireside.core.errors import ConflictError, FiresideError, InternalError, InvalidInputError, UnavailableError
from fireside.ports.transporter import TransporterError
from fireside.runtime.mesh import Context, Node, Service, Tools, action
from fireside.runtime.middleware.retry import RetryPolicy
from fireside.testing.mesh import MeshOfNodes, mesh_of_nodes

from .outsider import Outsider


class Received(Contract):
    size: int
    pieces: int


STORE = Action("files.store", Nothing, Received, access=PUBLIC, idempotent=True)
PEEK = Action("files.peek", Nothing, Received, access=PUBLIC)
BARE = Action("files.bare", Nothing, Nothing, access=PUBLIC)


class Files(Service):
    name = "files"

    def __init__(self) -> None:
        self.content = b""
        self.calls = 0
        self.pieces = 0
        self.refuses = False
        self.slow = asyncio.Event()
        self.slow.set()
        self.nested_body: object = "not called"

    @action(STORE)
    async def store(self, context: Context, request: Nothing) -> Received:
        self.calls += 1
        if self.refuses:
            raise UnavailableError("not now")
        assert context.body is not None
        async for piece in context.body:
            self.content += piece
            self.pieces += 1
            await self.slow.wait()
        await context.call(BARE, Nothing())
        return Received(size=len(self.content), pieces=self.pieces)

    @action(PEEK)
    async def peek(self, context: Context, request: Nothing) -> Received:
        assert context.body is not None
        async for piece in context.body:
            return Received(size=len(piece), pieces=1)
        return Received(size=0, pieces=0)

    @action(BARE)
    async def bare(self, context: Context, request: Nothing) -> Nothing:
        self.nested_body = context.body
        return request


class Source:
    """Chunks, and how many were asked for."""

    def __init__(self, *chunks: bytes | Exception, endless: bool = False) -> None:
        self.chunks, self.endless = chunks, endless
        self.given = 0

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            self.given += 1
            yield chunk
        while self.endless:
            self.given += 1
            yield b"x" * 10


@pytest.fixture
def transporters() -> Transporters:
    return Transporters()


@pytest.fixture
async def mesh(transporters: Transporters) -> AsyncIterator[MeshOfNodes]:
    async with mesh_of_nodes(lambda _: transporters.make("memory://")) as mesh:
        yield mesh


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
async def server(mesh: MeshOfNodes, files: Files) -> Node:
    return await mesh.add("server", files)


@pytest.fixture
async def client(mesh: MeshOfNodes, server: Node) -> Node:
    return await mesh.add("client", stream_window=8)


@pytest.fixture(params=["here", "from afar"])
async def caller(request: pytest.FixtureRequest, server: Node, client: Node) -> Node:
    return server if request.param == "here" else client


async def test_bytes_arrive_with_the_request_whole_and_in_order(caller: Node, files: Files) -> None:
    chunks = [bytes([number]) * 1000 for number in range(200)]

    received = await caller.context().with_body(Source(*chunks)).call(STORE, Nothing())

    assert files.content == b"".join(chunks)
    assert received == Received(size=200_000, pieces=200)
    assert files.nested_body is None


async def test_an_empty_body_is_a_body(caller: Node) -> None:
    assert await caller.context().with_body(Source()).call(STORE, Nothing()) == Received(size=0, pieces=0)


async def test_long_chunks_are_cut_for_the_wire(client: Node, files: Files, mesh: MeshOfNodes) -> None:
    await client.context().with_body(Source(b"x" * 1_000_000)).call(STORE, Nothing())

    assert len(files.content) == 1_000_000
    assert max(len(packet) for _, _, packet in mesh.lines["client"].sent) < 300_000


async def test_a_source_is_read_no_faster_than_the_action_reads(client: Node, files: Files) -> None:
    source = Source(endless=True)
    files.slow.clear()
    call = asyncio.create_task(client.context().with_body(source).call(STORE, Nothing()))
    before = -1
    while before != source.given:
        before = source.given
        for _ in range(50):
            await asyncio.sleep(0)

    assert 0 < source.given <= 8 + files.pieces + 1
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_an_action_need_not_read_to_the_end(caller: Node) -> None:
    received = await caller.context().with_body(Source(b"abc", endless=True)).call(PEEK, Nothing())

    assert received.size == 3


async def test_an_error_of_the_source_reaches_the_action(caller: Node) -> None:
    source = Source(b"abc", ConflictError("the file changed"))

    with pytest.raises(ConflictError, match="the file changed"):
        await caller.context().with_body(source).call(STORE, Nothing())


async def test_a_broken_source_fails_the_call_without_telling_why_to_others(client: Node, mesh: MeshOfNodes) -> None:
    with pytest.raises(InternalError):
        await client.context().with_body(Source(b"abc", ValueError("a private detail"))).call(STORE, Nothing())

    assert not any(b"private" in packet for _, _, packet in mesh.lines["client"].sent)


async def test_a_call_with_a_body_is_never_made_again(caller: Node, files: Files) -> None:
    files.refuses = True

    with pytest.raises(UnavailableError, match="not now"):
        await caller.context().with_body(Source(b"abc")).call(STORE, Nothing())

    assert files.calls == 1


async def test_a_chunk_that_cannot_be_sent_fails_the_call(mesh: MeshOfNodes, server: Node) -> None:
    client = await mesh.add("client", tools=Tools(retry=RetryPolicy(attempts=1)))

    class CutLine(Source):
        async def __aiter__(self) -> AsyncGenerator[bytes, None]:
            yield b"first"
            mesh.lines["client"].refuses = {"REQ"}
            yield b"second"

    with pytest.raises(TransporterError):
        await client.context().with_body(CutLine()).call(STORE, Nothing())


async def test_a_stream_of_a_node_js_caller_is_understood(
    transporters: Transporters, server: Node, files: Files
) -> None:
    """As moleculer 0.14 sends a stream: the first request without a chunk, then Buffers, then the end."""
    outsider = Outsider(transporters.make("memory://"))
    await outsider.connect()
    common = {"id": "c-1", "action": "files.store", "meta": {}}

    await outsider.send("REQ", "server", params={}, stream=True, seq=0, **common)
    for seq, data in enumerate([[1, 2], [3]], start=1):
        await outsider.send("REQ", "server", params={"type": "Buffer", "data": data}, stream=True, seq=seq, **common)
    await outsider.send("REQ", "server", params=None, stream=False, seq=3, **common)

    assert (await outsider.response("c-1"))["data"] == {"size": 3, "pieces": 2}
    assert files.content == b"\x01\x02\x03"


@pytest.mark.parametrize(
    ("version", "place"), [("4", "meta"), ("5", "headers")], ids=["moleculer 0.14", "moleculer 0.15"]
)
async def test_the_error_of_a_node_js_stream_ends_ours(
    transporters: Transporters, server: Node, version: str, place: str
) -> None:
    outsider = Outsider(transporters.make("memory://"))
    await outsider.connect()
    common = {"id": "c-1", "action": "files.store", "ver": version}
    error = {"name": "ValidationError", "message": "bad file", "code": 422, "type": "VALIDATION_ERROR", "data": {}}

    await outsider.send("REQ", "server", params={}, stream=True, seq=0, meta={}, **common)
    ends = {"meta": {}, place: {"$streamError": error}}
    await outsider.send("REQ", "server", params=None, stream=False, seq=1, **{**common, **ends})

    answer = await outsider.response("c-1")
    assert (answer["success"], answer["error"]["type"]) == (False, "invalid_input")


@pytest.mark.parametrize("chunk", [17, "not base64!", {"type": "Buffer"}, {"type": "Buffer", "data": [999]}])
async def test_what_is_no_chunk_is_refused(transporters: Transporters, server: Node, chunk: object) -> None:
    outsider = Outsider(transporters.make("memory://"))
    await outsider.connect()
    common = {"id": "c-1", "action": "files.store", "meta": {}}

    await outsider.send("REQ", "server", params={}, stream=True, seq=0, **common)
    await outsider.send("REQ", "server", params=chunk, stream=True, seq=1, **common)

    assert (await outsider.response("c-1"))["error"]["type"] == InvalidInputError.code


async def test_an_error_that_makes_no_sense_still_ends_the_stream(transporters: Transporters, server: Node) -> None:
    outsider = Outsider(transporters.make("memory://"))
    await outsider.connect()
    common = {"id": "c-1", "action": "files.store"}

    await outsider.send("REQ", "server", params={}, stream=True, seq=0, meta={}, **common)
    await outsider.send("REQ", "server", stream=False, seq=1, meta={"$streamError": "what?"}, **common)

    assert (await outsider.response("c-1"))["error"]["type"] == FiresideError.code


async def test_a_foreign_node_is_sent_buffers(transporters: Transporters, mesh: MeshOfNodes) -> None:
    client = await mesh.add("client", foreign_actions=["js.*"])
    outsider = Outsider(transporters.make("memory://"))
    await outsider.connect()
    services = [{"name": "js", "actions": {"js.store": {"name": "js.store"}}}]
    await outsider.send("INFO", None, services=services, instanceID="i", seq=1, config={}, client={})
    store = Action("js.store", Nothing, Received, access=PUBLIC)
    assert await client.wait_for(store, timeout_s=5)

    call = asyncio.create_task(client.context().with_body(Source(b"ab", b"c")).call(store, Nothing()))
    requests = await outsider.requests(4)
    answer = {"id": requests[0]["id"], "success": True, "data": {"size": 3, "pieces": 2}, "meta": {}}
    await outsider.send("RES", "client", **answer)

    assert await call == Received(size=3, pieces=2)
    assert [(packet["seq"], packet["stream"]) for packet in requests] == [
        (0, True), (1, True), (2, True), (3, False),
    ]  # fmt: skip
    assert [packet["params"] for packet in requests[1:3]] == [
        {"type": "Buffer", "data": [97, 98]},
        {"type": "Buffer", "data": [99]},
    ]
    assert json.dumps(requests).count("token") == 0
