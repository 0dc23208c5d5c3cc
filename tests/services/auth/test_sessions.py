import asyncio
import base64

import pytest
from sqlalchemy import text

from fireside.contracts import auth
from fireside.contracts.base import Nothing
from fireside.core.errors import FiresideError
from fireside.core.ids import SessionId, new_id
from fireside.runtime.durable import Database
from fireside.services.auth.errors import (
    InvalidCredentialError,
    InvalidRefreshTokenError,
    NoSessionError,
    SessionNotFoundError,
    WeakPasswordError,
    WrongCredentialsError,
)
from fireside.services.auth.opaque_tokens import make_refresh_token, parse_refresh_token
from tests.databases import on_both_databases, on_sqlite
from tests.services.auth.house import ADMIN_EMAIL, PASSWORD, House


@pytest.mark.requirement("S1")
async def test_a_refresh_token_gives_the_next_pair_in_the_same_session(house: House) -> None:
    first = await house.sign_in(ADMIN_EMAIL)
    second = await house.refresh(first.refresh_token)
    third = await house.refresh(second.refresh_token)

    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert first.session_id == second.session_id == third.session_id
    assert (await house.credential(third.access_token)).session_id == first.session_id


@on_both_databases
@pytest.mark.requirement("S1")
async def test_using_a_refresh_token_again_ends_the_whole_family_at_once(house: House) -> None:
    first = await house.sign_in(ADMIN_EMAIL)
    second = await house.refresh(first.refresh_token)

    with pytest.raises(InvalidRefreshTokenError):
        await house.refresh(first.refresh_token)

    with pytest.raises(InvalidRefreshTokenError):
        await house.refresh(second.refresh_token)
    for tokens in (first, second):
        with pytest.raises(InvalidCredentialError):
            await house.credential(tokens.access_token)
    user_id = (await house.with_credential((await house.sign_in(ADMIN_EMAIL)).access_token)).identity.user_id
    assert house.forgotten == [user_id]
    assert '"reuse"' in (await house.facts("auth.session_revoked"))[0]


async def test_a_token_several_generations_old_is_noticed_too(house: House) -> None:
    tokens = [await house.sign_in(ADMIN_EMAIL)]
    for _ in range(4):
        tokens.append(await house.refresh(tokens[-1].refresh_token))

    with pytest.raises(InvalidRefreshTokenError, match="used before"):
        await house.refresh(tokens[1].refresh_token)
    with pytest.raises(InvalidRefreshTokenError):
        await house.refresh(tokens[-1].refresh_token)


async def test_a_made_up_token_for_a_known_session_ends_nothing(house: House) -> None:
    tokens = await house.sign_in(ADMIN_EMAIL)
    forged = make_refresh_token(tokens.session_id)

    with pytest.raises(InvalidRefreshTokenError):
        await house.refresh(forged.text)

    assert await house.refresh(tokens.refresh_token)


@on_both_databases
async def test_two_programs_that_use_one_token_at_once_both_lose_the_session(house: House) -> None:
    first = await house.sign_in(ADMIN_EMAIL)

    results = await asyncio.gather(*(house.refresh(first.refresh_token) for _ in range(2)), return_exceptions=True)

    won = [result for result in results if isinstance(result, auth.Tokens)]
    assert len(won) == 1
    with pytest.raises(InvalidRefreshTokenError):
        await house.refresh(won[0].refresh_token)


async def test_a_request_that_one_browser_sends_twice_at_once_is_answered_twice_alike(house: House) -> None:
    browser = {"browser": True, "user_agent": "Firefox", "address": "10.0.0.1"}
    first = await house.sign_in(ADMIN_EMAIL)

    one, two = await asyncio.gather(*(house.refresh(first.refresh_token, **browser) for _ in range(2)))

    assert one == two
    assert await house.refresh(one.refresh_token, **browser)
    with pytest.raises(InvalidRefreshTokenError):
        await house.refresh(first.refresh_token, **browser)


async def test_another_browser_does_not_share_in_the_answer(house: House) -> None:
    first = await house.sign_in(ADMIN_EMAIL)

    results = await asyncio.gather(
        house.refresh(first.refresh_token, browser=True, user_agent="Firefox"),
        house.refresh(first.refresh_token, browser=True, user_agent="Chromium"),
        return_exceptions=True,
    )

    assert sum(isinstance(result, auth.Tokens) for result in results) == 1


async def test_a_browser_that_gives_up_waiting_does_not_stop_the_other(house: House) -> None:
    browser = {"browser": True, "user_agent": "Firefox"}
    first = await house.sign_in(ADMIN_EMAIL)
    impatient = asyncio.create_task(house.refresh(first.refresh_token, **browser))
    patient = asyncio.create_task(house.refresh(first.refresh_token, **browser))
    await asyncio.sleep(0)
    impatient.cancel()

    assert (await patient).session_id == first.session_id


async def test_a_session_that_is_not_used_for_its_lifetime_ends(house: House) -> None:
    tokens = await house.sign_in(ADMIN_EMAIL)
    house.clock.pass_time(days=29)
    tokens = await house.refresh(tokens.refresh_token)
    house.clock.pass_time(days=30)

    with pytest.raises(InvalidRefreshTokenError):
        await house.refresh(tokens.refresh_token)
    await house.service.tidy()
    async with house.database.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM auth_sessions"))).scalar_one() == 0


@pytest.mark.parametrize(
    "mangle",
    [
        lambda token: "",
        lambda token: token[:-1],
        lambda token: token[4:],
        lambda token: token + "=",
        lambda token: token + " ",
        lambda token: token.replace("fsr_", "fsk_"),
        lambda token: token[:-2] + ("AA" if token[-2:] != "AA" else "BB"),
        lambda token: "fsr_" + base64.urlsafe_b64encode(b"x" * 10).decode(),
        lambda token: "fsr_\u00e9",
    ],
)
async def test_what_is_not_quite_a_refresh_token_is_refused_and_ends_nothing(house: House, mangle) -> None:
    tokens = await house.sign_in(ADMIN_EMAIL)
    mangled = mangle(tokens.refresh_token)
    ends_family = parse_refresh_token(mangled) is not None

    with pytest.raises(InvalidRefreshTokenError):
        await house.refresh(mangled)

    if not ends_family:
        assert await house.refresh(tokens.refresh_token)


@pytest.mark.requirement("U4")
async def test_signing_out_ends_the_session_at_once(house: House) -> None:
    tokens = await house.sign_in(ADMIN_EMAIL)
    me = await house.with_credential(tokens.access_token)

    await me.call(auth.SIGN_OUT, Nothing())
    await me.call(auth.SIGN_OUT, Nothing())

    with pytest.raises(InvalidCredentialError):
        await house.credential(tokens.access_token)
    with pytest.raises(InvalidRefreshTokenError):
        await house.refresh(tokens.refresh_token)
    assert house.forgotten == [me.identity.user_id]


@pytest.mark.requirement("U4")
@on_both_databases
async def test_one_sees_and_ends_ones_own_sessions(house: House) -> None:
    laptop = await house.sign_in(ADMIN_EMAIL, user_agent="laptop")
    house.clock.pass_time(minutes=1)
    phone = await house.sign_in(ADMIN_EMAIL, user_agent="phone")
    me = await house.with_credential(laptop.access_token)

    listed = await me.call(auth.LIST_SESSIONS, Nothing())
    await me.call(auth.REVOKE_SESSION, auth.SessionRef(id=phone.session_id))

    assert [(item.user_agent, item.current) for item in listed.items] == [("phone", False), ("laptop", True)]
    assert [item.id for item in (await me.call(auth.LIST_SESSIONS, Nothing())).items] == [laptop.session_id]
    with pytest.raises(InvalidCredentialError):
        await house.credential(phone.access_token)
    assert await house.credential(laptop.access_token)


async def test_the_session_of_someone_else_cannot_be_told_from_one_that_never_was(house: House) -> None:
    await house.add_user("ada@example.org")
    ada, admin = await house.sign_in("ada@example.org"), await house.admin()

    answers = []
    for session_id in (ada.session_id, SessionId(new_id())):
        with pytest.raises(SessionNotFoundError) as caught:
            await admin.call(auth.REVOKE_SESSION, auth.SessionRef(id=session_id))
        answers.append(caught.value.to_dict())

    assert answers[0] == answers[1]
    assert await house.credential(ada.access_token)


@on_sqlite
@pytest.mark.requirement("U4")
async def test_the_list_of_one_users_sessions_is_found_by_index(database: Database, house: House) -> None:
    await house.sign_in(ADMIN_EMAIL)
    query = (
        "EXPLAIN QUERY PLAN SELECT * FROM auth_sessions WHERE user_id = 'x' AND expires_at > 1 ORDER BY last_used_at"
    )
    async with database.read() as session:
        plan = " ".join(str(row) for row in await session.execute(text(query)))

    assert "auth_sessions_user" in plan
    assert "SCAN" not in plan


async def test_an_api_key_has_no_session_to_end(house: House) -> None:
    admin = await house.admin()
    key = await admin.call(auth.CREATE_API_KEY, auth.CreateApiKey(name="script"))
    with_key = await house.with_credential(key.key)

    with pytest.raises(NoSessionError):
        await with_key.call(auth.SIGN_OUT, Nothing())


@on_both_databases
async def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(house: House) -> None:
    here, there = await house.sign_in(ADMIN_EMAIL), await house.sign_in(ADMIN_EMAIL)
    me = await house.with_credential(here.access_token)

    await me.call(auth.CHANGE_PASSWORD, auth.ChangePassword(current_password=PASSWORD, new_password="another good one"))

    assert await house.credential(here.access_token)
    with pytest.raises(InvalidCredentialError):
        await house.credential(there.access_token)
    with pytest.raises(WrongCredentialsError):
        await house.sign_in(ADMIN_EMAIL, PASSWORD)
    assert await house.sign_in(ADMIN_EMAIL, "another good one")


async def test_a_new_password_needs_the_present_one_and_guesses_are_counted(house: House) -> None:
    me = await house.admin()
    request = auth.ChangePassword(current_password="wrong", new_password="another good one")

    codes = []
    for _ in range(11):
        with pytest.raises(FiresideError) as caught:
            await me.call(auth.CHANGE_PASSWORD, request)
        codes.append(caught.value.code)

    assert codes == ["wrong_credentials"] * 10 + ["sign_ins_delayed"]


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaa", "admin@example.org", "ADMIN@EXAMPLE.ORG", "example.org"])
async def test_a_password_that_is_easily_guessed_is_refused(house: House, password: str) -> None:
    me = await house.admin()

    with pytest.raises(WeakPasswordError) as caught:
        await me.call(auth.CHANGE_PASSWORD, auth.ChangePassword(current_password=PASSWORD, new_password=password))

    assert caught.value.details["field"] == "password"
    assert await house.sign_in(ADMIN_EMAIL, PASSWORD)
