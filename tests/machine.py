"""A machine of its own for a process: a network namespace, joined to the rest by a cable that can be pulled."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

_FIRST = IPv4Address("10.213.0.0")
_NETWORKS = 16_384
_ADDRESSES = 4


@dataclass(frozen=True)
class Machine:
    """A network namespace.

    Attributes:
        name: Its name, and that of the cable's other end.
        outside: Where those outside are, seen from within.
        inside: Where it is, seen from outside.
    """

    name: str
    outside: str
    inside: str

    @property
    def command(self) -> tuple[str, ...]:
        """What stands before a command that shall run there."""
        return ("ip", "netns", "exec", self.name)

    def part(self) -> None:
        """Pull the cable: nothing passes in either direction, and nobody is told."""
        _ip("-netns", self.name, "link", "set", "eth0", "down")

    def join(self) -> None:
        """Plug it in again."""
        _ip("-netns", self.name, "link", "set", "eth0", "up")


def can_make_machines() -> bool:
    """Whether this user may make network namespaces."""
    return os.geteuid() == 0 and shutil.which("ip") is not None


@contextmanager
def new_machine() -> Generator[Machine]:
    """A machine joined to this one, inside the context."""
    network = _FIRST + os.getpid() % _NETWORKS * _ADDRESSES
    machine = Machine(f"fireside{os.getpid()}", str(network + 1), str(network + 2))
    _ip("netns", "add", machine.name)
    try:
        _ip("link", "add", machine.name, "type", "veth", "peer", "name", "eth0", "netns", machine.name)
        _ip("address", "add", f"{machine.outside}/30", "dev", machine.name)
        _ip("-netns", machine.name, "address", "add", f"{machine.inside}/30", "dev", "eth0")
        _ip("-netns", machine.name, "link", "set", "lo", "up")
        _ip("link", "set", machine.name, "up")
        machine.join()
        yield machine
    finally:
        _ip("netns", "delete", machine.name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
