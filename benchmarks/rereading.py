"""What it costs to look a credential up and to read a conversation anew, beside a hit in the cache.

Run `python -m benchmarks.rereading [--database postgresql://... --cache redis://...]`: processor time of this process,
SQLite's work included, PostgreSQL's not. The cache is asked for the very same results.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

from pydantic import TypeAdapter

from fireside.bootstrap.house import open_house
from fireside.bootstrap.parts import Parts, make_parts
from fireside.bootstrap.settings import Settings
from fireside.contracts import auth, chat
from fireside.contracts.auth_admin import CREATE_USER, CreateUser
from fireside.core.identity import service_identity, user_identity
from fireside.runtime.caching import CacheNamespace
from fireside.runtime.mesh import Context, Node

ROUNDS, TIMES = 9, 40
MESSAGES = 20
TEXT = "some words of a message that somebody wrote to ask for something, " * 8


async def measure(parts: Parts, node: Node) -> None:
    """Print a line for each way of reading."""
    gateway = node.context(identity=service_identity("gateway"))
    key = (parts.settings.folder / "cli.key").read_text().strip()
    known = await gateway.call(auth.AUTHENTICATE, auth.Authenticate(credential=key))
    user = node.context(identity=user_identity(known.user_id, roles=known.roles, permissions=known.permissions))
    token = await _token(node, user)
    await _cost("look an API key up", lambda: gateway.call(auth.AUTHENTICATE, auth.Authenticate(credential=key)))
    await _cost("look a session up", lambda: gateway.call(auth.AUTHENTICATE, auth.Authenticate(credential=token)))
    identities = parts.cache.namespace("identities", TypeAdapter(auth.Authenticated), ttl_s=600)
    await identities.put("key", known)
    await _cost("the same from the cache", lambda: identities.get("key"))
    await _read_conversation(parts, user)


async def _read_conversation(parts: Parts, user: Context) -> None:
    conversation = await user.call(chat.CREATE, chat.CreateConversation())
    for _ in range(MESSAGES):
        await user.call(chat.ADD_CONTEXT, chat.AddContext(conversation_id=conversation.id, content=TEXT))
    which = chat.ConversationRef(conversation_id=conversation.id)
    listed = chat.ListMessages(conversation_id=conversation.id, limit=100)
    await _cost("read a conversation without messages", lambda: user.call(chat.GET, which))
    await _cost(f"read its {MESSAGES} messages", lambda: user.call(chat.LIST_MESSAGES, listed))
    kept: CacheNamespace[chat.Messages] = parts.cache.namespace("read", TypeAdapter(chat.Messages), ttl_s=600)
    messages = await user.call(chat.LIST_MESSAGES, listed)
    await kept.put("key", messages)
    await _cost("the same from the cache, unsealed", lambda: kept.get("key"))
    sealed = [parts.box.seal(TEXT.encode(), place="here") for _ in range(2 * MESSAGES)]

    async def unseal() -> None:
        for one in sealed:
            parts.box.open(one, place="here")

    await _cost("to unseal what is sealed in them", unseal)


async def _token(node: Node, admin: Context) -> str:
    email, password = f"{uuid4().hex}@example.org", "correct horse battery"
    await admin.call(CREATE_USER, CreateUser(email=email, name="a", role="user", password=password))
    client = auth.Client(address="127.0.0.1")
    tokens = await node.context().call(auth.SIGN_IN, auth.SignIn(email=email, password=password, client=client))
    return tokens.access_token


async def _cost(name: str, work: Callable[[], Awaitable[object]]) -> None:
    costs = list[float]()
    for _ in range(ROUNDS):
        before = time.process_time()
        for _ in range(TIMES):
            await work()
        costs.append((time.process_time() - before) / TIMES * 1e6)
    print(f"{name:40} {statistics.median(costs):7.0f} us")


async def run() -> None:
    """Measure on a node of its own."""
    parts = make_parts(Settings(), announce_setup=lambda _: None)
    async with open_house(parts, only=["auth", "admin", "chat"]) as node:
        await measure(parts, node)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rereading")
    parser.add_argument("--database", default="sqlite://")
    parser.add_argument("--cache", default="memory://")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            FIRESIDE_HOME=str(Path(folder)),
            FIRESIDE_DATABASE_URL=chosen.database,
            FIRESIDE_CACHE_URL=chosen.cache,
            FIRESIDE_NAMESPACE=uuid4().hex[:8],
        )
        asyncio.run(run())


if __name__ == "__main__":
    main()
