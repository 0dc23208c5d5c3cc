"""What the first questions after a start cost, with and without what is kept warm, in processor time of the server.

Run `python -m benchmarks.warm`. The same questions are asked twice; then the server starts again, in turn with the
notes of what was asked and without them. Lists come after the questions, so that the first one pays for no start.
"""

import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.serving import headers_of
from fireside.testing.process import FiresideProcess

DOCUMENTS = 60
QUESTIONS = [
    f"{what} {topic}?"
    for what in ("When is the deadline for", "Who decides about", "How much may one spend on", "Where does one ask for")
    for topic in ("trains", "hotels", "leave", "laptops", "visits")
]
LISTS = ("/api/v1/models?limit=100", "/api/v1/models/catalog", "/v1/models", "/api/tags")
SETTINGS = {"FIRESIDE_INFERENCE_ENGINE": "off", "FIRESIDE_GATEWAY_USER_RATE": "100000/minute"}
NOTES = ("documents.searches.json", "embeddings.vectors.json")
STARTS = 3
SETTLE_S = 5.0


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        house = FiresideProcess(Path(folder) / "house", SETTINGS)
        house.start()
        try:
            _add_documents(house)
            for _ in range(2):
                for question in QUESTIONS:
                    _ask(house, question)
            _compare(house)
        finally:
            house.stop()


def _compare(house: FiresideProcess) -> None:
    house.stop()
    notes = {path: path.read_bytes() for path in map(house.home.joinpath, NOTES)}
    figures: dict[tuple[str, str], list[float]] = {}
    for _ in range(STARTS):
        for kind in ("with notes", "without notes"):
            for path, content in notes.items():
                path.write_bytes(content if kind == "with notes" else b"")
            house.start()
            time.sleep(SETTLE_S)
            for what, cost in _first_requests(house):
                figures.setdefault((what, kind), []).append(cost)
            house.stop()
    for (what, kind), costs in sorted(figures.items()):
        print(f"{what:32} {kind:14} median {statistics.median(costs):6.1f} ms, most {max(costs):6.1f} ms")


def _first_requests(house: FiresideProcess) -> Iterator[tuple[str, float]]:
    """What is asked for, and what it costs, in ms."""
    yield "(from the start on)", processor_ms(house.pid)
    house.call("GET", "/api/v1/auth/me")
    for question in QUESTIONS:
        yield "question", _cost(house, lambda question=question: _ask(house, question))
    for path in LISTS:
        for turn in ("first", "second"):
            yield f"{turn} {path}", _cost(house, lambda path=path: house.call("GET", path))


def _add_documents(house: FiresideProcess) -> None:
    topics = ("trains", "hotels", "leave", "laptops", "visits")
    body, edge = b"", "edge-of-parts"
    for number in range(DOCUMENTS):
        topic = topics[number % len(topics)]
        text = f"# Rules for {topic} {number}\n\n" + "\n\n".join(
            f"The office of team {number} decides about {topic}, and says that one may spend {part}0 euros. "
            f"The deadline for {topic} of team {number} is day {part} of a month. Ask in room {number}-{part}."
            for part in range(1, 9)
        )
        head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{number}.md"\r\n\r\n'
        body += head.encode() + text.encode() + b"\r\n"
    headers = {**headers_of(house), "content-type": f"multipart/form-data; boundary={edge}"}
    request = urllib.request.Request(house.url + "/api/v1/documents", body + f"--{edge}--\r\n".encode(), headers)
    urllib.request.urlopen(request, timeout=60).close()
    while house.call("GET", "/api/v1/jobs?limit=1")["items"][0]["state"] in {"queued", "running"}:
        time.sleep(0.2)


def _ask(house: FiresideProcess, question: str) -> None:
    conversation = house.call("POST", "/api/v1/conversations", {"mode": "company"})
    path = f"{house.url}/api/v1/conversations/{conversation['id']}/messages"
    headers = {**headers_of(house), "content-type": "application/json", "accept": "text/event-stream"}
    request = urllib.request.Request(path, f'{{"content": "{question}"}}'.encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as reply:
        reply.read()


def _cost(house: FiresideProcess, work: Callable[[], object]) -> float:
    before = processor_ms(house.pid)
    work()
    return processor_ms(house.pid) - before


def processor_ms(pid: int) -> float:
    """Processor time of all threads of a process so far, in ms."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


if __name__ == "__main__":
    main()
