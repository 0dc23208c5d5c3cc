import asyncio

import pytest

from fireside.contracts import auth, auth_admin
from fireside.core.errors import FiresideError
from fireside.runtime.durable import Database
from fireside.services.auth.errors import (
    AccountLockedError,
    InvalidCredentialError,
    SignInsDelayedError,
    WrongCredentialsError,
)
from fireside.services.auth.password_hasher import PasswordHasher
from fireside.services.auth.repository import users
from tests.databases import on_both_databases
from tests.services.auth.house import (
    ADMIN_EMAIL,
    PASSWORD,
    CountingHasher,
    House,
    MemoryFile,
    auth_house,
)


async def attempt(house: House, email: str, password: str, *, address: str = "10.0.0.1") -> FiresideError | None:
    """The error of an attempt to sign in; None when it succeeds."""
    try:
        await house.sign_in(email, password, address=address)
    except FiresideError as error:
        return error
    return None


async def fail(house: House, times: int, *, email: str = ADMIN_EMAIL, address: str = "10.0.0.1") -> None:
    for _ in range(times):
        assert isinstance(await attempt(house, email, "wrong", address=address), WrongCredentialsError)


async def test_the_right_password_opens_a_session_whose_token_names_user_role_and_rights(house: House) -> None:
    user = await house.add_user("ada@example.org", "viewer")
    tokens = await house.sign_in(" ADA@Example.org ")

    found = await house.credential(tokens.access_token)

    assert (found.user_id, found.roles, found.session_id) == (user.id, ("viewer",), tokens.session_id)
    assert "documents:read" in found.permissions
    assert "documents:write" not in found.permissions


@pytest.mark.requirement("S3")
async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer_for_the_same_work(
    database: Database,
) -> None:
    hasher = CountingHasher()
    async with auth_house(database, hasher=hasher) as house:
        answers, comparisons = [], []
        for email in (ADMIN_EMAIL, "nobody@example.org"):
            before = hasher.compared
            error = await attempt(house, email, "not the password")
            assert isinstance(error, WrongCredentialsError)
            answers.append(error.to_dict())
            comparisons.append(hasher.compared - before)

    assert answers[0] == answers[1]
    assert comparisons == [1, 1]


@pytest.mark.requirement("S3")
async def test_after_too_many_wrong_passwords_even_the_right_one_has_to_wait(house: House) -> None:
    await fail(house, 10)

    error = await attempt(house, ADMIN_EMAIL, PASSWORD)

    assert isinstance(error, SignInsDelayedError)
    assert error.details["retry_after_s"] == 30
    house.clock.pass_time(seconds=31)
    assert await attempt(house, ADMIN_EMAIL, PASSWORD) is None


async def test_the_wait_doubles_with_each_further_failure_up_to_the_longest(house: House) -> None:
    await fail(house, 10)
    waits = []
    for _ in range(7):
        error = await attempt(house, ADMIN_EMAIL, PASSWORD)
        assert error is not None
        waits.append(error.details["retry_after_s"])
        house.clock.pass_time(seconds=waits[-1])
        await fail(house, 1)

    assert waits == [30, 60, 120, 240, 480, 900, 900]


async def test_the_wait_for_an_address_without_account_is_the_same(house: House) -> None:
    await fail(house, 10, email="nobody@example.org")

    error = await attempt(house, "nobody@example.org", "wrong")

    assert isinstance(error, SignInsDelayedError)
    assert error.details["retry_after_s"] == 30
    assert len(await house.facts("auth.sign_ins_delayed")) == 1


async def test_the_owner_is_not_kept_out_by_someone_elsewhere_who_guesses(house: House) -> None:
    await fail(house, 10, address="203.0.113.9")

    assert isinstance(await attempt(house, ADMIN_EMAIL, PASSWORD, address="203.0.113.9"), SignInsDelayedError)
    assert await attempt(house, ADMIN_EMAIL, PASSWORD, address="10.0.0.1") is None


async def test_guessing_from_many_addresses_is_delayed_too(database: Database) -> None:
    async with auth_house(database, free_attempts_account=12) as house:
        for number in range(12):
            await fail(house, 1, address=f"203.0.113.{number}")

        assert isinstance(await attempt(house, ADMIN_EMAIL, PASSWORD, address="198.51.100.1"), SignInsDelayedError)


@on_both_databases
async def test_a_parallel_burst_gets_no_more_guesses_than_one_after_another(house: House) -> None:
    errors = await asyncio.gather(*(attempt(house, ADMIN_EMAIL, "wrong") for _ in range(40)))

    assert sum(isinstance(error, WrongCredentialsError) for error in errors) == 10
    assert sum(isinstance(error, SignInsDelayedError) for error in errors) == 30


@on_both_databases
async def test_success_takes_the_count_back(house: House) -> None:
    await fail(house, 9)
    assert await attempt(house, ADMIN_EMAIL, PASSWORD) is None
    await fail(house, 9)

    assert await attempt(house, ADMIN_EMAIL, PASSWORD) is None


async def test_failures_are_forgotten_after_a_day(house: House) -> None:
    await fail(house, 9)
    house.clock.pass_time(days=1, seconds=1)
    await fail(house, 9)

    assert await attempt(house, ADMIN_EMAIL, PASSWORD) is None


async def test_what_was_counted_survives_a_restart(database: Database) -> None:
    async with auth_house(database) as house:
        await fail(house, 10)
    await database.open()
    async with auth_house(database) as house:
        assert isinstance(await attempt(house, ADMIN_EMAIL, PASSWORD), SignInsDelayedError)


async def test_an_administrator_can_take_the_wait_away(house: House) -> None:
    user = await house.add_user("ada@example.org")
    await fail(house, 10, email="ada@example.org")

    await (await house.admin()).call(auth_admin.UNLOCK_USER, auth_admin.UserRef(id=user.id))

    assert await attempt(house, "ada@example.org", PASSWORD) is None


async def test_a_locked_account_says_so_only_to_those_who_know_its_password(house: House) -> None:
    user = await house.add_user("ada@example.org")
    await (await house.admin()).call(auth_admin.LOCK_USER, auth_admin.UserRef(id=user.id))

    assert isinstance(await attempt(house, "ada@example.org", "wrong"), WrongCredentialsError)
    assert isinstance(await attempt(house, "ada@example.org", PASSWORD), AccountLockedError)


async def test_an_outdated_hash_is_replaced_at_the_next_sign_in(database: Database) -> None:
    async with auth_house(database, hasher=PasswordHasher(at_once=1, memory_kib=16)):
        pass
    await database.open()
    cheaper = PasswordHasher(at_once=1, memory_kib=8)
    async with auth_house(database, hasher=cheaper) as house:
        assert await attempt(house, ADMIN_EMAIL, PASSWORD) is None
        async with database.read() as session:
            stored = await users.find_by_email(session, ADMIN_EMAIL)

    assert stored is not None
    assert "m=8," in str(stored.password_hash)


async def test_the_same_password_typed_in_another_unicode_form_is_the_same(house: House) -> None:
    request = auth_admin.CreateUser(email="zoe@example.org", password="Zoe\u0308s Haus", name="Zoe")
    await (await house.admin()).call(auth_admin.CREATE_USER, request)

    assert await attempt(house, "zoe@example.org", "Zo\u00ebs Haus") is None


async def test_a_password_of_many_characters_or_none_is_answered_like_any_wrong_one(house: House) -> None:
    for password in ("", "\x00", "x" * 4_000):
        assert isinstance(await attempt(house, ADMIN_EMAIL, password), WrongCredentialsError)


async def test_the_account_of_the_command_line_has_no_password(database: Database) -> None:
    async with auth_house(database, key_file=MemoryFile()) as house:
        assert isinstance(await attempt(house, "local@localhost", ""), WrongCredentialsError)


@pytest.mark.parametrize(
    "text", ["", "x", "a.b.c", "....", "e30.e30.e30", "é.é.é", "fsk_", "fsk_abc", "fsk_" + "_" * 50]
)
async def test_what_is_no_credential_is_refused(house: House, text: str) -> None:
    with pytest.raises(InvalidCredentialError):
        await house.credential(text)


async def test_only_parts_of_fireside_may_ask_whom_a_credential_stands_for(house: House) -> None:
    user = await house.admin()
    tokens = await house.sign_in(ADMIN_EMAIL)

    for context in (user, house.nobody):
        with pytest.raises(FiresideError) as caught:
            await context.call(auth.AUTHENTICATE, auth.Authenticate(credential=tokens.access_token))
        assert caught.value.status in {401, 403}
