"""The transporter for each URL scheme."""

from collections import defaultdict
from collections.abc import Callable
from urllib.parse import urlsplit

from fireside.adapters.transporter.memory import MemoryHub, MemoryTransporter
from fireside.core.errors import InvalidInputError
from fireside.ports.transporter import Transporter

_SETTING = "FIRESIDE_TRANSPORT_URL"


class Transporters:
    """Makes transporters; those of `memory://` that one maker made for one namespace see each other."""

    def __init__(self) -> None:
        self._hubs: dict[str, MemoryHub] = defaultdict(MemoryHub)

    def make(self, url: str, *, node_id: str = "", namespace: str = "") -> Transporter:
        """The transporter that a URL names, not yet connected.

        Args:
            url: As in FIRESIDE_TRANSPORT_URL.
            node_id: Of the node that will use it; only `memory://` needs none.
            namespace: Nodes of different namespaces do not see each other.

        Raises:
            InvalidInputError: No transporter for this scheme, its driver is not installed, or the URL makes no sense.
        """
        scheme = urlsplit(url).scheme
        if scheme == "memory":
            return MemoryTransporter(self._hubs[namespace])
        make = _MAKERS.get(scheme)
        if make is None:
            known = ", ".join(["memory", *_MAKERS])
            raise InvalidInputError(f"{_SETTING}: no transporter for scheme {scheme!r} ({known})")
        try:
            return make(url, node_id, namespace)
        except ImportError as error:
            extra = make.__name__.lstrip("_")
            raise InvalidInputError(
                f"{_SETTING}: {scheme}:// needs a driver: pip install 'fireside-ai[{extra}]' ({error})"
            ) from error
        except ValueError as error:
            raise InvalidInputError(f"{_SETTING}: this URL cannot be read ({error})") from error


def make_transporter(url: str, *, node_id: str = "", namespace: str = "") -> Transporter:
    """The transporter of the only node in this process. See Transporters.make."""
    return Transporters().make(url, node_id=node_id, namespace=namespace)


def _nats(url: str, node_id: str, namespace: str) -> Transporter:
    from fireside.adapters.transporter.nats import nats_transporter  # noqa: PLC0415 - an optional extra

    return nats_transporter(url, node_id=node_id, namespace=namespace)


def _redis(url: str, node_id: str, namespace: str) -> Transporter:
    from fireside.adapters.transporter.redis import redis_transporter  # noqa: PLC0415 - an optional extra

    return redis_transporter(url, node_id=node_id, namespace=namespace)


def _amqp(url: str, node_id: str, namespace: str) -> Transporter:
    from fireside.adapters.transporter.amqp import amqp_transporter  # noqa: PLC0415 - an optional extra

    return amqp_transporter(url, node_id=node_id, namespace=namespace)


_MAKERS: dict[str, Callable[[str, str, str], Transporter]] = {
    "nats": _nats,
    "redis": _redis,
    "rediss": _redis,
    "redis+sentinel": _redis,
    "rediss+sentinel": _redis,
    "redis+cluster": _redis,
    "rediss+cluster": _redis,
    "amqp": _amqp,
    "amqps": _amqp,
}
