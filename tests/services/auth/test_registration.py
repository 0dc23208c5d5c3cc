import asyncio
from pathlib import Path

import pytest

from fireside.contracts import auth, auth_admin
from fireside.contracts.base import Nothing
from fireside.core.errors import ConflictError, ForbiddenError, InvalidInputError
from fireside.core.ids import new_id
from fireside.runtime.durable import Database
from fireside.services.auth.errors import (
    EmailTakenError,
    InvalidCredentialError,
    InvalidOneTimeTokenError,
    InvitationNotFoundError,
    RegistrationClosedError,
    WeakPasswordError,
    WrongCredentialsError,
)
from fireside.services.auth.settings import AuthSettings
from tests.databases import on_both_databases, on_sqlite
from tests.services.auth.house import (
    ADMIN_EMAIL,
    PASSWORD,
    House,
    MemoryFile,
    auth_house,
    everything_in,
)


def registering(email: str = "ada@example.org", **request: object) -> auth.Register:
    return auth.Register(**{"email": email, "password": PASSWORD, "name": "Ada", **request})


def setting_up(token: str, **request: object) -> auth.SetUp:
    return auth.SetUp(**{"token": token, "email": "me@example.org", "password": PASSWORD, "name": "Me", **request})


async def test_the_environment_makes_the_first_administrator_and_no_link(house: House) -> None:
    assert (await house.credential((await house.sign_in(ADMIN_EMAIL)).access_token)).roles == ("admin",)
    assert house.announced == []
    assert (await house.nobody.call(auth.SETUP_STATE, Nothing())).required is False


async def test_a_later_start_leaves_the_administrator_and_the_password_alone(database: Database) -> None:
    async with auth_house(database) as house:
        me = await house.admin()
        await me.call(
            auth.CHANGE_PASSWORD, auth.ChangePassword(current_password=PASSWORD, new_password="another good one")
        )
    await database.open()
    async with auth_house(database, admin_email="other@example.org") as house:
        assert await house.sign_in(ADMIN_EMAIL, "another good one")
        with pytest.raises(WrongCredentialsError):
            await house.sign_in("other@example.org")


async def test_a_weak_password_in_the_environment_stops_the_start_and_names_the_variable(database: Database) -> None:
    with pytest.raises(InvalidInputError, match=r"^FIRESIDE_ADMIN_PASSWORD: "):
        async with auth_house(database, admin_password="short"):
            pass


async def test_a_first_start_without_environment_announces_a_link_that_makes_one_administrator(
    database: Database,
) -> None:
    async with auth_house(database, admin_email="") as house:
        assert (await house.nobody.call(auth.SETUP_STATE, Nothing())).required is True
        [token] = house.announced

        made = await house.nobody.call(auth.SET_UP, setting_up(token))

        assert (made.role, made.email) == ("admin", "me@example.org")
        assert (await house.nobody.call(auth.SETUP_STATE, Nothing())).required is False
        with pytest.raises(InvalidOneTimeTokenError):
            await house.nobody.call(auth.SET_UP, setting_up(token, email="thief@example.org"))
        assert await house.sign_in("me@example.org")


@on_both_databases
async def test_of_two_who_use_the_link_at_once_one_becomes_administrator(database: Database) -> None:
    async with auth_house(database, admin_email="") as house:
        requests = [setting_up(house.announced[0], email=f"{number}@example.org") for number in range(2)]
        results = await asyncio.gather(
            *(house.nobody.call(auth.SET_UP, request) for request in requests), return_exceptions=True
        )

    assert sum(isinstance(result, auth.UserView) for result in results) == 1
    assert sum(isinstance(result, InvalidOneTimeTokenError) for result in results) == 1


async def test_each_start_makes_the_link_of_the_start_before_useless(database: Database) -> None:
    async with auth_house(database, admin_email="") as house:
        old = house.announced[0]
    await database.open()
    async with auth_house(database, admin_email="") as house:
        with pytest.raises(InvalidOneTimeTokenError):
            await house.nobody.call(auth.SET_UP, setting_up(old))
        assert await house.nobody.call(auth.SET_UP, setting_up(house.announced[0]))


async def test_the_link_expires(database: Database) -> None:
    async with auth_house(database, admin_email="", one_time_link_hours=1) as house:
        house.clock.pass_time(hours=1)
        with pytest.raises(InvalidOneTimeTokenError):
            await house.nobody.call(auth.SET_UP, setting_up(house.announced[0]))


async def test_a_weak_password_does_not_use_the_link_up(database: Database) -> None:
    async with auth_house(database, admin_email="") as house:
        with pytest.raises(WeakPasswordError):
            await house.nobody.call(auth.SET_UP, setting_up(house.announced[0], password="short"))
        assert await house.nobody.call(auth.SET_UP, setting_up(house.announced[0]))


async def test_whoever_registers_gets_the_ordinary_role(house: House) -> None:
    made = await house.nobody.call(auth.REGISTER, registering())

    assert made.role == "user"
    assert (await house.credential((await house.sign_in("ada@example.org")).access_token)).user_id == made.id


async def test_nobody_registers_before_there_is_an_administrator(database: Database) -> None:
    async with auth_house(database, admin_email="") as house:
        with pytest.raises(RegistrationClosedError):
            await house.nobody.call(auth.REGISTER, registering())


@on_both_databases
@pytest.mark.requirement("S3")
async def test_registering_a_known_address_is_answered_like_an_unknown_one_and_changes_nothing(house: House) -> None:
    fresh = await house.nobody.call(auth.REGISTER, registering("new@example.org"))
    known = await house.nobody.call(auth.REGISTER, registering("ADMIN@example.org", password="the password of a thief"))

    assert known.model_dump(exclude={"id", "email"}) == fresh.model_dump(exclude={"id", "email"})
    assert known.email == "admin@example.org"
    with pytest.raises(WrongCredentialsError):
        await house.sign_in(ADMIN_EMAIL, "the password of a thief")
    assert (await house.with_credential((await house.sign_in(ADMIN_EMAIL)).access_token)).identity.user_id != known.id
    assert len(await house.facts("auth.registration_repeated")) == 1


async def test_closed_registration_lets_nobody_in_and_invites_nobody(database: Database) -> None:
    async with auth_house(database, registration="closed") as house:
        with pytest.raises(RegistrationClosedError):
            await house.nobody.call(auth.REGISTER, registering())
        with pytest.raises(RegistrationClosedError):
            await house.nobody.call(auth.REGISTER, registering(invitation="fso_x"))
        with pytest.raises(RegistrationClosedError):
            await (await house.admin()).call(auth_admin.INVITE, auth_admin.Invite(email="ada@example.org"))


@on_both_databases
async def test_an_invitation_lets_its_address_in_once_with_its_role(database: Database) -> None:
    async with auth_house(database, registration="invite") as house:
        admin = await house.admin()
        invited = await admin.call(auth_admin.INVITE, auth_admin.Invite(email="Ada@example.org", role="editor"))
        with pytest.raises(RegistrationClosedError):
            await house.nobody.call(auth.REGISTER, registering())
        with pytest.raises(InvalidOneTimeTokenError):
            await house.nobody.call(auth.REGISTER, registering("thief@example.org", invitation=invited.token))

        made = await house.nobody.call(auth.REGISTER, registering(invitation=invited.token))

        assert made.role == "editor"
        assert (await admin.call(auth_admin.LIST_INVITATIONS, Nothing())).items == ()
        with pytest.raises(InvalidOneTimeTokenError):
            await house.nobody.call(auth.REGISTER, registering(invitation=invited.token))


@on_both_databases
async def test_an_invitation_can_be_listed_without_its_token_and_taken_back(house: House) -> None:
    admin = await house.admin()
    invited = await admin.call(auth_admin.INVITE, auth_admin.Invite(email="ada@example.org"))

    listed = await admin.call(auth_admin.LIST_INVITATIONS, Nothing())
    await admin.call(auth_admin.DELETE_INVITATION, auth_admin.InvitationRef(id=invited.id))

    assert [item.email for item in listed.items] == ["ada@example.org"]
    assert invited.token not in listed.model_dump_json()
    with pytest.raises(InvalidOneTimeTokenError):
        await house.nobody.call(auth.REGISTER, registering(invitation=invited.token))
    for unknown in (invited.id, new_id()):
        with pytest.raises(InvitationNotFoundError):
            await admin.call(auth_admin.DELETE_INVITATION, auth_admin.InvitationRef(id=unknown))


async def test_who_has_an_account_is_not_invited(house: House) -> None:
    with pytest.raises(EmailTakenError):
        await (await house.admin()).call(auth_admin.INVITE, auth_admin.Invite(email=ADMIN_EMAIL))


async def test_an_account_made_since_the_invitation_stays_as_it_is(house: House) -> None:
    invited = await (await house.admin()).call(auth_admin.INVITE, auth_admin.Invite(email="ada@example.org"))
    await house.add_user("ada@example.org", "viewer")

    with pytest.raises(EmailTakenError):
        await house.nobody.call(auth.REGISTER, registering(invitation=invited.token, password="the next password"))
    assert await house.sign_in("ada@example.org", PASSWORD)


async def test_one_kind_of_link_does_not_work_as_another(database: Database) -> None:
    async with auth_house(database, admin_email="") as house:
        await house.nobody.call(auth.SET_UP, setting_up(house.announced[0]))
        admin = await house.signed_in("me@example.org")
        invited = await admin.call(auth_admin.INVITE, auth_admin.Invite(email="ada@example.org"))
        with pytest.raises((InvalidOneTimeTokenError, ConflictError)):
            await house.nobody.call(auth.SET_UP, setting_up(invited.token, email="ada@example.org"))
        for text in (invited.token, house.announced[0]):
            with pytest.raises(InvalidCredentialError):
                await house.credential(text)


def test_the_role_of_those_who_register_is_never_administrator() -> None:
    with pytest.raises(ValueError, match="must not become an administrator"):
        AuthSettings(registered_role="admin")


async def test_an_unknown_role_for_those_who_register_stops_the_start(database: Database) -> None:
    with pytest.raises(InvalidInputError, match="FIRESIDE_AUTH_REGISTERED_ROLE"):
        async with auth_house(database, registered_role="nobody"):
            pass


@on_both_databases
async def test_the_command_line_on_this_machine_may_administer_with_the_key_in_its_file(database: Database) -> None:
    file = MemoryFile()
    async with auth_house(database, key_file=file) as house:
        local = await house.with_credential(str(file.text).strip())

        assert local.identity.roles == {"admin"}
        people = await local.call(auth_admin.LIST_USERS, auth_admin.ListUsers())
        assert [user.email for user in people.items] == [ADMIN_EMAIL]


async def test_a_later_start_keeps_the_local_key_and_a_lost_file_makes_it_useless(database: Database) -> None:
    file = MemoryFile()
    async with auth_house(database, key_file=file):
        first = file.text
    await database.open()
    async with auth_house(database, key_file=file):
        assert file.text == first
        file.text = None
    await database.open()
    async with auth_house(database, key_file=file) as house:
        assert file.text != first
        assert await house.credential(str(file.text).strip())
        with pytest.raises(InvalidCredentialError):
            await house.credential(str(first).strip())


async def test_a_file_with_something_else_in_it_is_replaced(database: Database) -> None:
    file = MemoryFile("fsk_000000000000_made-up")
    async with auth_house(database, key_file=file) as house:
        assert await house.credential(str(file.text).strip())


async def test_the_account_of_the_command_line_cannot_be_looked_at_or_changed_by_administrators(
    database: Database,
) -> None:
    file = MemoryFile()
    async with auth_house(database, key_file=file) as house:
        local_id = (await house.credential(str(file.text).strip())).user_id
        admin, ref = await house.admin(), auth_admin.UserRef(id=local_id)
        for action in (auth_admin.GET_USER, auth_admin.LOCK_USER, auth_admin.UNLOCK_USER, auth_admin.DELETE_USER):
            with pytest.raises(Exception, match="no such user"):
                await admin.call(action, ref)


@on_sqlite
async def test_passwords_and_tokens_are_neither_stored_nor_told(database: Database, tmp_path: Path) -> None:
    async with auth_house(database, registration="invite") as house:
        tokens, admin = await house.sign_in(ADMIN_EMAIL), await house.admin()
        invited = await admin.call(auth_admin.INVITE, auth_admin.Invite(email="ada@example.org"))
        await house.nobody.call(auth.REGISTER, registering(invitation=invited.token))
        stored = everything_in(tmp_path)

    for secret in (PASSWORD, tokens.refresh_token, tokens.access_token, invited.token, '"d":'):
        assert secret.encode() not in stored
    assert b"ada@example.org" in stored


async def test_requests_and_responses_do_not_show_secrets_when_logged() -> None:
    for shown in (registering(invitation="sesame"), setting_up("sesame"), auth.SignIn(email="x", password="sesame")):
        assert "sesame" not in repr(shown)
        assert PASSWORD not in repr(shown)


async def test_an_unknown_permission_counts_for_nothing(house: House) -> None:
    with pytest.raises(ForbiddenError):
        (await house.admin()).identity.require("no:such")
