import asyncio

import pytest

from fireside.contracts import auth, auth_admin
from fireside.contracts.base import Nothing
from fireside.contracts.permissions import (
    AUDIT_READ,
    CHAT_READ,
    COLLECTIONS_WRITE,
    PERMISSIONS,
    ROLES,
    USERS_MANAGE,
    route_access,
)
from fireside.core.errors import FiresideError
from fireside.core.ids import UserId, new_id
from fireside.runtime.context import Context
from fireside.services.auth.errors import (
    BeyondOwnRightsError,
    BuiltInRoleError,
    EmailTakenError,
    InvalidCredentialError,
    InvalidCursorError,
    LastAdministratorError,
    RoleExistsError,
    RoleInUseError,
    RoleNotFoundError,
    UnknownPermissionError,
    UnknownRoleError,
    UserNotFoundError,
    WeakPasswordError,
)
from tests.databases import on_both_databases
from tests.services.auth.house import ADMIN_EMAIL, PASSWORD, House


async def emails(context: Context, **request: object) -> list[str]:
    page = await context.call(auth_admin.LIST_USERS, auth_admin.ListUsers(**request))
    return [user.email for user in page.items]


async def personnel_manager(house: House) -> Context:
    """Someone whose role may manage users, and little else."""
    admin = await house.admin()
    role = auth_admin.SaveRole(name="personnel", permissions=(USERS_MANAGE, *ROLES["viewer"]))
    await admin.call(auth_admin.CREATE_ROLE, role)
    await house.add_user("pat@example.org", "personnel")
    return await house.signed_in("pat@example.org")


@on_both_databases
async def test_users_are_listed_page_by_page_in_order_of_address(house: House) -> None:
    for name in ("cyd", "ada", "bob", "eve"):
        await house.add_user(f"{name}@example.org")
    admin = await house.admin()

    first = await admin.call(auth_admin.LIST_USERS, auth_admin.ListUsers(limit=3))
    second = await admin.call(auth_admin.LIST_USERS, auth_admin.ListUsers(limit=3, cursor=first.next_cursor))

    assert [user.email[:3] for user in (*first.items, *second.items)] == ["ada", "adm", "bob", "cyd", "eve"]
    assert second.next_cursor is None


@on_both_databases
async def test_users_are_found_by_part_of_address_or_name_by_role_and_by_state(house: House) -> None:
    await house.add_user("ada@example.org", "editor")
    percent = await house.add_user("100%@example.org")
    admin = await house.admin()
    await admin.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=percent.id, name="Bob BUILDER"))
    await admin.call(auth_admin.LOCK_USER, auth_admin.UserRef(id=percent.id))

    assert await emails(admin, query="ADA@") == ["ada@example.org"]
    assert await emails(admin, query="b builder") == ["100%@example.org"]
    assert await emails(admin, query="0%@") == ["100%@example.org"]
    assert await emails(admin, query="1%e") == []
    assert await emails(admin, role="editor") == ["ada@example.org"]
    assert await emails(admin, state="locked") == ["100%@example.org"]


@pytest.mark.parametrize("cursor", ["x", "====", "\u00e9", "/w=="])
async def test_a_made_up_cursor_is_refused(house: House, cursor: str) -> None:
    with pytest.raises(InvalidCursorError):
        await emails(await house.admin(), cursor=cursor)


@on_both_databases
async def test_an_account_cannot_be_made_twice_or_with_an_unknown_role(house: House) -> None:
    with pytest.raises(EmailTakenError):
        await house.add_user("ADMIN@example.org")
    with pytest.raises(UnknownRoleError):
        await house.add_user("ada@example.org", "astronaut")


@on_both_databases
async def test_a_demoted_user_loses_rights_with_the_very_next_look(house: House) -> None:
    user = await house.add_user("ada@example.org", "admin")
    tokens, admin = await house.sign_in("ada@example.org"), await house.admin()

    await admin.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=user.id, role="viewer"))

    assert frozenset((await house.credential(tokens.access_token)).permissions) == ROLES["viewer"]
    assert house.forgotten == [user.id]
    assert '"before":"admin"' in (await house.facts("auth.user_role_changed"))[0]


async def test_a_locked_user_is_out_at_once_with_every_credential_and_comes_back_when_unlocked(house: House) -> None:
    user = await house.add_user("ada@example.org")
    tokens = await house.sign_in("ada@example.org")
    me, admin = await house.with_credential(tokens.access_token), await house.admin()
    key = await me.call(auth.CREATE_API_KEY, auth.CreateApiKey(name="x"))

    await admin.call(auth_admin.LOCK_USER, auth_admin.UserRef(id=user.id))
    for credential in (tokens.access_token, key.key):
        with pytest.raises(InvalidCredentialError):
            await house.credential(credential)

    await admin.call(auth_admin.UNLOCK_USER, auth_admin.UserRef(id=user.id))
    assert await house.credential(key.key)
    with pytest.raises(InvalidCredentialError):
        await house.credential(tokens.access_token)
    assert house.forgotten == [user.id, user.id]


@on_both_databases
async def test_a_deleted_user_is_out_at_once_and_the_fact_is_told(house: House) -> None:
    user = await house.add_user("ada@example.org")
    tokens = await house.sign_in("ada@example.org")
    key = await (await house.with_credential(tokens.access_token)).call(
        auth.CREATE_API_KEY, auth.CreateApiKey(name="x")
    )
    admin = await house.admin()

    await admin.call(auth_admin.DELETE_USER, auth_admin.UserRef(id=user.id))

    for credential in (tokens.access_token, key.key):
        with pytest.raises(InvalidCredentialError):
            await house.credential(credential)
    (told,) = await house.facts("auth.user_deleted")
    assert str(user.id) in told
    assert str(key.id) in told
    assert await house.add_user("ada@example.org")


async def test_a_password_set_by_an_administrator_ends_all_sessions(house: House) -> None:
    user = await house.add_user("ada@example.org")
    tokens, admin = await house.sign_in("ada@example.org"), await house.admin()

    with pytest.raises(WeakPasswordError):
        await admin.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=user.id, password="short"))
    await admin.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=user.id, password="set by the office"))

    with pytest.raises(InvalidCredentialError):
        await house.credential(tokens.access_token)
    assert await house.sign_in("ada@example.org", "set by the office")


async def test_what_is_not_named_stays_as_it_is(house: House) -> None:
    user = await house.add_user("ada@example.org")
    admin = await house.admin()

    after = await admin.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=user.id))
    same_role = await admin.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=user.id, role="user"))

    assert after == same_role == user
    assert await house.facts("auth.user_role_changed") == []


async def test_people_change_their_own_name_and_nothing_else(house: House) -> None:
    await house.add_user("ada@example.org")
    me = await house.signed_in("ada@example.org")

    await me.call(auth.UPDATE_ME, auth.UpdateProfile(name="Ada L."))
    await me.call(auth.UPDATE_ME, auth.UpdateProfile())
    profile = await me.call(auth.ME, Nothing())

    assert (profile.name, profile.role, profile.session_id) == ("Ada L.", "user", me.identity.session_id)
    assert frozenset(profile.permissions) == ROLES["user"]


async def test_the_last_administrator_stays_one(house: House) -> None:
    admin = await house.admin()
    admin_id = admin.identity.require_user()

    for action, request in (
        (auth_admin.LOCK_USER, auth_admin.UserRef(id=admin_id)),
        (auth_admin.DELETE_USER, auth_admin.UserRef(id=admin_id)),
        (auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=admin_id, role="user")),
    ):
        with pytest.raises(LastAdministratorError):
            await admin.call(action, request)


@on_both_databases
async def test_of_two_administrators_who_remove_each_other_at_once_one_stays(house: House) -> None:
    other = await house.add_user("ada@example.org", "admin")
    admin, ada = await house.admin(), await house.signed_in("ada@example.org")

    results = await asyncio.gather(
        admin.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=other.id, role="user")),
        ada.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=admin.identity.require_user(), role="user")),
        return_exceptions=True,
    )

    assert sum(isinstance(result, LastAdministratorError) for result in results) == 1


async def test_a_user_that_never_was_is_not_found(house: House) -> None:
    admin, ref = await house.admin(), auth_admin.UserRef(id=UserId(new_id()))

    for action in (auth_admin.GET_USER, auth_admin.LOCK_USER, auth_admin.UNLOCK_USER, auth_admin.DELETE_USER):
        with pytest.raises(UserNotFoundError):
            await admin.call(action, ref)
    with pytest.raises(UserNotFoundError):
        await admin.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=ref.id, password="long enough to do"))


async def test_who_manages_users_cannot_become_or_make_or_rule_an_administrator(house: House) -> None:
    manager = await personnel_manager(house)
    me = manager.identity.require_user()
    admin_id = (await house.admin()).identity.require_user()

    for action, request in (
        (auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=me, role="admin")),
        (auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=admin_id, password="mine from now on")),
        (auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=admin_id, role="viewer")),
        (auth_admin.LOCK_USER, auth_admin.UserRef(id=admin_id)),
        (auth_admin.UNLOCK_USER, auth_admin.UserRef(id=admin_id)),
        (auth_admin.DELETE_USER, auth_admin.UserRef(id=admin_id)),
        (auth_admin.INVITE, auth_admin.Invite(email="friend@example.org", role="admin")),
        (auth_admin.CREATE_ROLE, auth_admin.SaveRole(name="mighty", permissions=(AUDIT_READ,))),
        (
            auth_admin.CREATE_USER,
            auth_admin.CreateUser(email="friend@example.org", password=PASSWORD, name="F", role="editor"),
        ),
    ):
        with pytest.raises(BeyondOwnRightsError):
            await manager.call(action, request)
    assert await house.sign_in(ADMIN_EMAIL)


async def test_who_manages_users_can_do_so_within_their_own_rights(house: House) -> None:
    manager = await personnel_manager(house)
    request = auth_admin.CreateUser(email="new@example.org", password=PASSWORD, name="New", role="viewer")

    made = await manager.call(auth_admin.CREATE_USER, request)

    assert (await manager.call(auth_admin.LOCK_USER, auth_admin.UserRef(id=made.id))).state == "locked"
    await manager.call(auth_admin.DELETE_USER, auth_admin.UserRef(id=made.id))


@on_both_databases
async def test_the_roles_at_start_are_listed_and_fixed(house: House) -> None:
    admin = await house.admin()
    listed = await admin.call(auth_admin.LIST_ROLES, Nothing())

    assert {role.name: frozenset(role.permissions) for role in listed.items} == ROLES
    assert all(role.builtin for role in listed.items)
    for name in ROLES:
        with pytest.raises(BuiltInRoleError):
            await admin.call(auth_admin.UPDATE_ROLE, auth_admin.SaveRole(name=name, permissions=()))
        with pytest.raises(BuiltInRoleError):
            await admin.call(auth_admin.DELETE_ROLE, auth_admin.RoleRef(name=name))
        with pytest.raises(RoleExistsError):
            await admin.call(auth_admin.CREATE_ROLE, auth_admin.SaveRole(name=name, permissions=()))


@on_both_databases
async def test_a_role_can_be_made_given_changed_and_deleted_when_nobody_has_it(house: House) -> None:
    admin = await house.admin()
    await admin.call(auth_admin.CREATE_ROLE, auth_admin.SaveRole(name="auditor", permissions=(AUDIT_READ,)))
    user = await house.add_user("ada@example.org", "auditor")
    tokens = await house.sign_in("ada@example.org")
    assert (await house.credential(tokens.access_token)).permissions == (AUDIT_READ,)

    await admin.call(auth_admin.UPDATE_ROLE, auth_admin.SaveRole(name="auditor", permissions=(CHAT_READ,)))
    assert (await house.credential(tokens.access_token)).permissions == (CHAT_READ,)
    assert house.forgotten == [None]

    with pytest.raises(RoleInUseError):
        await admin.call(auth_admin.DELETE_ROLE, auth_admin.RoleRef(name="auditor"))
    await admin.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=user.id, role="user"))
    await admin.call(auth_admin.DELETE_ROLE, auth_admin.RoleRef(name="auditor"))
    with pytest.raises(RoleNotFoundError):
        await admin.call(auth_admin.DELETE_ROLE, auth_admin.RoleRef(name="auditor"))
    assert len(await house.facts("auth.role_saved")) == 2
    assert len(await house.facts("auth.role_deleted")) == 1


@on_both_databases
async def test_a_role_cannot_allow_what_does_not_exist_or_be_made_twice(house: House) -> None:
    admin = await house.admin()
    with pytest.raises(UnknownPermissionError, match="no:such"):
        await admin.call(auth_admin.CREATE_ROLE, auth_admin.SaveRole(name="x", permissions=("no:such",)))
    await admin.call(auth_admin.CREATE_ROLE, auth_admin.SaveRole(name="x", permissions=()))
    with pytest.raises(RoleExistsError):
        await admin.call(auth_admin.CREATE_ROLE, auth_admin.SaveRole(name="x", permissions=()))


async def test_whoever_manages_users_cannot_weaken_a_role_that_is_mightier(house: House) -> None:
    manager = await personnel_manager(house)
    admin = await house.admin()
    strong = auth_admin.SaveRole(name="strong", permissions=(COLLECTIONS_WRITE,))
    await admin.call(auth_admin.CREATE_ROLE, strong)

    with pytest.raises(BeyondOwnRightsError):
        await manager.call(auth_admin.UPDATE_ROLE, auth_admin.SaveRole(name="strong", permissions=()))
    with pytest.raises(BeyondOwnRightsError):
        await manager.call(auth_admin.DELETE_ROLE, auth_admin.RoleRef(name="strong"))


async def test_every_permission_is_listed_with_what_it_allows(house: House) -> None:
    listed = await (await house.admin()).call(auth_admin.LIST_PERMISSIONS, Nothing())

    assert {item.name: item.description for item in listed.items} == PERMISSIONS


@pytest.mark.requirement("S4")
@pytest.mark.parametrize("role", ["editor", "user", "viewer", None])
async def test_nobody_but_administrators_administers(house: House, role: str | None) -> None:
    if role is None:
        context, status = house.nobody, 401
    else:
        await house.add_user("ada@example.org", role)
        context, status = await house.signed_in("ada@example.org"), 403
    ref = auth_admin.UserRef(id=UserId(new_id()))

    for action, request in (
        (auth_admin.LIST_USERS, auth_admin.ListUsers()),
        (auth_admin.GET_USER, ref),
        (auth_admin.CREATE_USER, auth_admin.CreateUser(email="a@b.c", password=PASSWORD, name="x")),
        (auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=ref.id, role="admin")),
        (auth_admin.LOCK_USER, ref),
        (auth_admin.UNLOCK_USER, ref),
        (auth_admin.DELETE_USER, ref),
        (auth_admin.LIST_ROLES, Nothing()),
        (auth_admin.CREATE_ROLE, auth_admin.SaveRole(name="x", permissions=())),
        (auth_admin.UPDATE_ROLE, auth_admin.SaveRole(name="x", permissions=())),
        (auth_admin.DELETE_ROLE, auth_admin.RoleRef(name="x")),
        (auth_admin.LIST_PERMISSIONS, Nothing()),
        (auth_admin.INVITE, auth_admin.Invite(email="a@b.c")),
        (auth_admin.LIST_INVITATIONS, Nothing()),
        (auth_admin.DELETE_INVITATION, auth_admin.InvitationRef(id=new_id())),
    ):
        with pytest.raises(FiresideError) as caught:
            await context.call(action, request)
        assert caught.value.status == status


def test_a_route_can_only_declare_a_permission_that_exists() -> None:
    assert route_access(USERS_MANAGE) == {"x-fireside-access": "users:manage"}
    with pytest.raises(ValueError, match="users:mange"):
        route_access("users:mange")


def test_roles_hold_only_permissions_that_exist() -> None:
    assert all(permissions <= PERMISSIONS.keys() for permissions in ROLES.values())
    assert ROLES["viewer"] < ROLES["user"] < ROLES["editor"] < ROLES["admin"]
