"""Access tokens: short-lived JWTs (RFC 9068) signed with ES256, for one audience. No I/O.

A token says which user and session it stands for, nothing else: roles and rights are looked up, so that a change of
them takes effect at once.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from fireside.core.ids import SessionId, UserId
from fireside.services.auth.errors import InvalidCredentialError

_ALGORITHM = "ES256"
_TYPE = "at+jwt"
_MAX_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs or signed access tokens. `private_jwk` is its JSON Web Key, as JSON."""

    id: UUID
    created_at: datetime
    private_jwk: bytes = field(repr=False)
    retired_at: datetime | None = None

    def may_have_valid_tokens(self, *, now: datetime, lifetime_s: int) -> bool:
        """Whether a token that it signed can still be valid; a minute is allowed for clocks that differ."""
        return self.retired_at is None or now - self.retired_at < timedelta(seconds=lifetime_s + 60)


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a valid access token says."""

    user_id: UserId
    session_id: SessionId
    expires_at: datetime


def make_signing_key(key_id: UUID, *, now: datetime) -> SigningKey:
    """A new key pair on the curve P-256."""
    key = ECKey.generate_key("P-256", {"kid": str(key_id), "use": "sig", "alg": _ALGORITHM})
    return SigningKey(key_id, now, json.dumps(key.as_dict(private=True)).encode())


class AccessTokens:
    """Makes and verifies access tokens."""

    def __init__(self, keys: Sequence[SigningKey], *, issuer: str, audience: str, lifetime_s: int) -> None:
        """Prepare.

        Args:
            keys: The newest that is not retired signs; every one verifies. At least one.
            issuer: Public URL of the installation.
            audience: For whom the tokens are made.
            lifetime_s: How long they work.
        """
        self.lifetime_s = lifetime_s
        self._issuer, self._audience = issuer, audience
        self._keys = {str(key.id): ECKey.import_key(json.loads(key.private_jwk)) for key in keys}
        self._set = KeySet(list(self._keys.values()))
        signing = max((key for key in keys if key.retired_at is None), key=lambda key: key.created_at)
        self._signing_id = str(signing.id)

    @property
    def public_keys(self) -> tuple[dict[str, str], ...]:
        """The public halves, as JSON Web Keys."""
        return tuple({name: str(value) for name, value in key.as_dict(private=False).items()} for key in self._set.keys)

    def knows(self, key_id: str) -> bool:
        """Whether tokens of this key can be verified."""
        return key_id in self._keys

    def issue(self, user_id: UserId, session_id: SessionId, *, now: datetime) -> str:
        """A token for a user in a session."""
        issued = int(now.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": issued,
            "exp": issued + self.lifetime_s,
        }
        header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": self._signing_id}
        return jwt.encode(header, claims, self._keys[self._signing_id], algorithms=[_ALGORITHM])

    def verify(self, token: str, *, now: datetime) -> AccessClaims:
        """What the token says.

        Raises:
            InvalidCredentialError: It is not a token, was not signed with one of the keys, is of another type, made
                by another issuer or for another audience, or has expired.
        """
        if len(token) > _MAX_CHARS:
            raise InvalidCredentialError
        try:
            decoded = jwt.decode(token, self._set, algorithms=[_ALGORITHM])
            self._check(decoded, now=now)
            claims = decoded.claims
            return AccessClaims(
                UserId(UUID(claims["sub"])), SessionId(UUID(claims["sid"])), datetime.fromtimestamp(claims["exp"], UTC)
            )
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidCredentialError from error

    def _check(self, token: jwt.Token, *, now: datetime) -> None:
        registry = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
            sub={"essential": True},
            sid={"essential": True},
        )
        registry.validate(token.claims)
        if token.header.get("typ") != _TYPE or token.header.get("kid") not in self._keys:
            raise ValueError("not an access token")


def key_id_of(token: str) -> str:
    """Which key a token says it was signed with; not to be believed before it is verified.

    Raises:
        InvalidCredentialError: It is no token.
    """
    header = token.partition(".")[0]
    try:
        return str(json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidCredentialError from error
