"""`fireside users` and `fireside keys`."""

import uuid

import pytest

from fireside.testing.process import FiresideProcess
from tests.cli.conftest import CommandLine

PASSWORD = {"FIRESIDE_NEW_PASSWORD": "correct horse battery"}


@pytest.fixture
def email(fireside: CommandLine) -> str:
    email = f"{uuid.uuid4().hex[:10]}@example.org"
    added = fireside("users", "add", email, "--name", "Anna", env=PASSWORD)
    assert added.out == f"added {email} as user\n", added.err
    return email


def state_of(fireside: CommandLine, email: str) -> dict[str, str] | None:
    found = fireside("users", "list", "--query", email, "--json").json
    return found[0] if found else None


def test_people_are_added_listed_and_removed(fireside: CommandLine, email: str) -> None:
    assert email in fireside("users", "list").out

    assert fireside("users", "remove", email, "--yes").out == f"removed {email}\n"

    assert state_of(fireside, email) is None


def test_removing_somebody_asks_first(fireside: CommandLine, email: str) -> None:
    removed = fireside("users", "remove", email, stdin="n\n")

    assert removed.code == 1
    assert "everything that belongs to it?" in removed.out
    assert state_of(fireside, email)


def test_a_role_is_changed_by_address(fireside: CommandLine, email: str) -> None:
    assert fireside("users", "role", email.upper(), "editor").out == f"{email} is now editor\n"

    assert (state_of(fireside, email) or {})["role"] == "editor"


def test_people_are_locked_out_and_let_in_again(fireside: CommandLine, email: str) -> None:
    fireside("users", "lock", email)
    assert (state_of(fireside, email) or {})["state"] == "locked"

    fireside("users", "unlock", email)
    assert (state_of(fireside, email) or {})["state"] == "active"


def test_an_address_nobody_has_is_named(fireside: CommandLine) -> None:
    asked = fireside("users", "role", "nobody@example.org", "editor")

    assert asked.code == 1
    assert "nobody@example.org" in asked.err


def test_a_refusal_is_told_in_the_servers_words(fireside: CommandLine) -> None:
    added = fireside("users", "add", "x@example.org", "--name", "X", env={"FIRESIDE_NEW_PASSWORD": "short"})

    assert added.code == 1
    assert "password" in added.err
    assert "short" not in added.err.replace("too short", "")


@pytest.mark.requirement("S9")
def test_a_key_works_is_shown_once_and_ends_when_revoked(fireside: CommandLine, server: FiresideProcess) -> None:
    created = fireside("keys", "create", "laptop", "--scope", "models:use", "--json").json
    elsewhere = ("--server", server.url, "--key", created["key"])

    assert fireside(*elsewhere, "models", "list").code == 0
    assert "models:use" not in fireside(*elsewhere, "users", "list").out
    assert fireside(*elsewhere, "users", "list").code == 1, "the key has no such scope"
    listed = fireside("keys", "list", "--json")
    assert created["key"] not in listed.out
    assert created["id"] in listed.out

    assert fireside("keys", "revoke", created["id"]).out == f"revoked {created['id']}\n"
    refused = fireside(*elsewhere, "models", "list")
    assert refused.code == 1
    assert "key" in refused.err


def test_people_make_keys_of_their_own_with_their_password(
    fireside: CommandLine, server: FiresideProcess, email: str
) -> None:
    elsewhere = ("--server", server.url)

    created = fireside(*elsewhere, "keys", "create", "mine", "--email", email, stdin="correct horse battery\n")

    key = created.out.strip()
    assert key.startswith("fsk_"), created.err
    assert server.call("GET", "/api/v1/auth/me", key=key)["email"] == email
    refused = fireside(*elsewhere, "keys", "create", "mine", "--email", email, stdin="wrong password\n")
    assert (refused.code, refused.out.strip()) == (1, "")
    assert "keys create" not in refused.err
