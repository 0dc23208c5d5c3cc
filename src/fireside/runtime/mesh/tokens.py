"""Who asks, from node to node: short-lived signed tokens under keys that only holders of the cluster key can make.

Each purpose has a key of its own (HKDF-SHA256 of the cluster key), and each token names its audience, so that a token
for one service, or one purpose, is worth nothing for another.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import SecretStr

from fireside.core.clock import Clock
from fireside.core.errors import UnauthenticatedError
from fireside.core.identity import Identity
from fireside.core.ids import ApiKeyId, UserId

ValueT = TypeVar("ValueT")
SubjectT = TypeVar("SubjectT")

ALGORITHM = "HS256"
ISSUER = "fireside"
LIFETIME_S = 120.0
CLOCK_SKEW_S = 30.0
CACHED_TOKENS = 4096


class InvalidTokenError(UnauthenticatedError):
    """The token of another node is not valid here."""

    code = "invalid_node_token"


@dataclass(frozen=True, slots=True)
class _Cached(Generic[ValueT]):
    """What is remembered until the monotonic clock is at `ends`: the time of day takes longer to read."""

    value: ValueT
    ends: float


class TokenBox(Generic[ValueT]):
    """Makes and verifies the tokens of one purpose; each is signed, and verified, once and then remembered."""

    def __init__(
        self, cluster_key: SecretStr, *, purpose: str, clock: Clock, read: Callable[[dict[str, Any]], ValueT]
    ) -> None:
        self._read_claims = read
        self._clock = clock
        self._key = _derive(cluster_key.get_secret_value(), purpose) if cluster_key.get_secret_value() else None
        self._minted: OrderedDict[tuple[Any, str], _Cached[str]] = OrderedDict()
        self._verified: OrderedDict[tuple[str, str], _Cached[ValueT]] = OrderedDict()

    def mint(self, subject: SubjectT, claims: Callable[[SubjectT], dict[str, Any]], *, audience: str) -> str | None:
        """A token that says something to one audience; None without a cluster key.

        Args:
            subject: Hashable; the same subject and audience get the same token for half its life.
            claims: What it says of the subject; asked for only when a token is made.
            audience: Who may take it as said.
        """
        if self._key is None:
            return None
        ticks = self._clock.monotonic()
        cached = self._minted.get((subject, audience))
        if cached is not None and ticks < cached.ends:
            return cached.value
        now = self._clock.now().timestamp()
        registered = {
            "iss": ISSUER,
            "aud": audience,
            "iat": int(now),
            "exp": int(now + LIFETIME_S),
        }
        token = jwt.encode({"alg": ALGORITHM}, {**claims(subject), **registered}, self._key, algorithms=[ALGORITHM])
        _remember(self._minted, (subject, audience), _Cached(token, ticks + LIFETIME_S / 2))
        return token

    def verify(self, token: object, *, audience: str) -> ValueT:
        """What the token says.

        Raises:
            InvalidTokenError: It was not made with this cluster key for this purpose and audience, or is too old.
        """
        if self._key is None or not isinstance(token, str):
            raise InvalidTokenError("no token, or no cluster key to verify it with")
        cached = self._verified.get((token, audience))
        if cached is None:
            cached = self._checked(self._signed_claims(token, self._key), audience)
            _remember(self._verified, (token, audience), cached)
        if self._clock.monotonic() > cached.ends:
            raise InvalidTokenError("the token has expired: compare the clocks of the nodes")
        return cached.value

    def _signed_claims(self, token: str, key: OctKey) -> dict[str, Any]:
        try:
            return jwt.decode(token, key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError) as error:
            raise InvalidTokenError("the token was not signed with this cluster's key") from error

    def _checked(self, claims: dict[str, Any], audience: str) -> "_Cached[ValueT]":
        meant = {"iss": ISSUER, "aud": audience}
        if any(claims.get(name) != value for name, value in meant.items()):
            raise InvalidTokenError("the token is meant for someone or something else")
        try:
            issued_at, expires_at = float(claims["iat"]), float(claims["exp"])
            value = self._read_claims(claims)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidTokenError("the token does not say what it should") from error
        now = self._clock.now().timestamp()
        if issued_at > now + CLOCK_SKEW_S:
            raise InvalidTokenError("the token is from the future: compare the clocks of the nodes")
        return _Cached(value, self._clock.monotonic() + expires_at - now + CLOCK_SKEW_S)


def identity_claims(identity: Identity) -> dict[str, Any]:
    """An identity as claims."""
    return {
        "kind": identity.kind,
        "name": identity.name,
        "user": None if identity.user_id is None else str(identity.user_id),
        "roles": sorted(identity.roles),
        "permissions": sorted(identity.permissions),
        "session": None if identity.session_id is None else str(identity.session_id),
        "key": None if identity.api_key_id is None else str(identity.api_key_id),
    }


def identity_from_claims(claims: dict[str, Any]) -> Identity:
    """The identity that verified claims describe."""
    user, session, key = claims.get("user"), claims.get("session"), claims.get("key")
    return Identity(
        kind=claims["kind"],
        name=claims["name"],
        user_id=None if user is None else UserId(UUID(user)),
        roles=frozenset(cast("list[str]", claims["roles"])),
        permissions=frozenset(cast("list[str]", claims["permissions"])),
        session_id=None if session is None else UUID(session),
        api_key_id=None if key is None else ApiKeyId(UUID(key)),
    )


def _derive(cluster_key: str, purpose: str) -> OctKey:
    info = json.dumps(["fireside", "mesh", 1, purpose]).encode()
    return OctKey.import_key(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(cluster_key.encode()))


def _remember(cache: OrderedDict[Any, _Cached[ValueT]], key: object, value: _Cached[ValueT]) -> None:
    cache[key] = value
    while len(cache) > CACHED_TOKENS:
        cache.popitem(last=False)
