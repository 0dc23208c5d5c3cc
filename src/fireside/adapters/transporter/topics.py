"""The names under which packets travel: those of Moleculer's own transporters, which NATS, Redis and AMQP share."""

import re
from typing import NamedTuple

_PASSWORDS = re.compile(r"//[^/@]*@|(?<=password=)[^&;]*", re.IGNORECASE)


class Topic(NamedTuple):
    """A command to one node, or to all when `node_id` is None."""

    command: str
    node_id: str | None = None


class Topics:
    """Writes and reads the names of one namespace: `MOL.INFO`, `MOL-<namespace>.REQ.<node id>`."""

    def __init__(self, namespace: str) -> None:
        self._prefix = f"MOL-{namespace}" if namespace else "MOL"

    def name(self, topic: Topic) -> str:
        """The name of a subject, channel, exchange or queue."""
        name = f"{self._prefix}.{topic.command}"
        return name if topic.node_id is None else f"{name}.{topic.node_id}"

    def command(self, name: str) -> str:
        """The command in a name."""
        return name[len(self._prefix) + 1 :].partition(".")[0]


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    return _PASSWORDS.sub(lambda found: "//***@" if found[0].startswith("//") else "***", url)
