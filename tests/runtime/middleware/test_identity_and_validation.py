import json

import pytest

from fireside.contracts.base import INTERNAL, PUBLIC, SIGNED_IN, Contract
from fireside.core.errors import ForbiddenError, InvalidInputError, UnauthenticatedError
from fireside.core.identity import ANONYMOUS, Identity, service_identity, user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.middleware.base import Place
from fireside.runtime.middleware.identity import IdentityMiddleware
from fireside.runtime.middleware.validation import ValidationMiddleware

from .parts import Answer, Ask, Script, StreamScript, a_context, a_stream, an_action, collect, target

USER = user_identity(UserId(new_id()), roles=["user"], permissions=["tests:read"])
OTHER = user_identity(UserId(new_id()), roles=["user"], permissions=[])
SERVICE = service_identity("chat", on_behalf_of=USER)
ADMITTED = [
    (PUBLIC, [ANONYMOUS, USER, OTHER, SERVICE]),
    (SIGNED_IN, [USER, OTHER, SERVICE]),
    (INTERNAL, [SERVICE]),
    ("tests:read", [USER, SERVICE]),
]


@pytest.mark.parametrize(("access", "admitted"), ADMITTED)
@pytest.mark.parametrize("identity", [ANONYMOUS, USER, OTHER, SERVICE], ids=["anonymous", "user", "other", "service"])
async def test_each_access_admits_whom_it_should_and_nobody_else(
    access: str, admitted: list[Identity], identity: Identity
) -> None:
    script, stream = Script(Answer()), StreamScript([Answer()])
    handler = IdentityMiddleware().wrap(target(an_action(access=access)), script)
    stream_handler = IdentityMiddleware().wrap_stream(target(a_stream(access=access)), stream)
    context = a_context(identity=identity)

    if identity in admitted:
        assert await handler(context, Ask()) == Answer()
        assert await collect(stream_handler(context, Ask())) == [Answer()]
        return
    expected = UnauthenticatedError if identity is ANONYMOUS else ForbiddenError
    with pytest.raises(expected):
        await handler(context, Ask())
    with pytest.raises(expected):
        await collect(stream_handler(context, Ask()))
    assert script.calls == stream.calls == 0


class Strict(Contract):
    """Another contract with the same fields."""

    text: str


async def test_a_local_request_of_another_type_is_refused() -> None:
    script, stream = Script(Answer()), StreamScript([Answer()])
    handler = ValidationMiddleware().wrap(target(an_action()), script)
    stream_handler = ValidationMiddleware().wrap_stream(target(a_stream()), stream)

    with pytest.raises(InvalidInputError, match="takes a Ask, not a Strict"):
        await handler(a_context(), Strict(text="x"))
    with pytest.raises(InvalidInputError, match="takes a Ask, not a Strict"):
        await collect(stream_handler(a_context(), Strict(text="x")))
    assert await handler(a_context(), Ask()) == Answer()
    assert await collect(stream_handler(a_context(), Ask())) == [Answer()]
    assert script.calls == stream.calls == 1


async def test_a_request_from_afar_is_read_as_its_contract_says() -> None:
    seen: list[object] = []

    async def handler(context: object, request: object) -> Answer:
        seen.append(request)
        return Answer()

    await ValidationMiddleware().wrap(target(an_action(), Place.SERVE), handler)(a_context(), b'{"text":"x","new":1}')

    assert seen == [Ask(text="x")]


@pytest.mark.parametrize("data", [b'{"text": 5, "secret": "hush"}', b'["hush"]', b"hush", b""])
async def test_a_request_from_afar_that_does_not_fit_is_refused_without_its_values(data: bytes) -> None:
    script = StreamScript([Answer()])
    handler = ValidationMiddleware().wrap_stream(target(a_stream(), Place.SERVE), script)

    with pytest.raises(InvalidInputError) as caught:
        await collect(handler(a_context(), data))

    assert "hush" not in json.dumps(caught.value.to_dict())
    assert caught.value.details["errors"]
    assert script.calls == 0
