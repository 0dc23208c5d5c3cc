import json
from base64 import urlsafe_b64encode as b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from pydantic import SecretStr

from fireside.core.identity import ANONYMOUS, Identity, service_identity
from fireside.core.ids import UserId
from fireside.runtime.mesh.tokens import InvalidTokenError, TokenBox, identity_claims, identity_from_claims

from .clocks import HandClock
from .parts import a_user


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def box(clock: HandClock, key: str = "key", purpose: str = "call") -> TokenBox[dict[str, Any]]:
    return TokenBox(SecretStr(key), purpose=purpose, clock=clock, read=lambda claims: {"name": claims["name"]})


def mint(clock: HandClock, audience: str = "notes", **options: str) -> str:
    token = box(clock, **options).mint("subject", lambda _: {"name": "x"}, audience=audience)
    assert token is not None
    return token


names = st.frozensets(st.text(max_size=8), max_size=3)


@settings(deadline=None)
@given(
    identity=st.builds(
        Identity,
        kind=st.sampled_from(["anonymous", "user", "service"]),
        name=st.text(max_size=8),
        user_id=st.none() | st.uuids().map(UserId),
        roles=names,
        permissions=names,
        session_id=st.none() | st.uuids(),
    )
)
def test_every_identity_reads_as_it_was_written(identity: Identity) -> None:
    assert identity_from_claims(identity_claims(identity)) == identity


def test_a_token_says_what_was_put_into_it(clock: HandClock) -> None:
    assert box(clock).verify(mint(clock), audience="notes") == {"name": "x"}


@pytest.mark.parametrize(
    ("options", "audience"),
    [({"key": "other"}, "notes"), ({"purpose": "node"}, "notes"), ({}, "documents")],
    ids=["another key", "another purpose", "another audience"],
)
def test_a_token_for_something_else_is_refused(clock: HandClock, options: dict[str, str], audience: str) -> None:
    with pytest.raises(InvalidTokenError):
        box(clock).verify(mint(clock, **options), audience=audience)


def test_a_token_that_was_verified_for_one_audience_is_still_refused_for_another(clock: HandClock) -> None:
    verifier, token = box(clock), mint(clock)
    verifier.verify(token, audience="notes")

    with pytest.raises(InvalidTokenError):
        verifier.verify(token, audience="documents")


def test_a_token_expires_even_when_it_was_verified_before(clock: HandClock) -> None:
    verifier, token = box(clock), mint(clock)
    verifier.verify(token, audience="notes")
    clock.move(149)
    verifier.verify(token, audience="notes")

    clock.move(2)

    with pytest.raises(InvalidTokenError, match="expired"):
        verifier.verify(token, audience="notes")


def test_a_token_from_the_future_is_refused(clock: HandClock) -> None:
    ahead = HandClock()
    ahead.move(31)

    with pytest.raises(InvalidTokenError, match="future"):
        box(clock).verify(mint(ahead), audience="notes")


def test_a_token_is_made_anew_after_half_its_life(clock: HandClock) -> None:
    maker = box(clock)
    first = maker.mint("subject", lambda _: {"name": "x"}, audience="notes")
    clock.move(59)
    second = maker.mint("subject", lambda _: {"name": "x"}, audience="notes")
    clock.move(2)
    third = maker.mint("subject", lambda _: {"name": "x"}, audience="notes")

    assert first == second != third


def test_subjects_and_audiences_do_not_share_tokens(clock: HandClock) -> None:
    maker = box(clock)
    tokens = {
        maker.mint(subject, lambda name: {"name": name}, audience=audience)
        for subject in "ab"
        for audience in ("x", "y")
    }

    assert len(tokens) == 4


@pytest.mark.parametrize("token", ["", "a.b.c", "é.é.é", None, 7, {"a": 1}])
def test_what_is_no_token_is_refused(clock: HandClock, token: object) -> None:
    with pytest.raises(InvalidTokenError):
        box(clock).verify(token, audience="notes")


@pytest.mark.parametrize("algorithm", ["none", "HS512"])
def test_a_token_under_another_algorithm_is_refused(clock: HandClock, algorithm: str) -> None:
    now = clock.now().timestamp()
    claims = {"iss": "fireside", "aud": "notes", "iat": now, "exp": now + 60, "name": "x"}
    maker = box(clock)
    if algorithm == "none":
        parts = [b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "none"}, claims)]
        token = ".".join([*parts, ""])
    else:
        token = jwt.encode({"alg": algorithm}, claims, maker._key, algorithms=[algorithm])

    with pytest.raises(InvalidTokenError):
        maker.verify(token, audience="notes")


@pytest.mark.parametrize("lacking", ["iat", "exp", "name"])
def test_a_token_that_lacks_a_claim_is_refused(clock: HandClock, lacking: str) -> None:
    maker = box(clock)
    now = clock.now().timestamp()
    claims = {"iss": "fireside", "aud": "notes", "iat": now, "exp": now + 60, "name": "x"}
    del claims[lacking]
    token = jwt.encode({"alg": "HS256"}, claims, maker._key, algorithms=["HS256"])

    with pytest.raises(InvalidTokenError):
        maker.verify(token, audience="notes")


def test_without_a_cluster_key_no_token_is_made_and_none_is_believed(clock: HandClock) -> None:
    keyless = box(clock, key="")

    assert keyless.mint("subject", lambda _: {"name": "x"}, audience="notes") is None
    with pytest.raises(InvalidTokenError):
        keyless.verify(mint(clock), audience="notes")


def test_the_number_of_remembered_tokens_is_bounded(clock: HandClock) -> None:
    maker = box(clock)
    first = maker.mint(0, lambda _: {"name": "0"}, audience="notes")
    for subject in range(1, 5000):
        maker.mint(subject, lambda _: {"name": "n"}, audience="notes")
    clock.move(1)

    assert maker.mint(0, lambda _: {"name": "0"}, audience="notes") != first


def test_a_service_on_behalf_of_a_user_keeps_the_user() -> None:
    user = a_user()
    service = service_identity("chat", on_behalf_of=user)

    assert identity_from_claims(identity_claims(service)) == service
    assert identity_from_claims(identity_claims(service)).user_id == user.user_id
    assert identity_from_claims(identity_claims(ANONYMOUS)) == ANONYMOUS
