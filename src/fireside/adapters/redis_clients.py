"""Clients of Redis from a URL: one server, a master that Sentinel names, or a cluster.

`redis://[[user]:password@]host[:port][/db]`, `redis+sentinel://host:26379,host:26379/service[/db]` and
`redis+cluster://host:port,host:port`; with TLS `rediss://`, `rediss+sentinel://`, `rediss+cluster://`. Options after
`?`: `timeout_s`; for Sentinel `sentinel_username` and `sentinel_password`. Nothing is connected here.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from fireside.core.errors import InvalidInputError, UnavailableError

RedisClient = Redis | RedisCluster

_SCHEMES = {f"{base}{kind}": (base, kind) for base in ("redis", "rediss") for kind in ("", "+sentinel", "+cluster")}
_PORTS = {"": 6379, "+sentinel": 26379, "+cluster": 6379}
_AT_ONCE = 64
"""Requests that are on their way at the same time; each needs a connection."""
_CUT_LINE_PAUSES_S = (0.01, 0.05)
"""A client of a cluster that learns of a change cuts the lines on which others wait or write; they ask again."""
_OPTIONS = frozenset({"timeout_s", "sentinel_username", "sentinel_password"})


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is, and how to sign in.

    Attributes:
        kind: "" for one server, `+sentinel` or `+cluster`.
        tls: Whether to encrypt.
        hosts: Names and ports; of the sentinels where there are some.
        service: What Sentinel calls the master.
        db: Number of the database.
        username: Empty for the default user.
        password: Empty for none.
        options: What stood behind the question mark.
    """

    kind: str
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    service: str
    db: int
    username: str
    password: str
    options: Mapping[str, str]

    def __repr__(self) -> str:
        return f"RedisAddress({self.shown})"

    @property
    def shown(self) -> str:
        """The address as it may be shown: without passwords."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        path = f"/{self.service}/{self.db}" if self.service else f"/{self.db}"
        return f"redis{'s' if self.tls else ''}{self.kind}://{hosts}{path}"


def is_redis(url: str) -> bool:
    """Whether a URL names Redis in one of its arrangements."""
    return url.partition("://")[0] in _SCHEMES


def read_address(url: str) -> RedisAddress:
    """Take a URL apart.

    Raises:
        InvalidInputError: It is not one of the forms above; the text holds no password.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _SCHEMES:
        raise InvalidInputError(f"no Redis for scheme {scheme!r} ({', '.join(_SCHEMES)})")
    base, kind = _SCHEMES[scheme]
    rest, _, query = rest.partition("?")
    place, _, path = rest.partition("/")
    credentials, _, hosts = place.rpartition("@")
    username, _, password = credentials.partition(":")
    service, db = _path(kind, path)
    options = dict(parse_qsl(query))
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise InvalidInputError(f"{scheme}: there is no option {unknown[0]!r} ({', '.join(sorted(_OPTIONS))})")
    return RedisAddress(
        kind=kind,
        tls=base == "rediss",
        hosts=tuple(_host(host, _PORTS[kind]) for host in hosts.split(",")),
        service=service,
        db=db,
        username=unquote(username),
        password=unquote(password),
        options=options,
    )


def make_redis_client(url: str, *, timeout_s: float = 1.0, retries: int = 1) -> RedisClient:
    """A client that connects when it is first used, and again after every failure.

    Args:
        url: See above.
        timeout_s: Longest wait for a connection, and for an answer; the URL's own goes before.
        retries: How often a command is repeated that got no answer; 0 where the caller knows what may be repeated.

    Raises:
        InvalidInputError: The URL is not one of the forms above.
    """
    address = read_address(url)
    wait_s = float(address.options.get("timeout_s", timeout_s))
    common: dict[str, Any] = {
        "username": address.username or None,
        "password": address.password or None,
        "socket_timeout": wait_s,
        "socket_connect_timeout": wait_s,
        "max_connections": 2 * _AT_ONCE,
        "protocol": 2,
        "driver_info": None,  # servers before 7.2 refuse to be told
        "retry": Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.05), retries=retries),
    }
    if address.tls:
        common["ssl"] = True
    if address.kind == "+cluster":
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        return RedisCluster(startup_nodes=nodes, require_full_coverage=False, **common)
    common |= {"db": address.db, "retry_on_error": [RedisConnectionError, RedisTimeoutError]}
    if address.kind == "+sentinel":
        return _sentinel(address, wait_s).master_for(address.service, **common)
    host, port = address.hosts[0]
    return Redis(host=host, port=port, **common)


async def close_redis_client(client: RedisClient) -> None:
    """Let go of a client's connections, those to sentinels included. Safe to call twice."""
    await client.aclose()
    pool = None if isinstance(client, RedisCluster) else client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        for sentinel in cast("list[Redis]", pool.sentinel_manager.sentinels):
            await sentinel.aclose()


class RedisScripts:
    """Runs scripts, so many at once and not for long; what the driver raises comes out as an error of the port."""

    def __init__(self, url: str, *, error: type[UnavailableError], timeout_s: float = 1.0) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: See above.
            error: What to raise when Redis does not answer.
            timeout_s: Longest wait for an answer, twice that with a second attempt; the URL's own goes before.

        Raises:
            InvalidInputError: The URL is not one of the forms above.
        """
        self.client = make_redis_client(url, timeout_s=timeout_s)
        self._url, self._error = url, error
        self._timeout_s = 2 * float(read_address(url).options.get("timeout_s", timeout_s))
        # redis-py 8 loses lines of a cluster that it draws anew while others ask, so there one asks at a time
        self._places = asyncio.Semaphore(1 if isinstance(self.client, RedisCluster) else _AT_ONCE)

    async def run(self, script: str, key: str, *arguments: str | bytes | int) -> Any:
        """Run a script on the server of a key; its text is sent only to a server that does not know it."""
        async with self.asking():
            for pause_s in _CUT_LINE_PAUSES_S if isinstance(self.client, RedisCluster) else ():
                try:
                    return await self._run_once(script, key, *arguments)
                except (RedisConnectionError, AttributeError):  # redis-py 8: 'NoneType' object has no ... 'writelines'
                    await asyncio.sleep(pause_s)
            return await self._run_once(script, key, *arguments)

    async def _run_once(self, script: str, key: str, *arguments: str | bytes | int) -> Any:
        digest = sha1(script.encode(), usedforsecurity=False).hexdigest()
        try:
            return await self.client.evalsha(digest, 1, key, *arguments)
        except NoScriptError:
            return await self.client.eval(script, 1, key, *arguments)

    @asynccontextmanager
    async def asking(self) -> AsyncGenerator[None]:
        """Wait for a place, then for an answer, both within the time; errors are translated, without passwords."""
        try:
            async with asyncio.timeout(self._timeout_s), self._places:
                yield
        except (RedisError, OSError, TimeoutError) as error:
            said = _without_passwords(str(error), self._url) or f"nothing for {self._timeout_s} s"
            raise self._error(f"Redis did not answer: {said}") from error

    async def aclose(self) -> None:
        """Let go of the connections. Safe to call twice."""
        async with self.asking():
            await close_redis_client(self.client)


def _without_passwords(text: str, url: str) -> str:
    address = read_address(url)
    for secret in (address.password, address.options.get("sentinel_password", "")):
        text = text.replace(secret, "***") if secret else text
    return text


def _sentinel(address: RedisAddress, wait_s: float) -> Sentinel:
    sentinel: dict[str, Any] = {
        "username": address.options.get("sentinel_username"),
        "password": address.options.get("sentinel_password"),
        "socket_timeout": wait_s,
        "socket_connect_timeout": wait_s,
        "protocol": 2,
        "driver_info": None,
    }
    return Sentinel(list(address.hosts), sentinel_kwargs=sentinel | ({"ssl": True} if address.tls else {}))


def _path(kind: str, path: str) -> tuple[str, int]:
    parts = path.split("/") if path else []
    service = ""
    if kind == "+sentinel":
        if not parts or not parts[0]:
            raise InvalidInputError("redis+sentinel: name the service, as in redis+sentinel://host:26379/service/0")
        service, parts = parts[0], parts[1:]
    db = parts[0] if parts and parts[0] else "0"
    if len(parts) > 1 or not db.isdecimal():
        raise InvalidInputError(f"redis{kind}: {'/'.join(parts)!r} is not the number of a database")
    if kind == "+cluster" and db != "0":
        raise InvalidInputError("redis+cluster: a cluster has only database 0")
    return service, int(db)


def _host(text: str, port: int) -> tuple[str, int]:
    name, _, given = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not name:
        name, given = text, ""
    if not name.strip("[]") or (given and not given.isdecimal()):
        raise InvalidInputError("redis: a host reads name:port")
    return name.strip("[]"), int(given or port)
