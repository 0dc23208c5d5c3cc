"""A user is deleted: their usage has no name, and their limits and kept Responses are gone, in a whole Fireside."""

import json
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fireside.testing.process import FiresideProcess, running
from fireside.testing.scripted_model import ScriptedModel
from tests.journeys.scripted_server import serving

LIMITS = "FIRESIDE_USAGE_LIMITS"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiresideProcess]:
    with serving(ScriptedModel()) as settings, running(tmp_path_factory.mktemp("erased"), settings) as house:
        yield house


def signed_in(house: FiresideProcess, fields: dict[str, str]) -> str:
    form = {"grant_type": "password", "username": fields["email"], "password": fields["password"]}
    with urllib.request.urlopen(f"{house.url}/api/v1/auth/token", urllib.parse.urlencode(form).encode()) as reply:
        return str(json.load(reply)["access_token"])


def limits(house: FiresideProcess) -> list[str]:
    items = house.call("GET", "/api/v1/admin/config")["items"]
    return [one["who"] for item in items if item["name"] == LIMITS for one in item["value"]]


def becomes(look: Callable[[], Any], wanted: Any) -> None:
    """Wait for what follows from a fact."""
    deadline = time.monotonic() + 30
    while (found := look()) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.mark.requirement("D9", "I15")
def test_a_deleted_user_leaves_sums_without_a_name(house: FiresideProcess) -> None:
    fields = {"email": "vic@example.org", "password": "other calm words", "name": "Vic Moss"}
    user = house.call("POST", "/api/v1/admin/users", fields)["id"]
    key = house.call("POST", "/api/v1/auth/api-keys", {"name": "batch"}, key=signed_in(house, fields))
    own = {"scope": "user", "unit": "requests", "window": "month", "amount": 9}
    house.call("PATCH", "/api/v1/admin/config", {"values": {LIMITS: [own | {"who": user}, own]}})
    asked = {"model": "scripted", "input": "three words here"}
    made = house.call("POST", "/v1/responses", asked, key=key["key"])
    assert house.call("GET", f"/v1/responses/{made['id']}", key=key["key"])["id"] == made["id"]
    before = house.call("GET", "/api/v1/admin/usage?group_by=user")
    assert [item["group"] for item in before["items"]] == [user]

    house.call("DELETE", f"/api/v1/admin/users/{user}")

    becomes(lambda: limits(house), ["*"])
    becomes(lambda: [item["group"] for item in usage(house)["items"]], ["erased"])
    assert usage(house)["total"] == before["total"]
    becomes(lambda: rows(house, "stored_responses"), 0)
    with pytest.raises(urllib.error.HTTPError) as refused:
        house.call("GET", f"/v1/responses/{made['id']}", key=key["key"])
    refused.value.close()
    assert refused.value.code == 401


def usage(house: FiresideProcess) -> Any:
    return house.call("GET", "/api/v1/admin/usage?group_by=user")


def rows(house: FiresideProcess, table: str) -> int:
    """How many rows the table has, in whichever database of the data folder."""
    counts: list[int] = []
    for path in house.home.rglob("*.sqlite"):
        with sqlite3.connect(path) as connection:
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if table in names:
                counts.append(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        connection.close()
    (count,) = counts
    return count
