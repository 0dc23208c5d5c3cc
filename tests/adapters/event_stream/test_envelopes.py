"""Facts as they travel, and how what keeps them is called."""

from dataclasses import replace
from uuid import UUID

import orjson
import pytest

from fireside.adapters.event_stream.envelope_codec import NotAnEnvelopeError, decode, encode, messages
from fireside.adapters.event_stream.names import original, plain, prefix
from fireside.testing.facts import envelope


def test_a_fact_arrives_as_it_was_written() -> None:
    fact = envelope(1)
    nobody = replace(fact, actor_id=None, request_id="", payload='{"text": "a\\nb"}')
    assert decode(encode(fact)) == fact
    assert decode(encode(nobody)) == nobody
    assert b"\n" not in encode(nobody)


def test_ids_may_be_of_a_class_of_the_database_driver() -> None:
    class DriverUuid(UUID):
        """As asyncpg has it."""

    fact = envelope(1)
    read = replace(fact, id=DriverUuid(str(fact.id)), aggregate_id=DriverUuid(str(fact.aggregate_id)))
    assert decode(encode(read)) == fact


def test_what_a_newer_version_adds_is_passed_over() -> None:
    fact = envelope(1)
    assert decode(orjson.dumps({**orjson.loads(encode(fact)), "mood": "good"})) == fact


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": 5}, "id: UUID input should be a string"),
        ({"id": "5"}, "id: .* valid UUID"),
        ({"sequence": True}, "sequence: .* valid integer"),
        ({"occurred_at": "2026-01-01T00:00:00"}, "no time zone"),
        ({"payload": "[]"}, "payload is no JSON object"),
        ({"payload": "{"}, "payload: unexpected end"),
        ({"topic": None}, "topic: .* valid string"),
        ({"aggregate_version": 2**63}, "too large"),
        ({"actor_id": 7}, "actor_id: UUID input should be a string"),
    ],
)
def test_what_is_no_fact_is_refused_with_the_reason(change: dict[str, object], said: str) -> None:
    with pytest.raises(NotAnEnvelopeError, match=said):
        decode(orjson.dumps({**orjson.loads(encode(envelope(1))), **change}))


def test_the_reason_does_not_show_what_a_message_says() -> None:
    with pytest.raises(NotAnEnvelopeError) as refusal:
        decode(orjson.dumps({**orjson.loads(encode(envelope(1))), "id": "a secret"}))
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"{}", b'"id"', b"null"])
def test_what_is_nothing_like_a_fact_is_refused(body: bytes) -> None:
    with pytest.raises(NotAnEnvelopeError):
        decode(body)


def test_facts_are_joined_up_to_a_length_and_named_after_what_is_in_them() -> None:
    facts = [envelope(n) for n in range(10)]
    line = len(encode(facts[0])) + 1
    joined = list(messages(facts, longest_bytes=3 * line + 1))
    assert [decode(each) for one in joined for each in one.body.split(b"\n")] == facts
    assert len(joined) == 4
    assert len({one.id for one in joined}) == 4
    assert list(messages(facts, longest_bytes=3 * line + 1)) == joined
    assert len(list(messages(facts, longest_bytes=1))) == 10
    assert list(messages([], longest_bytes=1)) == []


@pytest.mark.parametrize("name", ["chat", "a.b", "a_b", "_2E", "ü*>/ ", "a-b"])
def test_plain_names_lead_back_to_the_original(name: str) -> None:
    assert original(plain(name)) == name
    assert set(plain(name)) <= set("abcdefghijklmnopqrstuvwxyzABCDEF0123456789_-")


def test_a_cluster_without_a_namespace_has_the_plain_prefix() -> None:
    assert (prefix(""), prefix("a.b")) == ("fireside", "fireside-a_2Eb")
