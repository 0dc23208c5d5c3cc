"""Nodes with a meter, the usage service and a scripted model, for tests."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.contracts import usage
from fireside.contracts.answer import Usage
from fireside.contracts.inference import CHAT, Chat, ChatEnd, ChatMessage
from fireside.contracts.permissions import PERMISSIONS
from fireside.core.identity import Identity, user_identity
from fireside.core.ids import ApiKeyId, UserId, new_id
from fireside.ports.language_model import LanguageModelServer
from fireside.ports.usage_counters import UsageCounters
from fireside.runtime.durable import Database
from fireside.runtime.mesh import Node
from fireside.runtime.metering import Limit, Meter, MeteringSettings
from fireside.services.inference.model import Catalogue
from fireside.services.inference.service import InferenceService
from fireside.services.usage import tables
from fireside.services.usage.service import UsageService
from fireside.testing.durable import QUICK
from fireside.testing.mesh import local_node
from fireside.testing.scripted_model import ScriptedModel
from tests.services.auth.house import ManualClock
from tests.services.inference.parts import room, served

MIGRATIONS = Path(tables.__file__).parent / "migrations"


def limit(scope: str, amount: float, **values: Any) -> Limit:
    return Limit.model_validate({"scope": scope, "amount": amount, "unit": "tokens", "window": "day"} | values)


def person(*roles: str, key: ApiKeyId | None = None) -> Identity:
    return user_identity(UserId(new_id()), roles=roles or ["user"], permissions=PERMISSIONS, api_key_id=key)


class ChangingSettings:
    """Reads like the settings that a test puts in."""

    def __init__(self, now: MeteringSettings) -> None:
        self.now = now

    def __getattr__(self, name: str) -> Any:
        return getattr(self.now, name)


@dataclass
class MeteredHouse:
    """A running node. The model `small` counts words as tokens."""

    node: Node
    meter: Meter
    model: ScriptedModel
    clock: ManualClock
    settings: ChangingSettings
    me: Identity

    async def ask(self, words: int = 3, *, max_tokens: int = 10, who: Identity | None = None) -> Usage:
        messages = (ChatMessage(role="user", content=" ".join(["word"] * words)),)
        context = self.node.context(identity=who or self.me)
        asked = Chat(messages=messages, max_tokens=max_tokens)
        items = [item async for item in context.stream(CHAT, asked)]
        assert isinstance(items[-1], ChatEnd)
        return items[-1].usage

    async def own_after(self, requests: int) -> usage.OwnUsage:
        """What was used when so many requests have been counted."""
        async with asyncio.timeout(10):
            while (own := await self.own()).total.requests < requests:
                await asyncio.sleep(0.01)
        return own

    async def own(self, who: Identity | None = None, **query: Any) -> usage.OwnUsage:
        asking = self.node.context(identity=who or self.me)
        return await asking.call(usage.OWN, usage.UsageQuery(**query))

    def limit(self, *limits: Limit) -> None:
        """Have these limits hold from now on."""
        self.settings.now = self.settings.now.model_copy(update={"limits": limits})
        self.meter.limits_changed(self.settings.now)

    async def report(self, group_by: Any) -> usage.UsageReport:
        asking = self.node.context(identity=self.me)
        return await asking.call(usage.REPORT, usage.UsageQuery(group_by=group_by))


@asynccontextmanager
async def metered_house(
    url: str,
    counters: UsageCounters,
    *limits: Limit,
    clock: ManualClock | None = None,
    me: Identity | None = None,
    server: LanguageModelServer | None = None,
    **settings: Any,
) -> AsyncGenerator[MeteredHouse]:
    """A node over a database of the usage service; `server` has the model instead of a scripted one."""
    clock = clock or ManualClock()
    model = ScriptedModel()
    database = Database(url, service="usage", migrations=MIGRATIONS, stream=OutboxEventStream(), settings=QUICK)
    changing: Any = ChangingSettings(MeteringSettings(limits=limits, **settings))
    meter = Meter(settings=changing, counters=counters, clock=clock)
    inference = InferenceService(catalogue=Catalogue((served("small", server or model),)), room=room(), meter=meter)
    async with local_node(meter, UsageService(database=database, meter=meter, clock=clock), inference) as node:
        yield MeteredHouse(node, meter, model, clock, changing, me or person())
    await counters.aclose()
