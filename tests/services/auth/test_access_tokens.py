import json
from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from sqlalchemy import text

from fireside.adapters.secret_box.aes_gcm import AesGcmSecretBox
from fireside.adapters.secret_box.key_ring import KeyRing
from fireside.contracts import auth
from fireside.contracts.base import Nothing
from fireside.core.ids import SessionId, UserId, new_id
from fireside.ports.secret_box import SecretUnreadableError
from fireside.runtime.durable import Database
from fireside.services.auth.access_tokens import AccessTokens, SigningKey, key_id_of, make_signing_key
from fireside.services.auth.errors import InvalidCredentialError
from fireside.services.auth.settings import AuthSettings
from fireside.services.auth.signing import Signing
from tests.databases import on_both_databases
from tests.services.auth.house import ADMIN_EMAIL, RING, House, ManualClock, auth_house

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = make_signing_key(new_id(), now=NOW)
USER, SESSION = UserId(new_id()), SessionId(new_id())


def tokens(*keys: SigningKey, issuer: str = "https://fireside.test", audience: str = "fireside") -> AccessTokens:
    return AccessTokens(keys or (KEY,), issuer=issuer, audience=audience, lifetime_s=900)


def signed(header: dict[str, str] | None = None, **claims: object) -> str:
    """A token signed with the right key, but for what is changed about it."""
    all_claims = {
        "iss": "https://fireside.test",
        "aud": "fireside",
        "sub": str(USER),
        "sid": str(SESSION),
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 900,
        **claims,
    }
    full_header = {"alg": "ES256", "typ": "at+jwt", "kid": str(KEY.id), **(header or {})}
    return jwt.encode(full_header, {k: v for k, v in all_claims.items() if v is not None}, private_key())


def private_key() -> ECKey:
    return ECKey.import_key(json.loads(KEY.private_jwk))


def test_a_token_tells_its_user_and_session_until_it_expires() -> None:
    claims = tokens().verify(tokens().issue(USER, SESSION, now=NOW), now=NOW + timedelta(seconds=899))

    assert (claims.user_id, claims.session_id) == (USER, SESSION)
    assert claims.expires_at == NOW + timedelta(seconds=900)


def test_the_token_that_tests_sign_themselves_is_valid_until_something_is_changed() -> None:
    assert tokens().verify(signed(), now=NOW)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed(aud="another service"), id="made for another service"),
        pytest.param(signed(aud=None), id="made for nobody in particular"),
        pytest.param(signed(iss="https://elsewhere.test"), id="made elsewhere"),
        pytest.param(signed(exp=int(NOW.timestamp()) - 1), id="expired"),
        pytest.param(signed(exp=None), id="without an end"),
        pytest.param(signed(exp="soon"), id="an end that is no time"),
        pytest.param(signed(sub=None), id="without user"),
        pytest.param(signed(sub="root"), id="a user that is no id"),
        pytest.param(signed(sid=None), id="without session"),
        pytest.param(signed(header={"typ": "JWT"}), id="another type, such as an identity token"),
        pytest.param(signed(header={"kid": "other"}), id="an unknown key"),
        pytest.param(signed()[:-4] + "AAAA", id="a changed signature"),
        pytest.param(signed().replace(".", "..", 1), id="four parts"),
        pytest.param("e30." + signed().partition(".")[2], id="another header"),
        pytest.param("A" * 3_000, id="much too long"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_token_is_refused_that_is(token: str) -> None:
    with pytest.raises(InvalidCredentialError):
        tokens().verify(token, now=NOW)


def test_a_token_signed_with_nothing_or_with_the_public_key_as_a_secret_is_refused() -> None:
    claims = signed().split(".")[1]
    unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + claims + "."
    public = private_key().as_pem(private=False)
    confused = jwt.encode(
        {"alg": "HS256", "typ": "at+jwt", "kid": str(KEY.id)},
        {"iss": "https://fireside.test", "aud": "fireside", "sub": str(USER), "sid": str(SESSION), "exp": 9e9},
        OctKey.import_key(b"secret " + public.replace(b"-----", b"")),
    )

    for token in (unsigned, confused):
        with pytest.raises(InvalidCredentialError):
            tokens().verify(token, now=NOW)


def test_the_newest_key_signs_and_older_ones_still_verify() -> None:
    newer = make_signing_key(new_id(), now=NOW + timedelta(days=1))
    old_token = tokens(KEY).issue(USER, SESSION, now=NOW)
    both = tokens(KEY, newer)

    assert both.verify(old_token, now=NOW)
    assert key_id_of(both.issue(USER, SESSION, now=NOW)) == str(newer.id)
    assert len(both.public_keys) == 2


def test_public_keys_hold_nothing_private() -> None:
    assert all("d" not in key for key in tokens().public_keys)
    assert tokens().public_keys[0]["kty"] == "EC"


@pytest.mark.parametrize("token", ["", "x.y.z", "e30.x.y", "W10.x.y"])
def test_what_is_no_token_names_no_key(token: str) -> None:
    with pytest.raises(InvalidCredentialError):
        key_id_of(token)


async def test_an_access_token_ends_after_its_minutes_and_a_refresh_gives_the_next(house: House) -> None:
    first = await house.sign_in(ADMIN_EMAIL)
    house.clock.pass_time(minutes=15)

    with pytest.raises(InvalidCredentialError):
        await house.credential(first.access_token)
    assert await house.credential((await house.refresh(first.refresh_token)).access_token)


async def test_a_refresh_token_is_no_access_token(house: House) -> None:
    with pytest.raises(InvalidCredentialError):
        await house.credential((await house.sign_in(ADMIN_EMAIL)).refresh_token)


@on_both_databases
async def test_a_restart_keeps_the_key_so_that_tokens_go_on_working(database: Database) -> None:
    async with auth_house(database) as house:
        token = (await house.sign_in(ADMIN_EMAIL)).access_token
    await database.open()
    async with auth_house(database) as house:
        assert await house.credential(token)


async def test_a_start_after_many_days_makes_a_new_key_and_verifies_with_the_old_one_for_a_while(
    database: Database,
) -> None:
    async with auth_house(database) as house:
        house.clock.pass_time(days=90)
        old = (await house.sign_in(ADMIN_EMAIL)).access_token
    await database.open()
    async with auth_house(database) as house:
        new = (await house.sign_in(ADMIN_EMAIL)).access_token
        assert key_id_of(old) != key_id_of(new)
        assert await house.credential(old)
        keys = await house.nobody.call(auth.PUBLIC_KEYS, Nothing())
        assert {key["kid"] for key in keys.keys} == {key_id_of(old), key_id_of(new)}
        house.clock.pass_time(hours=1)
    await database.open()
    async with auth_house(database) as house:
        keys = await house.nobody.call(auth.PUBLIC_KEYS, Nothing())
        assert [key["kid"] for key in keys.keys] == [key_id_of(new)]


async def test_a_node_learns_of_a_key_that_another_node_made(house: House) -> None:
    elsewhere = Signing(
        database=house.database,
        box=AesGcmSecretBox(RING),
        settings=AuthSettings(signing_key_days=0.001),
        clock=house.clock,
    )
    tokens = await house.sign_in(ADMIN_EMAIL)
    user_id = (await house.credential(tokens.access_token)).user_id
    house.clock.pass_time(minutes=2)
    await elsewhere.load()
    token = elsewhere.tokens.issue(user_id, tokens.session_id, now=house.clock.now())

    assert (await house.credential(token)).session_id == tokens.session_id


async def test_made_up_key_ids_do_not_make_a_node_read_the_keys_again_and_again(house: House) -> None:
    class CountingBox(AesGcmSecretBox):
        opened = 0

        def open(self, sealed: bytes, *, place: str) -> bytes:
            self.opened += 1
            return super().open(sealed, place=place)

    box = CountingBox(RING)
    signing = Signing(database=house.database, box=box, settings=AuthSettings(), clock=house.clock)
    await signing.load()
    house.clock.pass_time(minutes=1)

    for _ in range(20):
        with pytest.raises(InvalidCredentialError):
            await signing.verify(signed(header={"kid": "made up"}))

    assert box.opened == 2


async def test_another_key_ring_cannot_open_the_keys_and_stops_the_start(database: Database) -> None:
    async with auth_house(database):
        pass
    await database.open()
    stranger = KeyRing(()).with_new_key(now=NOW)
    signing = Signing(database=database, box=AesGcmSecretBox(stranger), settings=AuthSettings(), clock=ManualClock())

    with pytest.raises(SecretUnreadableError):
        await signing.load()


async def test_the_private_key_lies_sealed_in_the_database(database: Database) -> None:
    async with auth_house(database), database.read() as session:
        sealed = (await session.execute(text("SELECT sealed_private_jwk FROM auth_signing_keys"))).scalar_one()

    assert b"kty" not in sealed
