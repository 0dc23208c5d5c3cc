"""Texts as sparse vectors."""

import math
from collections import Counter

import numpy as np
import pytest

from fireside.services.vectors.keywords import index_keywords, query_keywords


def weights(text: str) -> dict[int, float]:
    vector = index_keywords(text)
    return dict(zip(vector.terms.tolist(), vector.weights.tolist(), strict=True))


def test_forms_of_a_word_share_a_term_and_other_words_do_not() -> None:
    assert set(weights("policies")) == set(weights("Policy")) != set(weights("printer"))


def test_repetition_counts_less_each_time() -> None:
    one, two, three = (weights("leave " * n)[query_keywords("leave").terms[0]] for n in (1, 2, 3))

    assert one < two < three < 2.2
    assert two - one > three - two


def test_a_word_weighs_less_in_a_long_text() -> None:
    term = int(query_keywords("leave").terms[0])
    filler = " ".join(f"word{n}" for n in range(300))

    assert weights("leave " + filler)[term] < weights("leave")[term]


def test_a_query_counts_its_words() -> None:
    query = query_keywords("the leave and the leaves")

    assert sorted(query.weights.tolist()) == [2.0]


def test_no_words_make_an_empty_vector() -> None:
    assert len(index_keywords("?!").terms) == 0
    assert index_keywords("").terms.dtype == np.uint32


def test_weights_are_those_of_bm25() -> None:
    words = ["leave"] * 3 + [f"word{n}" for n in range(87)]
    expected = 3 * 2.2 / (3 + 1.2 * (0.25 + 0.75 * len(words) / 90))

    assert weights(" ".join(words))[int(query_keywords("leave").terms[0])] == pytest.approx(expected, rel=1e-6)


def test_terms_are_distinct_and_weights_above_zero() -> None:
    vector = index_keywords(" ".join(f"word{n % 5000}" for n in range(20_000)))

    assert Counter(vector.terms.tolist()).most_common(1)[0][1] == 1
    assert vector.weights.min() > 0
    assert math.isfinite(vector.weights.max())
