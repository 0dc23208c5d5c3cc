"""Providers that administrators keep: saved, tried, removed, and told to who runs models; their keys stay sealed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fireside.contracts import providers as contract
from fireside.contracts.base import Nothing
from fireside.contracts.explore import SHELF
from fireside.contracts.providers import NODE, RoleChains, SetProvider, key_place
from fireside.core.clock import SystemClock
from fireside.core.errors import ForbiddenError
from fireside.core.identity import service_identity
from fireside.runtime.durable import event_log
from fireside.runtime.metrics import Metrics
from fireside.services.explore.errors import ProviderIsFixedError, ProviderNotFoundError, ProviderRefusedError
from fireside.services.explore.provider_routes import ProviderBody, sealed
from fireside.services.explore.repository import providers as repository
from fireside.services.inference.settings import InferenceSettings
from tests.adapters.upstream import Upstream, running_upstream
from tests.boxes import BOX
from tests.services.explore.conftest import Shop, running_shop
from tests.services.explore.servers import ModelServer
from tests.services.inference.provider_house import inference_service, set_up

KEY = "sk-a-long-secret-1234"


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with running_upstream() as upstream:
        yield set_up(upstream, "hello")


@pytest.fixture
async def shop(tmp_path: Path, server: ModelServer, database_url: str) -> AsyncIterator[Shop]:
    fixed = {"url": "http://127.0.0.1:9", "models": ["m"], "name": "Fixed"}
    settings = InferenceSettings.model_validate({"engine": "off", "servers": [fixed]})
    inference = inference_service(Metrics(), SystemClock(), settings)
    async with running_shop(tmp_path, server, inference, url=database_url) as shop:
        yield shop


def wish(**body: Any) -> SetProvider:
    return sealed(BOX, ProviderBody.model_validate({"name": "One", "kind": "compatible"} | body))


async def save(shop: Shop, **body: Any) -> contract.ProviderView:
    return await shop.admin.call(contract.SET, wish(**body))


@pytest.mark.requirement("I5")
async def test_a_provider_is_saved_with_its_models_and_shown_without_its_key(shop: Shop, upstream: Upstream) -> None:
    saved = await save(shop, urls=[upstream.base_url], key=KEY)

    assert (saved.models, saved.has_key, saved.key_end) == (("big",), True, "1234")
    listed = (await shop.admin.call(contract.LIST, Nothing())).items
    assert [(view.name, view.fixed) for view in listed] == [("Fixed", True), ("One", False)]
    assert KEY not in repr(listed)
    inside = shop.node.context(identity=service_identity("inference"))
    kept = (await inside.call(SHELF, Nothing())).providers[0]
    assert KEY.encode() not in kept.sealed_key
    assert BOX.open(kept.sealed_key, place=key_place("one")).decode() == KEY


async def test_a_key_stays_until_it_is_replaced_and_never_goes_to_another_address(
    shop: Shop, upstream: Upstream
) -> None:
    await save(shop, urls=[upstream.base_url], key=KEY)
    assert (await save(shop, urls=[upstream.base_url], models=["a"])).key_end == "1234"

    with pytest.raises(ProviderRefusedError, match="give its key again"):
        await save(shop, urls=["http://127.0.0.1:9"], models=["a"])
    with pytest.raises(ProviderRefusedError, match="give its key again"):
        await shop.admin.call(contract.TEST, wish(urls=["http://127.0.0.1:9"]))
    assert not (await save(shop, urls=[upstream.base_url], models=["a"], key="")).has_key


async def test_a_provider_without_models_that_cannot_be_asked_is_refused_in_words(shop: Shop) -> None:
    with pytest.raises(ProviderRefusedError, match="cannot be reached"):
        await save(shop, urls=["http://127.0.0.1:9"])
    assert not (await shop.admin.call(contract.TEST, wish(urls=["http://127.0.0.1:9"]))).ok
    with pytest.raises(ProviderRefusedError, match="give its url"):
        await save(shop)
    assert str((await save(shop, kind="groq", models=["a"])).urls[0]).rstrip("/") == "https://api.groq.com/openai"


async def test_what_stands_in_the_settings_is_changed_there(shop: Shop, upstream: Upstream) -> None:
    with pytest.raises(ProviderIsFixedError):
        await save(shop, name="fixed", urls=[upstream.base_url])


@pytest.mark.requirement("S7")
def test_an_address_at_which_clouds_hand_out_secrets_is_refused() -> None:
    with pytest.raises(ValidationError, match="metadata"):
        wish(urls=["http://169.254.169.254"])


async def test_a_removed_provider_is_gone_and_every_change_is_in_the_log(shop: Shop, upstream: Upstream) -> None:
    admin = shop.admin
    await save(shop, urls=[upstream.base_url], key=KEY)
    await admin.call(contract.SET_ROLES, RoleChains(roles={"answer": ("big", "big", "m")}))
    await admin.call(contract.REMOVE, contract.ProviderRef(name="one"))
    with pytest.raises(ProviderNotFoundError):
        await admin.call(contract.REMOVE, contract.ProviderRef(name="one"))

    async with shop.service.database.read() as session:
        entries = await event_log.newest(session, contract.ProviderRemoved(name="One").aggregate_id, limit=10)
    assert [entry.topic for entry in entries] == ["explore.provider.removed", "explore.provider.saved"]
    assert all(KEY not in str(entry.payload) for entry in entries)
    inside = shop.node.context(identity=service_identity("explore"))
    assert [one.name for one in (await inside.call(NODE, Nothing())).health] in (["Fixed"], ["Fixed", "One"])


async def test_a_chain_is_kept_and_an_empty_one_is_taken_away(shop: Shop) -> None:
    admin = shop.admin

    kept = await admin.call(contract.SET_ROLES, RoleChains(roles={"answer": ("a", "b", "a")}))
    assert kept.roles == {"answer": ("a", "b")}
    assert (await admin.call(contract.ROLES, Nothing())) == kept

    await admin.call(contract.SET_ROLES, RoleChains(roles={"answer": ()}))
    assert (await admin.call(contract.ROLES, Nothing())).roles == {}


async def test_a_chain_of_a_role_that_nobody_asks_by_is_not_shown(shop: Shop) -> None:
    stored: Any = {"answer": ("a",), "judge": ("b",)}
    async with shop.service.database.transaction() as unit:
        await repository.put_chains(unit.session, stored)

    assert (await shop.admin.call(contract.ROLES, Nothing())).roles == {"answer": ("a",)}
    inside = shop.node.context(identity=service_identity("inference"))
    assert (await inside.call(SHELF, Nothing())).chains == {"answer": ("a",)}


async def test_users_neither_see_nor_change_providers(shop: Shop) -> None:
    with pytest.raises(ForbiddenError):
        await shop.as_role("user").call(contract.LIST, Nothing())
    with pytest.raises(ForbiddenError):
        await shop.as_role("editor").call(contract.SET, wish(urls=["http://127.0.0.1:9"], models=["a"]))
