"""Finding the credential in the headers of a request. Pure; whether it works is another matter.

A credential comes as `Authorization: Bearer`, or as `x-api-key` for an API key; on a WebSocket also as the subprotocols
`bearer` and the credential itself, because a browser's page can set nothing else. It never comes in a URL.
"""

from collections.abc import Iterable

from fireside.core.errors import UnauthenticatedError

API_KEY_START = "fsk_"
BEARER_SUBPROTOCOL = "bearer"
MAX_CREDENTIAL_CHARS = 4_000

Headers = Iterable[tuple[bytes, bytes]]


class AmbiguousCredentialsError(UnauthenticatedError):
    """The request carries two different credentials."""

    code = "ambiguous_credentials"


class MalformedCredentialError(UnauthenticatedError):
    """The credential has not the form of one."""

    code = "malformed_credential"


def credential_in(headers: Headers, *, websocket: bool = False) -> str | None:
    """The credential of a request; None when it brings none.

    Schemes other than Bearer are left to whoever knows them.

    Raises:
        AmbiguousCredentialsError: There are two, and they differ.
        MalformedCredentialError: One is empty, or no text; or something else than an API key stands in `x-api-key`.
    """
    found: set[str] = set()
    for name, value in headers:
        if name == b"authorization":
            found.update(_bearer(value))
        elif name == b"x-api-key":
            found.add(_api_key(value))
        elif websocket and name == b"sec-websocket-protocol":
            found.update(_subprotocol(value))
    if len(found) > 1:
        raise AmbiguousCredentialsError
    return found.pop() if found else None


def _bearer(value: bytes) -> set[str]:
    scheme, _, credential = value.partition(b" ")
    return {_text(credential)} if scheme.lower() == b"bearer" else set()


def _api_key(value: bytes) -> str:
    text = _text(value)
    if not text.startswith(API_KEY_START):
        raise MalformedCredentialError("x-api-key takes an API key (fsk_...)")
    return text


def _subprotocol(value: bytes) -> set[str]:
    names = [name.strip() for name in value.split(b",")]
    if len(names) < 2 or names[0].lower() != BEARER_SUBPROTOCOL.encode():
        return set()
    return {_text(names[1])}


def _text(value: bytes) -> str:
    try:
        text = value.strip().decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedCredentialError from error
    if not 0 < len(text) <= MAX_CREDENTIAL_CHARS:
        raise MalformedCredentialError
    return text
