"""Whatever is sent to any operation of the OpenAPI document, the server answers, and blames whoever is to blame.

`FIRESIDE_TEST_SCHEMA_EXAMPLES=60 make test PYTEST_ARGS='-rP tests/journeys/test_schema.py'` tries more than 10,000
requests and says how many.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from fireside.testing.process import FiresideProcess, running
from tests.journeys.conftest import ask, ingest, new_user

EXAMPLES = int(os.environ.get("FIRESIDE_TEST_SCHEMA_EXAMPLES", "4"))
"""How many requests each operation gets from each caller, valid and invalid ones each."""

WITHOUT_LIMITS = {
    "FIRESIDE_INFERENCE_ENGINE": "off",
    "FIRESIDE_GATEWAY_USER_RATE": "1000000/second",
    "FIRESIDE_GATEWAY_CREDENTIAL_RATE": "1000000/second",
    "FIRESIDE_GATEWAY_ANONYMOUS_RATE": "1000000/second",
    "FIRESIDE_GATEWAY_SIGN_IN_RATE": "1000000/second",
    "FIRESIDE_GATEWAY_FAILED_RATE": "1000000/second",
}
ENDS_THE_CALLER = {"/api/v1/auth/logout", "/api/v1/auth/password"}


@dataclass
class Caller:
    """Somebody, and ids of things that are theirs: random ids only ever meet 404."""

    server: FiresideProcess
    key: str
    ids: dict[str, str]
    requests: int = 0
    wrong: list[str] = field(default_factory=list)

    def send(self, case: Case, *, to_own: bool) -> None:
        if to_own:
            case.path_parameters = {**case.path_parameters, **self._own(case.path_parameters)}
        reply = case.call(base_url=self.server.url, headers={"authorization": f"Bearer {self.key}"}, timeout=60)
        self.requests += 1
        told = (
            f"{case.method} {reply.request.url} -> {reply.status_code} {reply.text[:200]!r} for {str(case.body)[:300]}"
        )
        if reply.status_code >= 500:
            self.wrong.append(told)
        elif reply.status_code >= 400 and not _names_itself(reply):
            self.wrong.append(f"an error without a code: {told}")

    def _own(self, given: dict[str, Any]) -> dict[str, str]:
        return {name: self.ids[name] for name in given if name in self.ids}


def _names_itself(reply: Any) -> bool:
    body = reply.json()
    problem = body["error"] if isinstance(body.get("error"), dict) else body
    return bool(problem.get("code")) and bool(problem.get("detail") or problem.get("message") or problem.get("error"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiresideProcess]:
    with running(tmp_path_factory.mktemp("schema"), WITHOUT_LIMITS) as server:
        yield server


@pytest.fixture(params=["admin", "user"])
def caller(request: pytest.FixtureRequest, server: FiresideProcess) -> Caller:
    key = server.key if request.param == "admin" else new_user(server)
    document = ingest(server, {"notes.md": b"# Notes\n\nThe blue door is locked."}, key=key)[0]
    answer = ask(server, "Which door is locked?", key=key)
    job = server.call("GET", "/api/v1/jobs", key=key)["items"][0]
    ids = {
        "document_id": document["id"],
        "conversation_id": answer["conversation_id"],
        "message_id": answer["message_id"],
        "job_id": job["id"],
        "collection": "personal",
        "model": "fireside",
    }
    return Caller(server, key, ids)


@pytest.mark.requirement("S7")
@pytest.mark.timeout(60 * max(5, EXAMPLES))
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_request_makes_the_server_fail(caller: Caller, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(caller.server.url + "/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 60

    for operation in operations:
        if operation.path not in ENDS_THE_CALLER:
            _try_out(caller, operation.as_strategy(generation_mode=mode))

    print(caller.requests, "requests")  # noqa: T201 - shown by -rP: the figure that a full run is about
    assert caller.wrong == []
    assert caller.requests > EXAMPLES * len(operations) / 2


def _try_out(caller: Caller, cases: st.SearchStrategy[Case]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, to_own=st.booleans())
    def send(case: Case, to_own: bool) -> None:
        caller.send(case, to_own=to_own)

    with suppress(Unsatisfiable):  # an operation that takes nothing cannot be given something wrong
        send()


def test_the_document_of_the_schema_is_valid_and_every_body_is_described(server: FiresideProcess) -> None:
    document = server.call("GET", "/openapi.json")

    schemathesis.openapi.from_dict(document).validate()
    without_body = {
        path
        for path, operations in document["paths"].items()
        if "requestBody" not in operations.get("post", {"requestBody": None})
    }
    assert {path.rsplit("/", 1)[-1] for path in without_body} <= NEED_NO_BODY


NEED_NO_BODY = {
    "load",
    "unload",
    "logout",
    "lock",
    "unlock",
    "restore",
    "stop",
    "reindex",
    "cancel",
    "retry",
    "pause",
    "resume",
    "redrive",
}
