"""What every embedder does. Inherit, and provide the fixture `embedder` (closed afterwards)."""

import asyncio

import numpy as np
import pytest

from fireside.ports.embedder import Embedder, EmbedderUnavailableError

_LEAVE = "How many days of annual leave may I carry over into the next year?"
_VACATION = "Unused vacation days can be taken along to the following year."
_PRINTER = "The printer on the second floor is out of toner."


class EmbedderConformance:
    """Behaviour of `Embedder`."""

    async def test_there_is_one_unit_vector_per_text_in_order(self, embedder: Embedder) -> None:
        texts = [_LEAVE, _PRINTER, _VACATION]

        together = await embedder.embed(texts)
        alone = np.concatenate([await embedder.embed([text]) for text in texts])

        assert together.shape == (3, embedder.facts.dimensions)
        assert together.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
        assert (together * alone).sum(axis=1).min() > 0.995

    async def test_texts_of_like_meaning_are_closer_than_others(self, embedder: Embedder) -> None:
        leave, vacation, printer = await embedder.embed([_LEAVE, _VACATION, _PRINTER])

        assert leave @ vacation > leave @ printer + 0.1

    async def test_no_texts_give_no_vectors(self, embedder: Embedder) -> None:
        assert (await embedder.embed([])).shape == (0, embedder.facts.dimensions)

    @pytest.mark.parametrize(
        "text",
        ["", "   ", "\x00", "\ud800 lone surrogate", "x" * 300_000, "word " * 50_000, "休暇は何日", "🙂" * 500],
        ids=["empty", "blank", "nul", "surrogate", "one word", "long", "japanese", "emoji"],
    )
    async def test_any_text_has_a_vector(self, embedder: Embedder, text: str) -> None:
        vectors = await embedder.embed([text])

        assert vectors.shape == (1, embedder.facts.dimensions)
        assert np.isfinite(vectors).all()

    async def test_many_callers_at_once_each_get_their_own_vectors(self, embedder: Embedder) -> None:
        texts = [f"Room {number} seats {number * 3} people. " * (number % 7 + 1) for number in range(24)]
        expected = await embedder.embed(texts)

        answers = await asyncio.gather(*(embedder.embed([text]) for text in texts))

        similarity = np.concatenate(answers) @ expected.T
        assert (similarity.argmax(axis=1) == np.arange(len(texts))).all()

    async def test_a_cancelled_call_leaves_the_others_alone(self, embedder: Embedder) -> None:
        await embedder.warm_up()
        doomed = asyncio.create_task(embedder.embed([_PRINTER] * 50))
        kept = asyncio.create_task(embedder.embed([_LEAVE]))
        await asyncio.sleep(0)

        doomed.cancel()

        assert (await kept).shape == (1, embedder.facts.dimensions)
        with pytest.raises(asyncio.CancelledError):
            await doomed

    async def test_it_is_ready_once_warmed_up(self, embedder: Embedder) -> None:
        await embedder.warm_up()

        assert embedder.ready

    async def test_it_names_itself_and_its_limits(self, embedder: Embedder) -> None:
        assert embedder.facts.name
        assert embedder.facts.full_name.startswith(embedder.facts.name)
        assert embedder.facts.dimensions > 0
        assert embedder.facts.max_tokens > 0

    async def test_after_closing_it_says_so_and_closing_again_is_fine(self, embedder: Embedder) -> None:
        await embedder.embed([_LEAVE])

        await embedder.aclose()
        await embedder.aclose()

        with pytest.raises(EmbedderUnavailableError):
            await embedder.embed([_LEAVE])
