import asyncio
from typing import Any

import pytest

from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.services.gateway.identities import Known
from tests.services.auth.house import ADMIN_EMAIL
from tests.services.gateway.door import Door, Reply, open_door


async def test_without_a_credential_nobody_is_asking(door: Door) -> None:
    reply = await door.get("/who")

    assert (reply.status_code, reply.json()["kind"], reply.json()["user"]) == (200, "anonymous", None)


async def test_an_access_token_and_an_api_key_stand_for_their_user_in_every_header(door: Door) -> None:
    bearer = await door.bearer()
    key = await door.key(bearer)
    users = set()
    for headers in (
        bearer,
        {"authorization": f"bearer  {key}"},
        {"authorization": f"BEARER {key}"},
        {"x-api-key": key},
    ):
        reply = await door.get("/who", headers)
        assert reply.status_code == 200
        users.add(reply.json()["user"])

    assert len(users) == 1
    assert users != {None}


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer "},
        {"authorization": "Bearer x"},
        {"authorization": "Bearer a.b.c"},
        {"authorization": "Bearer fsk_000000000000_x"},
        {"authorization": "Bearer \xe9"},
        {"authorization": "Bearer " + "A" * 9_000},
        {"x-api-key": ""},
        {"x-api-key": "x"},
        {"x-api-key": "fsk_000000000000_x"},
    ],
)
async def test_a_credential_that_does_not_work_is_refused_and_never_taken_for_nobody(
    door: Door, headers: dict[str, str]
) -> None:
    reply = await door.client.get("/who", headers={name: value.encode("latin-1") for name, value in headers.items()})

    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.headers["content-type"] == "application/problem+json"


async def test_an_access_token_does_not_work_as_an_api_key(door: Door) -> None:
    token = (await door.bearer())["authorization"].removeprefix("Bearer ")

    assert (await door.get("/who", {"x-api-key": token})).status_code == 401


async def test_two_different_credentials_in_one_request_are_refused(door: Door) -> None:
    await door.house.add_user("ada@example.org")
    ada, admin = await door.key(await door.bearer("ada@example.org")), await door.bearer()

    both = await door.get("/who", {**admin, "x-api-key": ada})
    twice = await door.client.get("/who", headers=[*admin.items(), ("authorization", f"Bearer {ada}")])
    same = await door.get("/who", {"authorization": f"Bearer {ada}", "x-api-key": ada})

    assert (both.status_code, both.json()["code"]) == (401, "ambiguous_credentials")
    assert twice.status_code == 401
    assert same.status_code == 200


async def test_a_credential_in_the_url_counts_for_nothing(door: Door) -> None:
    token = (await door.bearer())["authorization"].removeprefix("Bearer ")

    for query in (f"?token={token}", f"?access_token={token}", f"?api_key={token}"):
        assert (await door.get(f"/who{query}")).json()["kind"] == "anonymous"
        assert (await door.get(f"/admins-only{query}")).status_code == 401


async def test_the_cookie_is_no_credential_anywhere_but_at_the_token_endpoint(door: Door) -> None:
    reply = await door.token(origin="http://fireside.test")
    cookie = reply.cookies["fireside_refresh"]

    assert (await door.get("/who", {"cookie": f"fireside_refresh={cookie}"})).json()["kind"] == "anonymous"
    assert (await door.get("/api/v1/auth/me", {"cookie": f"fireside_refresh={cookie}"})).status_code == 401


async def test_schemes_other_than_bearer_are_left_alone(door: Door) -> None:
    assert (await door.get("/who", {"authorization": "Basic YTpi"})).json()["kind"] == "anonymous"


@pytest.mark.requirement("S5")
async def test_headers_that_name_a_user_are_dropped(door: Door) -> None:
    forged = {
        "x-user-id": "1",
        "x-user": "admin",
        "x-forwarded-user": "admin",
        "x-forwarded-email": ADMIN_EMAIL,
        "x-forwarded-preferred-username": "admin",
        "x-auth-request-user": "admin",
        "x-remote-user": "admin",
        "remote-user": "admin",
        "x-webauth-user": "admin",
        "x-fireside-identity": "admin",
        "x-authenticated-user": "admin",
    }
    reply = await door.get("/who", {**forged, "x-harmless": "yes"})

    assert reply.json()["kind"] == "anonymous"
    assert "x-harmless" in door.seen[0]
    assert not door.seen[0].keys() & forged.keys()


async def test_a_remembered_credential_is_not_looked_up_again_for_some_seconds(door: Door) -> None:
    bearer = await door.bearer()
    token = bearer["authorization"].removeprefix("Bearer ")
    remembered = []
    for _ in range(3):
        assert (await door.get("/who", bearer)).status_code == 200
        remembered.append(door.authenticator.remembered(token))

    assert remembered[0] is not None
    assert remembered[0] is remembered[1] is remembered[2]
    door.house.clock.pass_time(seconds=11)
    assert door.authenticator.remembered(token) is None
    assert (await door.get("/who", bearer)).status_code == 200


async def test_a_credential_is_not_remembered_beyond_its_end(door: Door) -> None:
    bearer = await door.bearer()
    door.house.clock.pass_time(minutes=14, seconds=58)

    assert (await door.get("/who", bearer)).status_code == 200
    door.house.clock.pass_time(seconds=2)
    assert (await door.get("/who", bearer)).status_code == 401


@pytest.mark.requirement("S9")
async def test_what_is_revoked_is_refused_with_the_very_next_request(door: Door) -> None:
    bearer = await door.bearer()
    key_id = (await door.client.post("/api/v1/auth/api-keys", json={"name": "k"}, headers=bearer)).json()
    key = {"x-api-key": key_id["key"]}
    assert (await door.get("/who", key)).status_code == 200

    await door.client.delete(f"/api/v1/auth/api-keys/{key_id['id']}", headers=bearer)
    assert (await door.get("/who", key)).status_code == 401
    assert (await door.get("/who", bearer)).status_code == 200

    await door.client.post("/api/v1/auth/logout", headers=bearer)
    assert (await door.get("/who", bearer)).status_code == 401


async def test_a_demoted_administrator_is_refused_with_the_very_next_request(door: Door) -> None:
    user = await door.house.add_user("ada@example.org", "admin")
    ada = await door.bearer("ada@example.org")
    assert (await door.get("/admins-only", ada)).status_code == 200

    admin = await door.bearer()
    await door.client.patch(f"/api/v1/admin/users/{user.id}", json={"role": "viewer"}, headers=admin)

    assert (await door.get("/admins-only", ada)).status_code == 403
    assert (await door.get("/who", ada)).status_code == 200


async def test_an_answer_that_was_on_its_way_during_a_change_is_not_remembered(door: Door) -> None:
    credential = (await door.house.sign_in(ADMIN_EMAIL)).access_token
    asking = asyncio.create_task(door.authenticator.identify(door.house.nobody, credential))
    await asyncio.sleep(0)
    door.authenticator.forget(None)

    assert (await asking).identity.roles == {"admin"}
    assert door.authenticator.remembered(credential) is None


async def test_only_so_many_credentials_are_remembered(database: Database) -> None:
    async with open_door(database) as door:
        credentials = [(await door.house.sign_in(ADMIN_EMAIL)).access_token for _ in range(3)]
        few = type(door.authenticator)(clock=door.house.clock, remember_s=10, most=2)
        for credential in credentials:
            await few.identify(door.house.nobody, credential)

        assert [few.remembered(credential) is not None for credential in credentials] == [False, True, True]


async def test_when_nobody_can_tell_who_asks_the_request_fails_as_unavailable_and_is_not_counted_as_a_guess(
    database: Database,
) -> None:
    async with open_door(database, failed_rate="1/minute") as door:
        bearer = await door.bearer()
        await database.close()
        replies = [await door.get("/who", bearer) for _ in range(3)]

    assert {reply.status_code for reply in replies} <= {500, 503}


async def test_trying_many_credentials_is_slowed_down_but_not_for_those_already_known(database: Database) -> None:
    async with open_door(database, failed_rate="5/minute") as door:
        bearer = await door.bearer()
        assert (await door.get("/who", bearer)).status_code == 200
        statuses = [(await door.get("/who", {"x-api-key": f"fsk_{number:012}_x"})).status_code for number in range(7)]

        assert statuses == [401] * 5 + [429] * 2
        assert (await door.get("/who", bearer)).status_code == 200
        door.house.clock.pass_time(seconds=61)
        assert (await door.get("/who", {"x-api-key": "fsk_000000000000_x"})).status_code == 401


async def test_an_expired_token_sent_along_by_habit_does_not_keep_anybody_from_signing_in(door: Door) -> None:
    reply = await door.token(authorization="Bearer expired")

    assert reply.status_code == 200


LONG_REPLIES = pytest.mark.parametrize("path", ["/stream", "/poured"], ids=["in a task", "in no task"])


@LONG_REPLIES
async def test_a_long_reply_ends_when_its_reader_is_signed_out(
    door: Door, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bearer = await door.bearer()
    identify, looked = door.authenticator.identify, list[asyncio.Task[Any] | None]()

    async def noting(context: Context, credential: str) -> Known:
        looked.append(asyncio.current_task())
        return await identify(context, credential)

    monkeypatch.setattr(door.authenticator, "identify", noting)
    async with Reply(door.app, path, bearer) as reply:
        assert (await reply.next())["status"] == 200
        assert (await reply.next())["body"] == b"begun;"
        door.more.put_nowait("one;")
        assert (await reply.next())["body"] == b"one;"

        await door.client.post("/api/v1/auth/logout", headers=bearer)
        door.more.put_nowait("secret;")
        assert reply.running is not None
        async with asyncio.timeout(5):
            await asyncio.wait([reply.running])

        assert reply._messages.empty()
    assert len(looked) > 1
    assert None not in looked  # a call has a deadline, which needs a task


@LONG_REPLIES
async def test_a_long_reply_goes_on_when_something_harmless_about_its_reader_changes(door: Door, path: str) -> None:
    bearer = await door.bearer()
    async with Reply(door.app, path, bearer) as reply:
        for _ in range(2):
            await reply.next()
        await door.client.patch("/api/v1/auth/me", json={"name": "Another name"}, headers=bearer)
        door.more.put_nowait("more;")
        assert (await reply.next())["body"] == b"more;"
        door.more.put_nowait("end")
        assert (await reply.next()) == {"type": "http.response.body", "body": b"", "more_body": False}

    assert door.authenticator._watches == {}


async def test_a_change_between_admission_and_the_first_piece_is_noticed(door: Door) -> None:
    credential = (await door.house.sign_in(ADMIN_EMAIL)).access_token
    known = await door.authenticator.identify(door.house.nobody, credential)
    door.authenticator.forget(known.identity.user_id)

    watch = door.authenticator.watch(known)

    assert watch.changed.is_set()
    watch.close()
    watch.close()
