"""HTTP for model sources: what a user names must not reach inside the network that Fireside runs in.

An address is fetched only when it is public, at every redirect and as resolved at the moment of connecting, so that a
name that changes its mind (DNS rebinding) gains nothing. Hosts that the operator trusts may be anywhere.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from socket import AF_INET, AddressFamily
from typing import Any

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from fireside.ports.model_source import (
    BrokenDownloadError,
    Incoming,
    InvalidSourceError,
    ModelNotAtSourceError,
    SourceForbiddenError,
)

_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 8
_PIECE_BYTES = 256 * 1024
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
_TRANSLATED_V4 = IPv6Network("64:ff9b::/96")
_NO_HEADERS: Mapping[str, str] = {}


class PublicWeb:
    """A client that fetches from public addresses and from trusted hosts."""

    def __init__(
        self, trusted: Iterable[str] = (), *, connect_timeout_s: float = 15.0, read_timeout_s: float = 60.0
    ) -> None:
        """Describe the client.

        Args:
            trusted: Hosts, as `name` or `name:port`, that may have private addresses and may be asked without TLS.
            connect_timeout_s: Longest wait for a connection.
            read_timeout_s: Longest silence.
        """
        self._trusted = frozenset(host.lower() for host in trusted)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s, sock_read=read_timeout_s)
        self._session: aiohttp.ClientSession | None = None

    def check(self, url: str) -> URL:
        """The URL, when it may be asked as far as can be told without asking anybody.

        Raises:
            InvalidSourceError: It is no URL of a web server.
            SourceForbiddenError: It is not encrypted, or names an address that is not public.
        """
        try:
            parsed = URL(url)
            port = parsed.port
        except ValueError as error:
            raise InvalidSourceError(f"{url[:200]!r} is no URL") from error
        if parsed.scheme not in {"http", "https"} or not parsed.host or port is None:
            raise InvalidSourceError(f"{url[:200]!r} is no URL of a web server")
        if parsed.user or parsed.password:
            raise InvalidSourceError("a URL of a model must not carry a password")
        if self._trusts(parsed.host, port):
            return parsed
        if parsed.scheme != "https":
            raise SourceForbiddenError(f"{parsed.host}: only https:// is fetched from hosts that are not trusted")
        _refuse_private(parsed.host, parsed.host)
        return parsed

    async def json(self, url: str, *, headers: Mapping[str, str] = _NO_HEADERS, max_bytes: int = 16_000_000) -> Any:
        """Fetch JSON. The same errors as `get`."""
        body, _ = await self.body(url, headers=headers, max_bytes=max_bytes)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BrokenDownloadError(f"{URL(url).host} did not answer with JSON") from error

    async def body(
        self, url: str, *, headers: Mapping[str, str] = _NO_HEADERS, max_bytes: int = 16_000_000
    ) -> tuple[bytes, Mapping[str, str]]:
        """Fetch something short, with the headers of the reply. The same errors as `get`."""
        async with self.get(url, headers=headers) as reply:
            body = bytearray()
            async for piece in _pieces(reply):
                body += piece
                if len(body) > max_bytes:
                    raise BrokenDownloadError(f"{reply.url.host} answered with more than {max_bytes} bytes")
            return bytes(body), reply.headers

    @asynccontextmanager
    async def get(
        self, url: str, *, headers: Mapping[str, str] = _NO_HEADERS, also: int = 200
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Ask, following redirects; `authorization` is not handed on to another host.

        Args:
            url: Of http or https.
            headers: To be sent.
            also: A status that is no failure here.

        Raises:
            ModelNotAtSourceError: 404 or 410.
            SourceForbiddenError: 401 or 403, or somewhere that must not be asked.
            BrokenDownloadError: Any other failure.
        """
        place, sent = self.check(url), {"accept-encoding": "identity"} | dict(headers)
        for _ in range(_MOST_REDIRECTS):
            reply = await self._ask(place, sent)
            try:
                target = reply.headers.get("location", "") if reply.status in _REDIRECTS else ""
                if not target:
                    if reply.status not in {200, 206, also}:
                        raise _refusal(reply)
                    yield reply
                    return
            finally:
                reply.close()
            following = self.check(str(place.join(URL(target))))
            if following.host != place.host:
                sent.pop("authorization", None)
            place = following
        raise BrokenDownloadError(f"{place.host} redirects in a circle")

    @asynccontextmanager
    async def download(
        self, url: str, *, start: int, validator: str, immutable: bool, headers: Mapping[str, str] = _NO_HEADERS
    ) -> AsyncGenerator[Incoming]:
        """Fetch a file from a place on (RFC 9110, sections 13.1.5 and 14).

        Args:
            url: Of the file.
            start: How many bytes are here already.
            validator: Of the download that brought them.
            immutable: The URL never means another file, so that the rest can be asked for without a validator.
            headers: To be sent.
        """
        wanted = dict(headers)
        if start and (immutable or validator):
            wanted["range"] = f"bytes={start}-"
            if not immutable:
                wanted["if-range"] = validator
        async with self.get(url, headers=wanted, also=416) as reply:
            incoming = _incoming(reply, asked=start if "range" in wanted else 0)
            if incoming is not None:
                yield incoming
                return
        async with self.get(url, headers=headers) as reply:  # what is here does not fit what is there
            yield Incoming(0, _length(reply), _validator(reply), _pieces(reply))

    async def aclose(self) -> None:
        """Release connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, place: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=_PublicResolver(self._trusts), ttl_dns_cache=0, force_close=True)
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout, auto_decompress=False)
        try:
            return await self._session.get(place, headers=headers, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise BrokenDownloadError(f"{place.host} cannot be reached ({type(error).__name__})") from error

    def _trusts(self, host: str, port: int) -> bool:
        return not self._trusted.isdisjoint({host.lower(), f"{host.lower()}:{port}"})


class _PublicResolver(AbstractResolver):
    """Finds addresses, and refuses those that are not public unless the host is trusted."""

    def __init__(self, trusts: Any) -> None:
        self._inner = ThreadedResolver()
        self._trusts = trusts

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        """The addresses of a host."""
        found = await self._inner.resolve(host, port, family)
        if not self._trusts(host, port):
            for each in found:
                _refuse_private(each["host"], host)
        return found

    async def close(self) -> None:
        """Nothing is held."""


def _refuse_private(address: str, host: str) -> None:
    try:
        parsed = ip_address(address.strip("[]").split("%")[0])
    except ValueError:
        return
    if not _is_public(parsed):
        raise SourceForbiddenError(
            f"{host} is not on the public internet (FIRESIDE_EXPLORE_TRUSTED_HOSTS names others that may be asked)"
        )


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address in _TRANSLATED_V4 or address.sixtofour is not None or address.teredo is not None:
            return False  # ways around through another protocol
    return address.is_global and not address.is_multicast


def _refusal(reply: aiohttp.ClientResponse) -> Exception:
    host = reply.url.host
    if reply.status in {404, 410}:
        return ModelNotAtSourceError(f"{host} has no {reply.url.path[:200]}")
    if reply.status in {401, 403}:
        return SourceForbiddenError(f"{host} does not let us have {reply.url.path[:200]} (status {reply.status})")
    return BrokenDownloadError(f"{host} answered with status {reply.status}", upstream_status=reply.status)


def _incoming(reply: aiohttp.ClientResponse, *, asked: int) -> Incoming | None:
    """What comes; None when it does not follow on what is here."""
    if reply.status == 200:
        return Incoming(0, _length(reply), _validator(reply), _pieces(reply))
    match = _CONTENT_RANGE.fullmatch(reply.headers.get("content-range", ""))
    total = int(match[2]) if match and match[2] != "*" else None
    if reply.status == 416:
        return Incoming(asked, total, _validator(reply), _nothing()) if total == asked else None
    if not match or match[1] is None or int(match[1]) != asked:
        return None
    return Incoming(asked, total, _validator(reply), _pieces(reply))


def _length(reply: aiohttp.ClientResponse) -> int | None:
    return reply.content_length


def _validator(reply: aiohttp.ClientResponse) -> str:
    tag = reply.headers.get("etag", "")
    return tag if tag and not tag.startswith("W/") else reply.headers.get("last-modified", "")


async def _pieces(reply: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in reply.content.iter_chunked(_PIECE_BYTES):
            yield piece
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise BrokenDownloadError(f"{reply.url.host} broke off ({type(error).__name__})") from error


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
