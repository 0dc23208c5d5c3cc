"""The outermost look at a request: its id, where it really comes from, and nothing it says about who is asking.

Only a proxy that the settings name is believed about the client's address and about https. Headers with which proxies
of other systems name a user are dropped: nothing here reads them, and nothing behind shall ever be tempted to.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from fireside.contracts.auth import Client
from fireside.core.ids import new_id_text

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,100}")
_IDENTITY_HEADERS = frozenset({b"remote-user", b"x-authenticated-user", b"x-authenticated-userid", b"x-client-cert"})
_IDENTITY_PREFIXES = (
    b"x-user",
    b"x-forwarded-user",
    b"x-forwarded-email",
    b"x-forwarded-groups",
    b"x-forwarded-preferred",
    b"x-auth-request-",
    b"x-remote-",
    b"x-webauth-",
    b"x-goog-authenticated",
    b"x-fireside-",
)
_BROWSER_HEADERS = frozenset({b"origin", b"sec-fetch-site", b"sec-fetch-mode"})
_MAX_USER_AGENT_CHARS = 300

Network = IPv4Network | IPv6Network


class RequestFrame:
    """Puts `request_id`, `client`, and as `site` where people reach the page, if known, into the state of requests."""

    def __init__(self, app: ASGIApp, *, trusted_proxies: Sequence[str], site: str = "") -> None:
        self._app, self._site = app, site
        self._trusted = tuple(ip_network(network, strict=False) for network in trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look, then pass the request on. The outermost layer is a coroutine, by which servers know their interface."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        kept = [header for header in scope["headers"] if not _names_a_user(header[0])]
        headers = dict(kept)
        scope["headers"] = kept
        peer = scope["client"][0] if scope.get("client") else ""
        if self._trusted and is_trusted(peer, self._trusted):
            hops = b",".join(value for name, value in kept if name == b"x-forwarded-for")
            peer = client_address(peer, hops.decode("latin-1"), self._trusted)
            scope["scheme"] = _scheme_behind(scope["scheme"], headers.get(b"x-forwarded-proto", b""))
        state = scope.setdefault("state", {})
        state["site"] = self._site
        state["request_id"] = _request_id(headers.get(b"x-request-id", b""))
        agent = headers.get(b"user-agent", b"")[:_MAX_USER_AGENT_CHARS].decode("latin-1")
        browser = not _BROWSER_HEADERS.isdisjoint(headers)
        state["client"] = _client(peer, agent, browser)
        await self._app(scope, receive, send)


def _names_a_user(header: bytes) -> bool:
    return header in _IDENTITY_HEADERS or header.startswith(_IDENTITY_PREFIXES)


@lru_cache(maxsize=1024)
def _client(address: str, agent: str, browser: bool) -> Client:
    return Client(address=address, user_agent=agent, browser=browser)


def _request_id(given: bytes) -> str:
    return given.decode("ascii") if _REQUEST_ID.fullmatch(given) else new_id_text()


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether an address belongs to a proxy that is believed."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The last address that no trusted proxy has: what stands before it, anybody can have written.

    Args:
        peer: Who is connected; a trusted proxy.
        forwarded_for: The value of `X-Forwarded-For`, the nearest hop last.
        trusted: Networks of proxies.
    """
    found = peer
    for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
        try:
            ip_address(hop)
        except ValueError:
            return found
        found = hop
        if not is_trusted(hop, trusted):
            return found
    return found


def _scheme_behind(scheme: str, forwarded_proto: bytes) -> str:
    """The scheme that the nearest proxy was spoken to with."""
    secure = {"http": "https", "ws": "wss"}
    return secure.get(scheme, scheme) if forwarded_proto.split(b",")[-1].strip().lower() == b"https" else scheme
