from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from fireside.contracts import auth, auth_admin
from fireside.contracts.base import Nothing
from fireside.contracts.permissions import CHAT_READ, DOCUMENTS_READ, KEYS_MANAGE, ROLES, USERS_MANAGE
from fireside.core.errors import ForbiddenError
from fireside.core.ids import ApiKeyId, new_id
from fireside.runtime.durable import Database
from fireside.services.auth.errors import (
    ApiKeyNotFoundError,
    InvalidCredentialError,
    InvalidExpiryError,
    InvalidScopeError,
    TooManyKeysError,
)
from tests.databases import on_both_databases, on_sqlite
from tests.services.auth.house import ADMIN_EMAIL, House, auth_house, everything_in


async def make_key(house: House, email: str = ADMIN_EMAIL, **request: object) -> auth.CreatedApiKey:
    me = await house.signed_in(email)
    return await me.call(auth.CREATE_API_KEY, auth.CreateApiKey(**{"name": "script", **request}))


@on_both_databases
@pytest.mark.requirement("S9")
async def test_a_key_stands_for_its_maker_with_no_more_than_its_scopes(house: House) -> None:
    user = await house.add_user("ada@example.org", "editor")
    key = await make_key(house, "ada@example.org", scopes=(DOCUMENTS_READ,))

    found = await house.credential(key.key)

    assert found.user_id == user.id
    assert found.permissions == (DOCUMENTS_READ,)
    assert found.session_id is None


async def test_a_key_without_named_scopes_may_what_its_maker_may(house: House) -> None:
    key = await make_key(house)

    assert frozenset((await house.credential(key.key)).permissions) == ROLES["admin"]


@on_sqlite
@pytest.mark.requirement("S9")
async def test_the_secret_of_a_key_is_shown_once_and_stored_nowhere(house: House, tmp_path: Path) -> None:
    key = await make_key(house)
    secret = key.key.removeprefix(key.prefix + "_")
    listed = await (await house.admin()).call(auth.LIST_API_KEYS, Nothing())

    stored = everything_in(tmp_path)
    assert secret not in listed.model_dump_json()
    assert listed.items[0].prefix == key.prefix
    assert key.prefix.encode() in stored
    assert secret.encode() not in stored
    assert secret not in repr(key)


@pytest.mark.requirement("S9")
@on_both_databases
async def test_a_deleted_key_is_refused_at_once(house: House) -> None:
    key = await make_key(house)
    me = await house.admin()

    await me.call(auth.DELETE_API_KEY, auth.ApiKeyRef(id=key.id))

    with pytest.raises(InvalidCredentialError):
        await house.credential(key.key)
    assert house.forgotten == [me.identity.user_id]
    assert len(await house.facts("auth.api_key_revoked")) == 1


async def test_a_key_expires(house: House) -> None:
    key = await make_key(house, expires_at=house.clock.now() + timedelta(hours=1))

    assert (await house.credential(key.key)).expires_at == key.expires_at
    house.clock.pass_time(hours=1)
    with pytest.raises(InvalidCredentialError):
        await house.credential(key.key)


async def test_a_key_cannot_be_expired_from_the_start(house: House) -> None:
    with pytest.raises(InvalidExpiryError):
        await make_key(house, expires_at=house.clock.now())


async def test_nobody_makes_a_key_with_rights_they_lack(house: House) -> None:
    await house.add_user("ada@example.org", "user")

    with pytest.raises(InvalidScopeError, match=USERS_MANAGE):
        await make_key(house, "ada@example.org", scopes=(CHAT_READ, USERS_MANAGE))
    with pytest.raises(InvalidScopeError):
        await make_key(house, "ada@example.org", scopes=("no:such",))


async def test_a_limited_key_cannot_make_a_wider_one(house: House) -> None:
    limited = await house.with_credential((await make_key(house, scopes=(KEYS_MANAGE,))).key)

    with pytest.raises(InvalidScopeError):
        await limited.call(auth.CREATE_API_KEY, auth.CreateApiKey(name="x", scopes=(USERS_MANAGE,)))
    made = await limited.call(auth.CREATE_API_KEY, auth.CreateApiKey(name="x"))
    assert made.scopes == (KEYS_MANAGE,)


async def test_a_key_without_the_right_to_manage_keys_cannot_even_list_them(house: House) -> None:
    limited = await house.with_credential((await make_key(house, scopes=(CHAT_READ,))).key)

    for action, request in (
        (auth.LIST_API_KEYS, Nothing()),
        (auth.CREATE_API_KEY, auth.CreateApiKey(name="x")),
        (auth.CHANGE_PASSWORD, auth.ChangePassword(current_password="x", new_password="y" * 12)),
        (auth.LIST_SESSIONS, Nothing()),
        (auth_admin.LIST_USERS, auth_admin.ListUsers()),
    ):
        with pytest.raises(ForbiddenError):
            await limited.call(action, request)


async def test_a_key_shrinks_with_the_role_of_its_user_and_does_not_grow_with_it(house: House) -> None:
    user = await house.add_user("ada@example.org", "editor")
    key = await make_key(house, "ada@example.org")
    admin = await house.admin()

    await admin.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=user.id, role="viewer"))
    assert frozenset((await house.credential(key.key)).permissions) == ROLES["viewer"]

    await admin.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=user.id, role="admin"))
    assert frozenset((await house.credential(key.key)).permissions) == ROLES["editor"]


async def test_the_key_of_someone_else_cannot_be_told_from_one_that_never_was(house: House) -> None:
    await house.add_user("ada@example.org")
    key, admin = await make_key(house, "ada@example.org"), await house.admin()

    answers = []
    for key_id in (key.id, ApiKeyId(new_id())):
        with pytest.raises(ApiKeyNotFoundError) as caught:
            await admin.call(auth.DELETE_API_KEY, auth.ApiKeyRef(id=key_id))
        answers.append(caught.value.to_dict())

    assert answers[0] == answers[1]
    assert (await admin.call(auth.LIST_API_KEYS, Nothing())).items == ()
    assert await house.credential(key.key)


async def test_a_right_prefix_with_a_wrong_secret_is_refused(house: House) -> None:
    key = await make_key(house)

    for wrong in (key.key[:-1], key.key + "x", key.prefix + "_" + "A" * 43, key.key.upper()):
        with pytest.raises(InvalidCredentialError):
            await house.credential(wrong)


@on_both_databases
async def test_one_user_can_have_only_so_many_keys(database: Database) -> None:
    async with auth_house(database, max_keys_per_user=2) as house:
        for _ in range(2):
            await make_key(house)

        with pytest.raises(TooManyKeysError):
            await make_key(house)


@on_both_databases
async def test_the_use_of_a_key_is_written_now_and_then_not_at_each_use(house: House) -> None:
    key, me = await make_key(house), await house.admin()
    house.clock.pass_time(minutes=5)

    used_at = house.clock.now()
    await house.credential(key.key)
    before = await me.call(auth.LIST_API_KEYS, Nothing())
    await house.service.tidy()
    after = await me.call(auth.LIST_API_KEYS, Nothing())

    assert before.items[0].last_used_at is None
    assert after.items[0].last_used_at == used_at


async def test_the_use_of_a_key_is_written_at_a_stop(database: Database) -> None:
    async with auth_house(database) as house:
        await house.credential((await make_key(house)).key)
    await database.open()
    async with database.read() as session:
        written = (await session.execute(text("SELECT last_used_at FROM auth_api_keys"))).scalar_one()

    assert written is not None
