"""The reader of model files: right ones are understood, hostile ones refused with the reason."""

import io
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireside.services.explore.errors import UnusableModelFileError
from fireside.services.explore.facts import facts_of
from fireside.services.explore.gguf import IncompleteHeadError, read_head
from tests.gguf import MODEL, head, model_file, padded, tensor, text
from tests.tiny_models import bert_file

RIGHT = model_file()
HUGE = 2**63


def read(content: bytes, size_bytes: int | None = None):
    return read_head(io.BytesIO(content), size_bytes=len(content) if size_bytes is None else size_bytes)


def with_tensors(*tensors: bytes, weights: int = 4096) -> bytes:
    return padded(head(MODEL, list(tensors))) + bytes(weights)


def test_a_model_is_understood() -> None:
    facts = facts_of(read(RIGHT))

    assert (facts.architecture, facts.family, facts.quantisation, facts.parameters) == ("llama", "tiny", "Q8_0", 1000)
    assert (facts.context_tokens, facts.licence, facts.languages) == (4096, "apache-2.0", ("en", "de"))
    assert facts.kv_bytes_per_token == 2 * 2 * (16 + 16) * 2  # layers, heads, key and value, two bytes each
    assert facts.answer_style == "quote"


def test_long_lists_are_passed_over_and_short_ones_kept() -> None:
    many = struct.pack("<IIQ", 9, 8, 5000) + text("token") * 5000
    numbers = struct.pack("<IIQ", 9, 5, 3) + struct.pack("<3i", 1, 0, 2)

    found = read(model_file(tokens=many, types=struct.pack("<IIQ", 9, 4, 2000) + bytes(8000), heads=numbers)).metadata

    assert (found["tokens"], found["types"], found["heads"]) == (None, None, [1, 0, 2])


def test_the_head_alone_is_enough_once_it_is_whole() -> None:
    whole = model_file(100_000)

    assert read(whole[:2000], len(whole)).parameters == 100_000
    with pytest.raises(IncompleteHeadError):
        read(whole[:200], len(whole))


@pytest.mark.requirement("I6")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends in the middle|more bytes than"),
        (b"GGML" + RIGHT[4:], "does not begin"),
        (head(MODEL, [], version=1), "version 1 "),
        (b"GGUF" + struct.pack(">I", 3) + RIGHT[8:], "big-endian"),
        (head(MODEL, [], count=HUGE), "claims .* tensors"),
        (head(MODEL, [], keys=HUGE), "claims .* keys"),
        (head({}, []) + bytes(100), "no tensors"),
        (head({}, [], keys=1) + struct.pack("<Q", HUGE), "claims .* bytes of a key"),
        (head({"k": struct.pack("<IQ", 8, HUGE)}, []), "claims .* bytes of a text"),
        (head({"k": struct.pack("<IQ", 8, 10_000_000)}, []), "more bytes than"),
        (head({"k": struct.pack("<I", 99)}, []), "unknown type 99"),
        (head({"k": struct.pack("<IIQ", 9, 4, HUGE)}, []), "claims .* items"),
        (head({"k": struct.pack("<IIQ", 9, 4, 7_000_000)}, []), "more bytes than"),
        (head({"k": struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9}, []), "nested deeper"),
        (head({"k": struct.pack("<IIQ", 9, 9, 5000) + bytes(60_000)}, []), "list of lists"),
        (head({}, [], keys=2) + (text("k") + struct.pack("<II", 4, 1)) * 2, "twice"),
        (head({"k": struct.pack("<I", 8) + text(b"\xff\xfe")}, []), "not UTF-8"),
        (model_file(general__alignment=0), "alignment of 0"),
        (model_file(general__alignment=48), "alignment of 48"),
        (model_file(general__alignment="32"), "alignment of '32'"),
        (with_tensors(tensor("w", 1000, 2**40)), "it was cut"),
        (with_tensors(tensor("w", 1000, 7)), "not aligned"),
        (with_tensors(tensor("w", 1000, 0, kind=77)), "unknown type 77"),
        (with_tensors(tensor("w", 1000, 0, kind=8)), "blocks of 32"),
        (with_tensors(tensor("w", 0, 0)), "impossible shape"),
        (with_tensors(tensor("w", 0, 0, shape=(2**32, 2**32, 2**32))), "impossible shape"),
        (with_tensors(tensor("w", 0, 0, shape=(1,) * 5)), "5 dimensions"),
        (with_tensors(tensor("w", 64, 0), tensor("v", 64, 32)), "lies over another"),
        (with_tensors(tensor("w", 64, 0), tensor("w", 64, 64)), "same name"),
        (with_tensors(tensor("w" * 300, 64, 0)), "bytes of a tensor's name"),
    ],
)
def test_a_hostile_file_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(UnusableModelFileError, match=reason):
        read(content)


def test_lists_in_lists_cannot_fill_the_memory() -> None:
    inner = struct.pack("<IQ", 4, 1000) + bytes(4000)
    nested = struct.pack("<IIQ", 9, 9, 1000) + inner * 1000

    with pytest.raises(UnusableModelFileError, match="in all"):
        read(model_file(k=nested))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"general__type": "adapter"}, "adapter"),
        ({"general__architecture": "clip"}, "clip"),
        ({"split__count": 3}, "several parts"),
        ({"general__architecture": ""}, "which architecture"),
    ],
)
def test_what_is_no_whole_language_model_is_refused(changed: dict[str, object], reason: str) -> None:
    with pytest.raises(UnusableModelFileError, match=reason):
        facts_of(read(model_file(**changed)))


@pytest.mark.parametrize("field", ["llama__block_count", "llama__embedding_length", "llama__context_length"])
@pytest.mark.parametrize("value", [0, "many", 2**31])
def test_senseless_facts_are_not_believed(field: str, value: object) -> None:
    facts = facts_of(read(model_file(**{field: value})))

    assert facts.kv_bytes_per_token is None or facts.context_tokens is None


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=12))
def test_damage_anywhere_is_refused_or_harmless(place: int, damage: bytes) -> None:
    content = RIGHT[:place] + damage + RIGHT[place + len(damage) :]

    with suppress(UnusableModelFileError):
        facts_of(read(content))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (model_file(), "chat"),
        (bert_file(), "embedding"),
        (bert_file(ranks=True), "rerank"),
        (model_file(llama__pooling_type=3), "embedding"),
    ],
)
def test_what_a_model_was_made_for_is_read_from_its_file(content: bytes, kind: str) -> None:
    assert facts_of(read(content)).kind == kind
