"""What an event stream on a broker must do beyond what every one must: see the broker and members come and go."""

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol
from uuid import uuid4

import pytest

from fireside.ports.event_stream import EventEnvelope, EventStream, EventStreamError, Receive
from fireside.testing.conformance.event_stream import Connect, EventStreamConformance
from fireside.testing.durable import eventually
from fireside.testing.facts import Collector, Publisher, envelope

Inject = Callable[[bytes], Awaitable[None]]
"""Puts any message where the stream's facts go."""

TOPIC = "ledger.entered"


class Broker(Protocol):
    """A broker of the test's own. All of these return when it is done."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def settle(self) -> None:
        """Wait until a kill can no longer undo what was set up."""
        ...


class BrokerEventStreamConformance(EventStreamConformance):
    """Inherit it, with these fixtures.

    `broker` runs at the beginning of a test. `connect` opens connections to one empty stream on it and closes them
    afterwards; a member that shows no sign of life for a second or two is taken over. `address` is URL and namespace
    of that stream, `connect_elsewhere` opens connections to one of another namespace, `inject` puts any message where
    the facts of the stream go.
    """

    async def test_publishing_waits_for_no_group(self, stream: EventStream) -> None:
        go_on, slow = asyncio.Event(), Collector()
        at_once = 0

        async def receive_slowly(events: Sequence[EventEnvelope]) -> None:
            nonlocal at_once
            at_once += 1
            assert at_once == 1
            await go_on.wait()
            await slow.receive(events)
            at_once -= 1

        await stream.subscribe("slow", frozenset({TOPIC}), receive_slowly)
        publisher = Publisher(stream)
        for start in range(1, 601, 100):
            await publisher.publish(*(envelope(n) for n in range(start, start + 100)))
        assert slow.received == []
        go_on.set()
        await self._until(lambda: len(slow.sequences) == 600)
        assert slow.sequences == list(range(1, 601))

    async def test_order_is_kept_whichever_member_takes_the_facts(self, connect: Connect) -> None:
        chance, taken = random.Random(20260103), list[EventEnvelope]()  # noqa: S311 - guards nothing

        async def receive(events: Sequence[EventEnvelope]) -> None:
            if chance.random() < 0.3:
                raise EventStreamError("not now")
            await asyncio.sleep(0)
            taken.extend(events)

        publisher, accounts = Publisher(await connect()), [uuid4() for _ in range(3)]
        await (await (await connect()).subscribe("readers", frozenset({TOPIC}), receive)).close()
        for n in range(1, 41):
            await publisher.publish(envelope(n, about=accounts[n % 3]))
        members = [asyncio.create_task(self._come_and_go(await connect(), receive, taken)) for _ in range(3)]
        await self._until(lambda: len({event.id for event in taken}) == 40)
        for member in members:
            member.cancel()
        await asyncio.gather(*members, return_exceptions=True)
        for account in accounts:
            self._assert_first_arrivals_in_order(event.sequence for event in taken if event.aggregate_id == account)

    async def test_what_a_member_refuses_while_it_leaves_goes_to_another(
        self, stream: EventStream, connect: Connect
    ) -> None:
        """It leaves in any moment of giving back what it has just refused."""
        publisher, other = Publisher(stream), await connect()
        for steps in range(12):
            refused, staying = asyncio.Event(), Collector()

            async def refuse(_events: Sequence[EventEnvelope], refused: asyncio.Event = refused) -> None:
                refused.set()
                raise EventStreamError("not now")

            member = await stream.subscribe(f"readers-{steps}", frozenset({TOPIC}), refuse)
            await publisher.publish(envelope(steps))
            await refused.wait()
            for _ in range(steps):
                await asyncio.sleep(0)
            await member.close()
            await other.subscribe(f"readers-{steps}", frozenset({TOPIC}), staying.receive)
            await self._until(lambda staying=staying, last=steps: last in staying.sequences)

    async def test_what_is_no_fact_is_put_aside_and_holds_up_nothing(self, stream: EventStream, inject: Inject) -> None:
        collector, publisher = Collector(), Publisher(stream)
        await stream.subscribe("readers", frozenset({TOPIC}), collector.receive)
        await publisher.publish(envelope(1))
        await inject(b"\xffnothing")
        await inject(b'{"id":1}')
        await publisher.publish(envelope(2))
        await self._until(lambda: collector.sequences == [1, 2])

        async def both() -> bool | None:
            return len(await stream.rejected()) == 2 or None

        await eventually(both)
        for _ in range(2):
            listed = await stream.rejected()
            assert [(message.group, message.body) for message in listed] == [
                ("readers", b"\xffnothing"),
                ("readers", b'{"id":1}'),
            ]
        assert len(await stream.rejected(limit=1)) == 1
        await self._offer_all_again(stream)

    async def _offer_all_again(self, stream: EventStream) -> None:
        """Each comes once more, is still no fact, and is put aside again: nothing is lost by trying."""
        before = await stream.rejected()
        for message in before:
            assert await stream.offer_again(message.id)

        async def put_aside_again() -> bool | None:
            now = await stream.rejected()
            newer = all(again.rejected_at >= message.rejected_at for message, again in zip(before, now, strict=False))
            return (len(now) == len(before) and newer) or None

        await eventually(put_aside_again)
        assert {message.id for message in await stream.rejected()} == {message.id for message in before}
        assert not await stream.offer_again(uuid4())

    async def test_clusters_with_different_namespaces_hear_nothing_of_each_other(
        self, stream: EventStream, connect_elsewhere: Connect
    ) -> None:
        here, there, elsewhere = Collector(), Collector(), await connect_elsewhere()
        await stream.subscribe("readers", frozenset({TOPIC}), here.receive)
        await elsewhere.subscribe("readers", frozenset({TOPIC}), there.receive)
        await Publisher(elsewhere).publish(envelope(1))
        await Publisher(stream).publish(envelope(2))
        await self._until(lambda: bool(here.sequences and there.sequences))
        assert (here.sequences, there.sequences) == ([2], [1])

    async def test_what_a_member_held_when_it_was_killed_goes_to_another(
        self, stream: EventStream, address: tuple[str, str]
    ) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fireside.testing.stuck_member", *address, "readers", TOPIC),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        publisher, staying, line = Publisher(stream), Collector(), asyncio.create_task(process.stdout.readline())
        # published again and again until the group is there
        await self._publish_anew_until(publisher, line.done)
        assert line.result() == b"receiving\n"
        first = len(publisher.log)
        await stream.subscribe("readers", frozenset({TOPIC}), staying.receive)
        await publisher.publish(envelope(first + 1))
        assert staying.received == []
        process.kill()
        await process.wait()
        await self._until(lambda: first + 1 in staying.sequences)
        assert staying.sequences == list(range(staying.sequences[0], first + 2))

    async def test_facts_published_while_the_broker_is_killed_arrive_in_order(
        self, stream: EventStream, broker: Broker
    ) -> None:
        collector, publisher, account = Collector(), Publisher(stream), uuid4()
        await stream.subscribe("readers", frozenset({TOPIC}), collector.receive)

        async def publish() -> None:
            for n in range(2, 201):
                await publisher.publish(envelope(n, about=account))

        await publisher.publish(envelope(1, about=account))
        await self._until(lambda: collector.sequences == [1])
        await asyncio.to_thread(broker.settle)
        publishing = asyncio.create_task(publish())
        await self._until(lambda: len(collector.sequences) >= 50)
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        await publishing
        await self._publish_until(publisher, lambda: len(collector.sequences) == 200)
        assert collector.sequences == list(range(1, 201))

    @pytest.mark.requirement("P15")
    async def test_writes_go_on_while_the_broker_is_away_and_take_effect_when_it_is_back(
        self, connect: Connect, broker: Broker
    ) -> None:
        async with self._services(connect) as (ledger, auditor, _context):
            account, late = uuid4(), Collector()
            await ledger.enter(account, 0)
            await auditor.has_effects(account, 0)
            await asyncio.to_thread(broker.stop)
            await ledger.enter(account, *range(1, 101))
            stream = await connect()
            for destination in stream.destinations():
                with pytest.raises(EventStreamError):
                    await stream.publish(destination, [envelope(1)])
            with pytest.raises(EventStreamError):
                await stream.rejected()
            await stream.subscribe("late", frozenset({TOPIC}), late.receive)
            assert await auditor.effects(account) == [0]
            await asyncio.to_thread(broker.start)
            await auditor.has_effects(account, *range(101))
            await self._until_late_hears(ledger.enter, account, late)

    async def _come_and_go(self, stream: EventStream, receive: Receive, taken: Sequence[EventEnvelope]) -> None:
        """Be a member until something was taken, then another one, and so on."""

        def has_more_than(count: int) -> bool:
            return len(taken) > count or len(taken) >= 40

        while True:
            member = await stream.subscribe("readers", frozenset({TOPIC}), receive)
            await self._until(partial(has_more_than, len(taken)))
            await member.close()

    def _assert_first_arrivals_in_order(self, sequences: Iterable[int]) -> None:
        first = list(dict.fromkeys(sequences))
        assert first == sorted(first)

    async def _until_late_hears(self, enter: Callable[..., Awaitable[None]], account: object, late: Collector) -> None:
        async def look() -> bool | None:
            await enter(account, 1000)
            return bool(late.received) or None

        await eventually(look)

    async def _publish_anew_until(self, publisher: Publisher, done: Callable[[], bool]) -> None:
        async def look() -> bool | None:
            with suppress(EventStreamError):
                await publisher.publish(envelope(len(publisher.log) + 1))
            await asyncio.sleep(0.05)
            return done() or None

        await eventually(look)
