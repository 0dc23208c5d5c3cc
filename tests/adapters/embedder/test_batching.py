"""One thread, many callers: who waits for whom, and who hears of which failure."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

import numpy as np
import pytest

from fireside.adapters.embedder.batching import BatchingWorker, Model, TokenIds
from fireside.ports.embedder import EmbedderFailedError, EmbedderUnavailableError, Vectors

WAIT_S = 30.0


class FakeModel:
    """Embeds a text as its length; stops at `gate` before each batch while it is closed."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()

    def encode(self, texts: Sequence[str]) -> Sequence[TokenIds]:
        if "unreadable" in texts:
            raise ValueError("cannot read")
        return [np.ones(len(text), dtype=np.int64) for text in texts]

    def run(self, batch: Sequence[TokenIds]) -> Vectors:
        self.waiting.set()
        assert self.gate.wait(WAIT_S)
        self.batches.append([len(ids) for ids in batch])
        if any(len(ids) == 13 for ids in batch):
            raise RuntimeError("unlucky")
        return np.array([[len(ids)] for ids in batch], dtype=np.float32)


Start = Callable[[Callable[[], Model]], BatchingWorker]


@pytest.fixture
def start() -> Iterator[Start]:
    workers: list[BatchingWorker] = []

    def make(load: Callable[[], Model]) -> BatchingWorker:
        workers.append(BatchingWorker(load, dimensions=1, thread_name="test"))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


def lengths(future: "Future[Vectors]") -> list[float]:
    return future.result(WAIT_S)[:, 0].tolist()


def held(start: Start) -> tuple[FakeModel, BatchingWorker, "Future[Vectors]"]:
    """A worker that is in the middle of its first batch."""
    model = FakeModel()
    model.gate.clear()
    worker = start(lambda: model)
    first = worker.submit(["first"])
    assert model.waiting.wait(WAIT_S)
    return model, worker, first


def test_calls_that_come_while_a_batch_runs_share_the_next(start: Start) -> None:
    model, worker, first = held(start)
    later = [worker.submit(["x" * n]) for n in (3, 1, 2)]

    model.gate.set()

    assert [lengths(call) for call in (first, *later)] == [[5.0], [3.0], [1.0], [2.0]]
    assert model.batches == [[5], [1, 2, 3]]


def test_texts_of_like_length_share_a_batch_within_its_limits(start: Start) -> None:
    model = FakeModel()
    texts = [("long " * 60).strip(), "x"] * 50

    assert lengths(start(lambda: model).submit(texts)) == [float(len(text)) for text in texts]

    assert all(len(batch) == 1 or max(batch) * len(batch) <= 1024 for batch in model.batches)
    assert all(len(batch) <= 64 for batch in model.batches)
    assert [size for batch in model.batches for size in batch][:50] == [1] * 50


def test_a_search_does_not_wait_for_an_indexing_job_that_came_first(start: Start) -> None:
    model, worker, _ = held(start)
    job = worker.submit(["y" * 900] * 8)
    search = worker.submit(["query"])

    model.gate.set()

    assert lengths(search) == [5.0]
    assert lengths(job) == [900.0] * 8
    assert model.batches[1] == [5]


def test_a_cancelled_call_is_not_computed(start: Start) -> None:
    model, worker, _ = held(start)
    doomed, kept = worker.submit(["z" * 7]), worker.submit(["four"])

    assert doomed.cancel()
    model.gate.set()

    assert lengths(kept) == [4.0]
    assert 7 not in [size for batch in model.batches[1:] for size in batch]


def test_texts_that_cannot_be_read_fail_their_caller_alone(start: Start) -> None:
    model, worker, _ = held(start)
    bad, good = worker.submit(["unreadable"]), worker.submit(["fine"])

    model.gate.set()

    with pytest.raises(EmbedderFailedError, match="cannot read"):
        bad.result(WAIT_S)
    assert lengths(good) == [4.0]


def test_a_failing_batch_fails_its_callers_and_the_next_is_served(start: Start) -> None:
    worker = start(FakeModel)

    with pytest.raises(EmbedderFailedError, match="unlucky"):
        worker.submit(["x" * 13, "y" * 900, "z" * 900]).result(WAIT_S)

    assert lengths(worker.submit(["fine"])) == [4.0]


def test_no_texts_only_load_the_model(start: Start) -> None:
    worker = start(FakeModel)
    assert not worker.ready

    assert worker.submit(()).result(WAIT_S).shape == (0, 1)

    assert worker.ready


def test_a_model_that_cannot_be_loaded_is_tried_again_by_the_next_call(start: Start) -> None:
    attempts: list[int] = []

    def load() -> Model:
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("no such file")
        return FakeModel()

    worker = start(load)

    for _ in range(2):
        with pytest.raises(EmbedderUnavailableError, match="no such file"):
            worker.submit(["text"]).result(WAIT_S)
    assert lengths(worker.submit(["text"])) == [4.0]


def test_closing_fails_what_still_waits_and_refuses_what_comes_after(start: Start) -> None:
    model, worker, first = held(start)
    waiting = [worker.submit(["later"]), worker.submit(["x" * 900] * 8)]
    closing = threading.Thread(target=worker.close)
    closing.start()

    while True:
        try:
            worker.submit(["too late"])
        except EmbedderUnavailableError:
            break
    model.gate.set()
    closing.join(WAIT_S)

    assert not closing.is_alive()
    assert first.done()
    for call in waiting:
        with pytest.raises(EmbedderUnavailableError, match="closed"):
            call.result(WAIT_S)
    worker.close()
