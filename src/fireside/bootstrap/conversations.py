"""The conversation store for each URL scheme."""

from urllib.parse import urlsplit

from fireside.bootstrap.environment import SettingsError
from fireside.core.clock import Clock
from fireside.ports.separate_conversation_store import SeparateConversationStore

_EXTRA = "FIRESIDE_CONVERSATIONS_URL needs the MongoDB driver: pip install 'fireside-ai[mongodb]'"

_WRONG = "FIRESIDE_CONVERSATIONS_URL: not a MongoDB URL (mongodb://user:password@host:27017/name?replicaSet=rs0)"


def make_conversation_store(url: str, *, clock: Clock) -> SeparateConversationStore | None:
    """The store that FIRESIDE_CONVERSATIONS_URL names, not yet open; None for the chat service's own database.

    Raises:
        SettingsError: No store for this scheme, not a URL of one, or its library is not installed.
    """
    if not url:
        return None
    scheme = urlsplit(url).scheme
    if scheme not in {"mongodb", "mongodb+srv"}:
        raise SettingsError(f"FIRESIDE_CONVERSATIONS_URL: no conversation store for {scheme!r} (mongodb, mongodb+srv)")
    try:
        from pymongo.errors import PyMongoError  # noqa: PLC0415 - an optional extra
        from pymongo.uri_parser import parse_uri  # noqa: PLC0415 - an optional extra

        from fireside.adapters.conversation_store.mongodb import (  # noqa: PLC0415 - needs the extra
            MongoConversationStore,
        )
    except ImportError as error:
        raise SettingsError(_EXTRA) from error
    try:
        if scheme == "mongodb":  # the other one asks the network
            parse_uri(url)
    except (PyMongoError, ValueError):
        raise SettingsError(_WRONG) from None  # what the driver says may repeat the password
    return MongoConversationStore(url, clock=clock)
