"""Connections to servers of models, on both event loops, against a server that says byte for byte what a test wants."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fireside.adapters.language_model.connections import AddressError, Connections, target_of
from fireside.adapters.language_model.wire import BrokenReplyError, HungUpError, SilentServerError, Wire

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"
INTERIM = b"HTTP/1.1 100 Continue\r\nx-interim: yes\r\n\r\n" + LENGTH

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Remembers the requests that came, each as it stood on the wire, and counts connections."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.opened = 0
        self.open = 0
        self.url = ""
        self.answer: Answer = self.write(LENGTH)

    def write(self, reply: bytes, *, close: bool = False) -> Answer:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(reply)
            await writer.drain()
            if close:
                writer.close()

        return answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.open += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                _, _, length = head.lower().partition(b"content-length: ")
                body = await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
                self.requests.append(head + body)
                await self.answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def serving(server: Server, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Server]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/models"
    async with listening:
        yield server


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving(Server()) as server:
        yield server


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    connections = Connections(most=2, read_timeout_s=0.4, keep_s=0.4)
    yield connections
    await connections.close()


async def whole(wire: Wire) -> bytes:
    return b"".join([data async for data in pieces(wire)])


async def pieces(wire: Wire) -> AsyncIterator[bytes]:
    while data := await wire.read():
        yield data


async def fetch(connections: Connections, server: Server, body: bytes | None = b"{}") -> tuple[int, bytes]:
    wire = await connections.ask(target_of("POST" if body else "GET", server.url, {}), body)
    try:
        return wire.status, await whole(wire)
    finally:
        connections.give_back(wire)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("reply", [LENGTH, CHUNKED, INTERIM])
async def test_replies_of_every_form_are_read_over_one_connection(
    server: Server, connections: Connections, reply: bytes
) -> None:
    server.answer = server.write(reply)

    assert [await fetch(connections, server) for _ in range(3)] == [(200, b"hello")] * 3
    assert server.opened == 1


async def test_a_reply_that_ends_with_its_connection_is_whole(server: Server, connections: Connections) -> None:
    server.answer = server.write(UNTIL_CLOSED, close=True)

    assert [await fetch(connections, server) for _ in range(2)] == [(200, b"hello")] * 2
    assert server.opened == 2


async def test_a_request_stands_on_the_wire_as_it_was_asked_for(server: Server, connections: Connections) -> None:
    target = target_of("POST", server.url.replace("//", "//me:secret@") + "?a=bü", {"x-api-key": "k"})

    connections.give_back(await connections.ask(target, b'{"a":  1}'))
    await fetch(connections, server, body=None)

    posted, got = server.requests
    lines = posted.split(b"\r\n")
    assert lines[0] == b"POST /v1/models?a=b%C3%BC HTTP/1.1"
    assert lines[-1] == b'{"a":  1}'
    assert {b"x-api-key: k", b"content-length: 9", b"authorization: Basic bWU6c2VjcmV0"} <= set(lines)
    assert b"host: " + server.url.split("/")[2].encode() in lines
    assert got.startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert b"content-length" not in got


async def test_a_body_that_is_larger_than_the_socket_takes_at_once_arrives_whole(
    server: Server, connections: Connections
) -> None:
    body = b"x" * 5_000_000

    assert await fetch(connections, server, body) == (200, b"hello")
    assert server.requests[0].endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"", HungUpError),
        (b"HTTP/1.1 200 OK\r\nContent-Le", BrokenReplyError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", BrokenReplyError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", BrokenReplyError),
        (b"220 mail.example.org ESMTP\r\n", BrokenReplyError),
    ],
)
async def test_a_reply_that_breaks_off_is_an_error(
    server: Server, connections: Connections, reply: bytes, expected: type[OSError]
) -> None:
    server.answer = server.write(reply, close=True)

    with pytest.raises(expected):
        await fetch(connections, server)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"])
async def test_a_server_that_falls_silent_is_given_up(server: Server, connections: Connections, reply: bytes) -> None:
    server.answer = server.write(reply)

    with pytest.raises(SilentServerError):
        await fetch(connections, server)
    await until(lambda: server.open == 0)


async def test_whoever_reads_slowly_holds_up_the_server_and_is_not_taken_for_silence(
    server: Server, connections: Connections
) -> None:
    size, written = 64_000_000, 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while written < size:
            writer.write(bytes(1_000_000))
            await writer.drain()
            written += 1_000_000

    server.answer = flood
    wire = await connections.ask(target_of("GET", server.url, {}), None)
    await asyncio.sleep(0.8)  # twice the longest silence
    held_back = written < size
    read = len(await whole(wire))
    connections.give_back(wire)

    assert held_back
    assert read == size


async def test_an_unread_rest_closes_the_connection_so_that_the_server_notices(
    server: Server, connections: Connections
) -> None:
    server.answer = server.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    wire = await connections.ask(target_of("GET", server.url, {}), None)
    assert await wire.read() == b"hello"
    connections.give_back(wire)

    await until(lambda: server.open == 0)


async def test_who_comes_when_all_connections_are_used_waits_for_one(server: Server, connections: Connections) -> None:
    target = target_of("GET", server.url, {})
    used = [await connections.ask(target, None) for _ in range(2)]
    third = asyncio.create_task(connections.ask(target, None))
    await until(lambda: len(server.requests) == 2)
    waited = not third.done()

    assert await whole(used[0]) == b"hello"
    connections.give_back(used[0])
    connections.give_back(await third)
    connections.give_back(used[1])

    assert waited
    assert server.opened == 2


async def test_whoever_leaves_while_they_wait_hangs_up_and_takes_no_place_along(server: Server) -> None:
    connections = Connections(most=2)
    server.answer = server.write(b"")
    for _ in range(3):
        asking = asyncio.create_task(connections.ask(target_of("GET", server.url, {}), None))
        await until(lambda: server.open == 1)
        asking.cancel()
        await asyncio.wait([asking])
        await until(lambda: server.open == 0)
    server.answer = server.write(LENGTH)

    assert await fetch(connections, server) == (200, b"hello")
    await connections.close()


async def test_a_reply_that_nobody_read_is_not_taken_for_the_next(server: Server, connections: Connections) -> None:
    connections.give_back(await connections.ask(target_of("GET", server.url, {}), None))
    server.answer = server.write(LENGTH.replace(b"hello", b"world"))

    assert await fetch(connections, server) == (200, b"world")


async def test_a_connection_that_nobody_uses_is_closed_after_a_while(server: Server, connections: Connections) -> None:
    assert await fetch(connections, server) == (200, b"hello")
    assert server.open == 1

    await until(lambda: server.open == 0)
    assert await fetch(connections, server) == (200, b"hello")
    assert server.opened == 2


@pytest.mark.parametrize("unasked", [LENGTH + LENGTH, LENGTH + b"HTTP/1.1 408 Request Timeout\r\n"])
async def test_a_connection_on_which_more_came_than_was_asked_for_is_not_used_again(
    server: Server, connections: Connections, unasked: bytes
) -> None:
    server.answer = server.write(unasked)

    assert [await fetch(connections, server) for _ in range(2)] == [(200, b"hello")] * 2
    assert server.opened == 2


async def test_a_connection_that_the_server_will_close_is_not_used_again(
    server: Server, connections: Connections
) -> None:
    server.answer = server.write(LENGTH.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))

    assert [await fetch(connections, server) for _ in range(2)] == [(200, b"hello")] * 2
    assert server.opened == 2


@pytest.mark.requirement("S7")
@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_server_with_tls_shows_a_certificate_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_trusted: bool
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    connections = Connections(most=1)

    async with serving(Server(), tls) as server:
        if is_trusted:
            assert [await fetch(connections, server) for _ in range(2)] == [(200, b"hello")] * 2
            assert server.opened == 1
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                await fetch(connections, server)
            assert server.requests == []
        await connections.close()


@pytest.mark.parametrize("address", ["localhost:80", "ftp://example.org", "/v1", "http://", "http://example.org:port"])
def test_what_is_no_address_of_a_web_server_is_refused(address: str) -> None:
    with pytest.raises(AddressError):
        target_of("GET", address, {})


def test_a_key_cannot_bring_headers_of_its_own() -> None:
    with pytest.raises(AddressError, match="line break"):
        target_of("GET", "http://example.org", {"authorization": "Bearer x\r\nx-other: y"})


def test_hosts_of_every_form_are_named_as_servers_expect_them() -> None:
    def host_of(address: str) -> str:
        head = target_of("GET", address, {}).head.decode()
        return head.split("host: ")[1].split("\r\n")[0]

    assert host_of("http://[::1]:81/a") == "[::1]:81"
    assert host_of("https://bücher.example/") == "xn--bcher-kva.example"


def make_certificate(certificate: Path, key: Path) -> None:
    """A certificate for 127.0.0.1 that vouches for itself."""
    secret, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=True)
        .sign(secret, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(secret.private_bytes(encoding, form, serialization.NoEncryption()))
