"""What became of all that a load sent: what is lost of that which was acknowledged, and what took effect twice."""

import asyncio
import time
from collections import Counter
from typing import Any
from urllib.parse import quote

from tests.faults.load import Load
from tests.postgresql import fetch_all

_PATIENCE_S = 60.0
_LOOKED_FOR = 3
_WHOLE = ("assistant", "complete")
_STATED_ONCE = {
    "documents.indexed": ("documents", "aggregate_id::text"),
    "jobs.finished": ("documents", "aggregate_id::text"),
    "chat.answer_finished": ("chat", "payload::json ->> 'message_id'"),
}
"""Facts of which there is one about each thing, when no document is sent with a second content; who states them, and
where they say what they are about."""


async def lost_and_doubled(load: Load, database_url: str) -> tuple[list[str], list[str]]:
    """What is lost and what is doubled, described; both empty when all is well. The load must be at rest."""
    lost, doubled = list[str](), list[str]()
    await _compare_documents(load, lost, doubled)
    await _compare_messages(load, lost, doubled)
    await _compare_facts(database_url, lost, doubled)
    return lost, doubled


async def _compare_documents(load: Load, lost: list[str], doubled: list[str]) -> None:
    documents = await _settled_documents(load)
    stored = Counter(document["path"] for document in documents)
    indexed = {document["id"] for document in documents if document["state"] == "indexed" and document["chunk_count"]}
    lost += [path for path, document_id in load.ledger.documents.items() if document_id not in indexed]
    doubled += [f"{path}: {times} documents" for path, times in stored.items() if times > 1]
    for path in list(load.ledger.documents)[-_LOOKED_FOR:]:
        found = (await load.get(f"/api/v1/search?limit=20&mode=keyword&q={load.word_of(path)}"))["items"]
        hits = [item["path"] for item in found]
        lost += [f"{path}: not found"] if path not in hits else []
        doubled += [f"{path}: found as {hits}"] if hits.count(path) > 1 else []


async def _settled_documents(load: Load) -> list[Any]:
    """All documents of the load, once each has been read."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        documents = await _documents_of(load)
        unread = [document for document in documents if document["state"] in {"pending", "indexing"}]
        if not unread or time.monotonic() > deadline:
            return documents
        await asyncio.sleep(0.1)


async def _documents_of(load: Load) -> list[Any]:
    found, cursor = list[Any](), ""
    while True:
        page = await load.get(f"/api/v1/documents?limit=100&query={quote(load.folder)}{cursor}")
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={quote(page['next_cursor'])}"


async def _compare_messages(load: Load, lost: list[str], doubled: list[str]) -> None:
    acknowledged = {question: answer for answer, question in load.ledger.answers.items()}
    for question, conversation in load.ledger.asked.items():
        messages = (await load.get(f"/api/v1/conversations/{conversation}/messages?limit=100"))["items"]
        questions = [message for message in messages if message["role"] == "user"]
        whole = [
            message["id"] for message in messages if message["role"] == "assistant" and message["state"] == "complete"
        ]
        if [message["id"] for message in questions] != [question]:
            (doubled if questions else lost).append(f"question {question}: {questions}")
        if acknowledged.get(question) not in whole:
            lost.append(f"answer to {question}: {messages}")
        if len(whole) > 1:
            doubled.append(f"answers to {question}: {messages}")


async def _compare_facts(database_url: str, lost: list[str], doubled: list[str]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while (waiting := await _facts_on_their_way(database_url)) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    lost += [f"fact on its way for ever: {fact}" for fact in waiting]
    for topic, (service, subject) in _STATED_ONCE.items():
        query = (
            f"SELECT {subject}, count(*) FROM {service}.durable_events"
            f" WHERE topic = '{topic}' GROUP BY 1 HAVING count(*) > 1"
        )
        doubled += [f"{topic} of {row}" for row in await fetch_all(database_url, query)]


async def _facts_on_their_way(database_url: str) -> list[str]:
    """Facts that are not published, or not handled by the service that wants them."""
    unpublished = " UNION ALL ".join(
        f"SELECT topic, id::text FROM {service}.durable_events WHERE published_at IS NULL"
        for service in ("auth", "chat", "documents")
    )
    unhandled = (
        "SELECT topic, id::text FROM documents.durable_events e WHERE topic = 'jobs.finished' AND NOT EXISTS"
        " (SELECT 1 FROM documents.durable_inbox i WHERE i.event_id = e.id AND i.state = 'handled')"
    )
    return [str(row) for row in await fetch_all(database_url, f"{unpublished} UNION ALL {unhandled}")]
