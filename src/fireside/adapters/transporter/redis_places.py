"""Where a Redis server is: one address, the master that Sentinels name, or any node of a Redis Cluster."""

from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from fireside.adapters.transporter.broker import CONNECT_TIMEOUT_S
from fireside.adapters.transporter.topics import without_password

_DEFAULT_PORTS = {"redis": 6379, "sentinel": 26379, "cluster": 6379}


@dataclass(frozen=True)
class RedisPlaces:
    """A `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://` address.

    Attributes:
        kind: `redis`, `sentinel` or `cluster`.
        scheme: `redis`, or `rediss` with TLS.
        login: `user:password@` as in the URL, or empty.
        hosts: Host and port of each server, or each Sentinel.
        path: What follows the hosts: the database, or `/service[/database]` with Sentinels.
        shown: The whole address without passwords.
        sentinel_password: Of the Sentinels, where they ask for one.
    """

    kind: str
    scheme: str
    login: str
    hosts: tuple[tuple[str, int], ...]
    path: str
    shown: str
    sentinel_password: str | None = None

    @classmethod
    def read(cls, url: str) -> "RedisPlaces":
        """The places that a URL names.

        Raises:
            ValueError: A port is no number.
        """
        parts = urlsplit(url)
        scheme, _, kind = parts.scheme.partition("+")
        login, at, hosts = parts.netloc.rpartition("@")
        default_port = _DEFAULT_PORTS[kind or "redis"]
        return cls(
            kind=kind or "redis",
            scheme=scheme,
            login=login + at,
            hosts=tuple(_host_and_port(host, default_port) for host in hosts.split(",")),
            path=parts.path,
            shown=without_password(url),
            sentinel_password=next(iter(parse_qs(parts.query).get("sentinel_password", [])), None),
        )

    async def urls(self) -> list[str]:
        """The servers of which any will do, as plain URLs.

        Raises:
            RedisError: The Sentinels know no master of this name, or none can be asked.
        """
        if self.kind != "sentinel":
            database = self.path if self.kind == "redis" else ""
            return [self._url(host, port, database) for host, port in self.hosts]
        service, _, database = self.path.strip("/").partition("/")
        sentinel = Sentinel(
            list(self.hosts),
            sentinel_kwargs={
                "socket_timeout": CONNECT_TIMEOUT_S,
                "socket_connect_timeout": CONNECT_TIMEOUT_S,
                "password": self.sentinel_password,
            },
        )
        try:
            host, port = cast("tuple[str, int]", await sentinel.discover_master(service or "mymaster"))
        finally:
            for client in sentinel.sentinels:
                await client.aclose()
        return [self._url(host, port, f"/{database}" if database else "")]

    def _url(self, host: str, port: int, database: str) -> str:
        shown = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{self.login}{shown}:{port}{database}"


def connection_to(url: str, *, client_name: str) -> AbstractConnection:
    """A connection to one server, not open yet, that never waits or tries again of its own accord."""
    return ConnectionPool.from_url(
        url,
        client_name=client_name,
        protocol=2,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    ).make_connection()


def _host_and_port(text: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return unquote(parts.hostname or "localhost"), parts.port or default_port
