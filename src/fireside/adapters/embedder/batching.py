"""One thread that owns an embedding model and answers the calls of many tasks in batches.

Calls that arrive while a batch runs are gathered into the next ones. Texts of similar length share a batch, so that
little is computed for padding. Small calls, such as a search's, go before large ones, such as an indexing job's;
because batches are small, a search waits at most for one of them.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fireside.ports.embedder import EmbedderFailedError, EmbedderUnavailableError, Vectors

TokenIds = NDArray[np.int64]

_SMALL_CALL_TEXTS = 4
_BATCH_TOKENS = 1024
"""Padded tokens of a batch: more gains nothing in speed on a processor, and makes searches wait longer."""
_BATCH_TEXTS = 64


class Model(Protocol):
    """A loaded model; used by one thread only."""

    def encode(self, texts: Sequence[str]) -> Sequence[TokenIds]:
        """Cut texts into tokens."""
        ...

    def run(self, batch: Sequence[TokenIds]) -> Vectors:
        """Embed some texts: (len(batch), d), rows of unit length."""
        ...


@dataclass(slots=True, eq=False)
class _Call:
    texts: Sequence[str]
    future: "Future[Vectors]"
    rows: Vectors
    missing: int


@dataclass(slots=True, eq=False)
class _Text:
    call: _Call
    row: int
    tokens: TokenIds


class BatchingWorker:
    """Runs a model in a thread of its own, which starts, and loads the model, with the first call."""

    def __init__(self, load: Callable[[], Model], *, dimensions: int, thread_name: str) -> None:
        """Prepare; nothing is loaded.

        Args:
            load: Makes the model, in the thread; called again after a failure, with the next call.
            dimensions: Length of a vector.
            thread_name: For debuggers.
        """
        self._load = load
        self._dimensions = dimensions
        self._thread_name = thread_name
        self._inbox: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._loaded = False

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._loaded

    def submit(self, texts: Sequence[str]) -> "Future[Vectors]":
        """Hand texts over; the future gives (n, d), and may be cancelled. No texts only load the model.

        Raises:
            EmbedderUnavailableError: The worker was closed.
        """
        rows = np.empty((len(texts), self._dimensions), dtype=np.float32)
        call = _Call(texts=texts, future=Future(), rows=rows, missing=len(texts))
        with self._lock:
            if self._closed:
                raise EmbedderUnavailableError("the embedder was closed")
            self._inbox.put(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name=self._thread_name, daemon=True)
                self._thread.start()
        return call.future

    def close(self) -> None:
        """End the thread after its present batch and wait for it; calls still waiting fail. Safe to call twice."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is None:
            return
        self._inbox.put(None)
        thread.join()

    def _serve(self) -> None:
        try:
            model = self._load()
        except Exception as error:  # noqa: BLE001 - the outermost loop of this thread; callers get the error
            self._give_up(error)
            return
        self._loaded = True
        _Lanes(model, self._inbox).serve()

    def _give_up(self, error: Exception) -> None:
        """Fail every waiting call, and let the next one try again."""
        with self._lock:
            self._thread = None
            waiting = list(_drain(self._inbox))
        for call in waiting:
            if call is not None:
                _fail(call, EmbedderUnavailableError(f"the embedding model cannot be loaded: {error}"))


class _Lanes:
    """The batches that wait: those of small calls and those of large ones."""

    def __init__(self, model: Model, inbox: "queue.SimpleQueue[_Call | None]") -> None:
        self._model = model
        self._inbox = inbox
        self._small: deque[list[_Text]] = deque()
        self._large: deque[list[_Text]] = deque()

    def serve(self) -> None:
        """Work until the end mark arrives, then fail what is left."""
        open_for_calls = True
        while open_for_calls:
            idle = not self._small and not self._large
            arrived = [self._inbox.get()] if idle else []
            arrived += _drain(self._inbox)
            open_for_calls = None not in arrived
            self._take([call for call in arrived if call is not None])
            if open_for_calls and (lane := self._small or self._large):
                self._run([text for text in lane.popleft() if not text.call.future.done()])
        for batch in (*self._small, *self._large):
            for text in batch:
                _fail(text.call, EmbedderUnavailableError("the embedder was closed"))

    def _take(self, calls: list[_Call]) -> None:
        for call in calls:
            if not call.texts:
                _finish(call)
        small = [call for call in calls if 0 < len(call.texts) <= _SMALL_CALL_TEXTS]
        large = [call for call in calls if len(call.texts) > _SMALL_CALL_TEXTS]
        self._small.extend(self._batches(small))
        self._large.extend(self._batches(large))

    def _batches(self, calls: list[_Call]) -> Iterator[list[_Text]]:
        texts = [text for call in calls for text in self._texts(call)]
        texts.sort(key=lambda text: len(text.tokens))
        batch: list[_Text] = []
        for text in texts:
            if batch and (len(batch) == _BATCH_TEXTS or len(text.tokens) * (len(batch) + 1) > _BATCH_TOKENS):
                yield batch
                batch = []
            batch.append(text)
        if batch:
            yield batch

    def _texts(self, call: _Call) -> list[_Text]:
        try:
            tokens = self._model.encode(call.texts)
        except Exception as error:  # noqa: BLE001 - one call's texts must not end the thread; its caller gets the error
            _fail(call, EmbedderFailedError(f"the texts cannot be read: {error}"))
            return []
        return [_Text(call, row, ids) for row, ids in enumerate(tokens)]

    def _run(self, batch: list[_Text]) -> None:
        if not batch:
            return
        try:
            vectors = self._model.run([text.tokens for text in batch])
        except Exception as error:  # noqa: BLE001 - one batch must not end the thread; its callers get the error
            for text in batch:
                _fail(text.call, EmbedderFailedError(f"the embedding model failed: {error}"))
            return
        for text, vector in zip(batch, vectors, strict=True):
            text.call.rows[text.row] = vector
            text.call.missing -= 1
            if text.call.missing == 0:
                _finish(text.call)


def _drain(inbox: "queue.SimpleQueue[_Call | None]") -> Iterator[_Call | None]:
    while True:
        try:
            yield inbox.get_nowait()
        except queue.Empty:
            return


def _finish(call: _Call) -> None:
    if call.future.set_running_or_notify_cancel():
        call.future.set_result(call.rows)


def _fail(call: _Call, error: Exception) -> None:
    if not call.future.done() and call.future.set_running_or_notify_cancel():
        call.future.set_exception(error)
