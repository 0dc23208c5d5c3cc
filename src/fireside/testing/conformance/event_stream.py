"""What every event stream must do: on its own, and between the log of one service and the inbox of another."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from fireside.contracts.jobs import DeadLetterRef, ListDeadLetters, jobs_of
from fireside.core.identity import user_identity
from fireside.core.ids import UserId
from fireside.ports.event_stream import EventEnvelope, EventStream, EventStreamError
from fireside.runtime.context import Context
from fireside.testing.durable import QUICK, eventually, temporary_database
from fireside.testing.facts import Auditor, Collector, Ledger, Publisher, envelope
from fireside.testing.mesh import local_node

Connect = Callable[[], Awaitable[EventStream]]
"""Opens another connection to the same stream, as another process would; may give the same object."""


class EventStreamConformance:
    """Inherit it, with a fixture `connect` that opens connections to one empty stream and closes them afterwards."""

    @pytest.fixture
    async def stream(self, connect: Connect) -> EventStream:
        return await connect()

    async def test_a_fact_arrives_as_it_was_published(self, stream: EventStream) -> None:
        collector = Collector()
        await stream.subscribe("readers", frozenset({"ledger.entered"}), collector.receive)
        sent = envelope(1)
        await Publisher(stream).publish(sent)
        await self._until(lambda: len(collector.received) == 1)
        assert collector.received == [sent]

    async def test_every_group_receives_every_fact_of_its_topics(self, stream: EventStream) -> None:
        one, both = Collector(), Collector()
        await stream.subscribe("one", frozenset({"ledger.entered"}), one.receive)
        await stream.subscribe("both", frozenset({"ledger.entered", "ledger.closed"}), both.receive)
        await Publisher(stream).publish(envelope(1), envelope(2, topic="ledger.closed"), envelope(3))
        await self._until(lambda: len(both.sequences) == 3 and len(one.sequences) == 2)
        assert (one.sequences, both.sequences) == ([1, 3], [1, 2, 3])

    async def test_facts_of_one_aggregate_keep_their_order(self, stream: EventStream) -> None:
        collector, publisher = Collector(), Publisher(stream)
        await stream.subscribe("readers", frozenset({"ledger.entered"}), collector.receive)
        accounts = [uuid4() for _ in range(5)]
        for start in range(1, 201, 20):
            await publisher.publish(*(envelope(n, about=accounts[n % 5]) for n in range(start, start + 20)))
        await self._until(lambda: len(collector.sequences) == 200)
        for account in accounts:
            of_account = [event.sequence for event in collector.received if event.aggregate_id == account]
            assert list(dict.fromkeys(of_account)) == sorted(set(of_account))

    async def test_facts_that_were_refused_come_again_before_later_ones(self, stream: EventStream) -> None:
        collector, publisher = Collector(), Publisher(stream)
        collector.refuse = lambda event: event.sequence >= 2 and collector.refusals < 3
        await stream.subscribe("readers", frozenset({"ledger.entered"}), collector.receive)
        account = uuid4()
        for n in range(1, 5):
            await publisher.publish(envelope(n, about=account))
        await self._publish_until(publisher, lambda: len(collector.sequences) == 4)
        assert collector.sequences == [1, 2, 3, 4]
        assert collector.refusals == 3

    async def test_a_group_that_refuses_everything_holds_up_no_other(self, stream: EventStream) -> None:
        stuck, well = Collector(), Collector()
        stuck.refuse = lambda _event: True
        await stream.subscribe("stuck", frozenset({"ledger.entered"}), stuck.receive)
        await stream.subscribe("well", frozenset({"ledger.entered"}), well.receive)
        publisher = Publisher(stream)
        for n in range(1, 11):
            await publisher.publish(envelope(n))
        await self._until(lambda: len(well.sequences) == 10)
        assert stuck.received == []

    async def test_a_group_that_takes_its_time_holds_up_no_other(self, stream: EventStream) -> None:
        go_on, slow, well = asyncio.Event(), Collector(), Collector()

        async def receive_slowly(events: Sequence[EventEnvelope]) -> None:
            await go_on.wait()
            await slow.receive(events)

        await stream.subscribe("slow", frozenset({"ledger.entered"}), receive_slowly)
        await stream.subscribe("well", frozenset({"ledger.entered"}), well.receive)
        publishing = asyncio.create_task(Publisher(stream).publish(*(envelope(n) for n in range(1, 51))))
        await self._until(lambda: len(well.sequences) == 50)
        go_on.set()
        await publishing
        await self._until(lambda: len(slow.sequences) == 50)

    async def test_the_members_of_a_group_share_its_facts(self, stream: EventStream, connect: Connect) -> None:
        first, second = Collector(), Collector()
        await stream.subscribe("readers", frozenset({"ledger.entered"}), first.receive)
        await (await connect()).subscribe("readers", frozenset({"ledger.entered"}), second.receive)
        await Publisher(stream).publish(*(envelope(n) for n in range(1, 21)))
        await self._until(lambda: len(first.sequences) + len(second.sequences) >= 20)
        assert sorted(first.sequences + second.sequences) == list(range(1, 21))

    async def test_what_a_leaving_member_did_not_take_goes_to_another(
        self, stream: EventStream, connect: Connect
    ) -> None:
        leaving, staying, publisher = Collector(), Collector(), Publisher(stream)
        leaving.refuse = lambda event: event.sequence > 1
        member = await stream.subscribe("readers", frozenset({"ledger.entered"}), leaving.receive)
        await publisher.publish(envelope(1))
        await self._until(lambda: leaving.sequences == [1])
        await publisher.publish(envelope(2), envelope(3))
        await (await connect()).subscribe("readers", frozenset({"ledger.entered"}), staying.receive)
        await member.close()
        await self._publish_until(publisher, lambda: {2, 3} <= set(staying.sequences))
        assert [n for n in staying.sequences if n > 1] == [2, 3]

    async def test_a_group_keeps_its_place_while_all_its_members_are_gone(self, stream: EventStream) -> None:
        before, after, publisher = Collector(), Collector(), Publisher(stream)
        member = await stream.subscribe("readers", frozenset({"ledger.entered"}), before.receive)
        await publisher.publish(envelope(1))
        await self._until(lambda: before.sequences == [1])
        await member.close()
        await member.close()
        await publisher.publish(envelope(2), envelope(3))
        await stream.subscribe("readers", frozenset({"ledger.entered"}), after.receive)
        await self._publish_until(publisher, lambda: {2, 3} <= set(after.sequences))
        assert [n for n in after.sequences if n > 1] == [2, 3]

    async def test_publishing_twice_keeps_the_order_of_first_arrival(self, stream: EventStream) -> None:
        collector, account = Collector(), uuid4()
        await stream.subscribe("readers", frozenset({"ledger.entered"}), collector.receive)
        events = [envelope(n, about=account) for n in range(1, 6)]
        for destination in stream.destinations():
            await stream.publish(destination, events[:3])
            await stream.publish(destination, events)
        await self._until(lambda: len(collector.sequences) == 5)
        assert collector.sequences == [1, 2, 3, 4, 5]

    async def test_a_destination_that_is_not_there_is_named(self, stream: EventStream) -> None:
        with pytest.raises(EventStreamError, match="nowhere"):
            await stream.publish("nowhere", [envelope(1)])

    @pytest.mark.requirement("P15")
    async def test_facts_take_effect_once_and_in_order_in_another_service(self, connect: Connect) -> None:
        async with self._services(connect) as (ledger, auditor, _context):
            accounts = [uuid4() for _ in range(4)]
            await asyncio.gather(*(ledger.enter(account, *range(8)) for account in accounts))
            for account in accounts:
                await auditor.has_effects(account, *range(8))
            assert auditor.attempts == 32

    async def test_a_failing_handler_is_tried_again_and_holds_up_only_its_aggregate(self, connect: Connect) -> None:
        async with self._services(connect) as (ledger, auditor, _context):
            bad, good = uuid4(), uuid4()
            auditor.fail = lambda event: event.account == bad and event.n == 2
            await ledger.enter(bad, 1, 2, 3)
            await ledger.enter(good, 1, 2, 3)
            await auditor.has_effects(good, 1, 2, 3)
            assert await auditor.effects(bad) == [1]
            auditor.fail = lambda _event: False
            await auditor.has_effects(bad, 1, 2, 3)

    @pytest.mark.requirement("P8")
    async def test_a_poison_fact_becomes_a_dead_letter_that_can_be_driven_again(self, connect: Connect) -> None:
        async with self._services(connect, event_attempts=3) as (ledger, auditor, context):
            actions, account = jobs_of("auditor"), uuid4()
            auditor.fail = lambda event: event.n == 2
            await ledger.enter(account, 1, 2, 3)
            await auditor.has_effects(account, 1, 3)
            page = await context.call(actions.dead, ListDeadLetters())
            (letter,) = page.letters
            assert (letter.type, letter.name, letter.consumer_group) == ("event", "ledger.entered", "auditor")
            assert (letter.attempts, letter.error["message"]) == (3, "ValueError; the log has the cause")
            auditor.fail = lambda _event: False
            await context.call(actions.redrive, DeadLetterRef(id=letter.id))
            await auditor.has_effects(account, 1, 3, 2)
            assert (await context.call(actions.dead, ListDeadLetters())).letters == ()

    @asynccontextmanager
    async def _services(self, connect: Connect, **settings: int) -> AsyncGenerator[tuple[Ledger, Auditor, Context]]:
        """A service that states facts and one that handles them, each on a node of its own."""
        quick = QUICK.model_copy(update=settings)
        async with (
            temporary_database("ledger", stream=await connect(), settings=quick) as source,
            temporary_database("auditor", stream=await connect(), settings=quick) as target,
        ):
            ledger, auditor = Ledger(database=source), Auditor(database=target)
            async with local_node(auditor) as node, local_node(ledger):
                manager = user_identity(UserId(uuid4()), roles=(), permissions={"jobs:manage"})
                yield ledger, auditor, node.context(identity=manager)

    async def _publish_until(self, publisher: Publisher, done: Callable[[], bool]) -> None:
        async def look() -> bool | None:
            await publisher.publish()
            return done() or None

        await eventually(look)

    async def _until(self, done: Callable[[], bool]) -> None:
        async def look() -> bool | None:
            return done() or None

        await eventually(look)
