"""Random secrets in text form: refresh tokens, API keys, one-time links. Only digests of them are ever stored.

Each kind begins with its own letters and is hashed together with its kind, so that one can never pass for another. The
secrets have 256 random bits; a plain digest therefore suffices, unlike with passwords.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from fireside.core.ids import SessionId

Kind = Literal["api key", "refresh family", "refresh token", "setup", "invitation"]

API_KEY_START = "fsk_"
_REFRESH_START = "fsr_"
_ONE_TIME_START = "fso_"
_PREFIX_CHARS = 12
_PREFIX = re.compile(f"[0-9a-f]{{{_PREFIX_CHARS}}}")
_SECRET_BYTES = 32
_FAMILY_BYTES = 16
_REFRESH_BYTES = 16 + 4 + _FAMILY_BYTES + _SECRET_BYTES


def digest(kind: Kind, secret: bytes) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(kind.encode() + b"\n" + secret).digest()


def same(one: bytes, other: bytes) -> bool:
    """Compare two digests in a time that tells nothing of where they differ."""
    return hmac.compare_digest(one, other)


@dataclass(frozen=True, slots=True)
class ApiKeyText:
    """An API key: `fsk_<12 characters to find it by>_<secret>`."""

    prefix: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The whole key, shown once."""
        return f"{self.prefix}_{self.secret}"

    @property
    def secret_hash(self) -> bytes:
        """What is stored of it."""
        return digest("api key", self.text.encode())


def make_api_key() -> ApiKeyText:
    """A new key."""
    found_by = secrets.token_hex(_PREFIX_CHARS // 2)
    return ApiKeyText(f"{API_KEY_START}{found_by}", secrets.token_urlsafe(_SECRET_BYTES))


def parse_api_key(text: str) -> ApiKeyText | None:
    """The parts of a key; None when it has not the form of one."""
    prefix, separator, secret = text[len(API_KEY_START) :].partition("_")
    if not text.startswith(API_KEY_START) or not separator or not _PREFIX.fullmatch(prefix) or not secret:
        return None
    return ApiKeyText(f"{API_KEY_START}{prefix}", secret)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token: its session, its number in that session, the session's secret, and a secret of its own.

    An old token of the session can be told from a made-up one by the secret of the session, without storing any of
    the old ones: this is how reuse is noticed.
    """

    session_id: SessionId
    generation: int
    family: bytes = field(repr=False)
    secret: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The whole token."""
        raw = self.session_id.bytes + self.generation.to_bytes(4, "big") + self.family + self.secret
        return _REFRESH_START + base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")

    @property
    def family_hash(self) -> bytes:
        """What is stored of the secret of the session."""
        return digest("refresh family", self.session_id.bytes + self.family)

    @property
    def refresh_hash(self) -> bytes:
        """What is stored of the token."""
        return digest("refresh token", self.text.encode())

    def next(self) -> "RefreshToken":
        """The token that takes this one's place."""
        return RefreshToken(self.session_id, self.generation + 1, self.family, secrets.token_bytes(_SECRET_BYTES))


def make_refresh_token(session_id: SessionId) -> RefreshToken:
    """The first refresh token of a session."""
    return RefreshToken(session_id, 0, secrets.token_bytes(_FAMILY_BYTES), secrets.token_bytes(_SECRET_BYTES))


def parse_refresh_token(text: str) -> RefreshToken | None:
    """The parts of a refresh token; None when it has not the form of one."""
    body = text[len(_REFRESH_START) :]
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if not text.startswith(_REFRESH_START) or len(raw) != _REFRESH_BYTES:
        return None
    token = RefreshToken(SessionId(UUID(bytes=raw[:16])), int.from_bytes(raw[16:20], "big"), raw[20:36], raw[36:])
    return token if token.text == text else None


def make_one_time_token() -> str:
    """The token of a new one-time link."""
    return _ONE_TIME_START + secrets.token_urlsafe(_SECRET_BYTES)
