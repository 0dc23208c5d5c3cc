"""A member of a consumer group that never finishes with what it was given, in a process of its own, made to be killed.

`python -m fireside.testing.stuck_member <url> <namespace> <group> <topic>` prints `receiving` once it holds facts.
"""

import asyncio
import sys
from collections.abc import Sequence

from fireside.bootstrap.event_streams import make_event_stream
from fireside.ports.event_stream import EventEnvelope


async def _receive_for_ever(_events: Sequence[EventEnvelope]) -> None:
    sys.stdout.write("receiving\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def _main(url: str, namespace: str, group: str, topic: str) -> None:
    stream = make_event_stream(url, namespace=namespace)
    await stream.open()
    await stream.subscribe(group, frozenset({topic}), _receive_for_ever)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:5]))
