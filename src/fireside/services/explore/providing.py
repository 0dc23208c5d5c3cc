"""The providers that administrators manage, and the models of roles: showing them, and changing them."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from fireside.contracts import providers as contract
from fireside.contracts.base import Nothing
from fireside.contracts.explore import ModelsChanged, Shelf
from fireside.contracts.inference import ModelRole
from fireside.contracts.providers import (
    NodeProviders,
    ProviderFacts,
    ProviderRemoved,
    ProviderSaved,
    ProviderTrial,
    ProviderView,
    RoleChains,
    RoleChainsChanged,
    ServedProvider,
    SetProvider,
)
from fireside.core.clock import Clock
from fireside.core.errors import UnavailableError
from fireside.core.identity import service_identity
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.services.explore.errors import ProviderIsFixedError, ProviderNotFoundError, ProviderRefusedError
from fireside.services.explore.repository import providers as repository
from fireside.services.explore.repository.providers import StoredProvider

_FACTS = tuple(ProviderFacts.model_fields)


@dataclass(frozen=True)
class Providing:
    """Reads and writes providers."""

    database: Database
    clock: Clock

    async def onto(self, shelf: Shelf) -> Shelf:
        """The shelf with what is kept here."""
        async with self.database.read() as session:
            stored, chains = await repository.all_providers(session), await repository.all_chains(session)
        return shelf.model_copy(update={"providers": tuple(_served(one) for one in stored), "chains": chains})

    async def views(self, context: Context) -> contract.Providers:
        """All providers, with how one node finds them."""
        async with self.database.read() as session:
            stored = await repository.all_providers(session)
        found = await _from_node(context)
        kept = [_view(one) for one in stored]
        shown = sorted((*found.fixed, *kept), key=lambda view: view.name.lower())
        health = {view.name: tuple(one for one in found.health if one.name == view.name) for view in shown}
        return contract.Providers(items=tuple(view.model_copy(update={"health": health[view.name]}) for view in shown))

    async def save(self, context: Context, wish: SetProvider) -> ProviderView:
        """Make or change a provider; without models it gets those that it lists.

        Raises:
            ProviderIsFixedError: One of the settings has this name.
            ProviderRefusedError: It has to be asked for its models, and something is wrong.
        """
        if any(view.name.lower() == wish.name.lower() for view in (await _from_node(context)).fixed):
            raise ProviderIsFixedError(f"{wish.name!r} stands in FIRESIDE_INFERENCE_SERVERS: change it there")
        provider = await self._meant(wish)
        if not provider.facts.models:
            trial = await _try(context, provider)
            if not trial.ok:
                raise ProviderRefusedError(f"{trial.problem} Name its models, or repair that first.")
            provider = replace(provider, facts=provider.facts.model_copy(update={"models": trial.models[:500]}))
        async with self.database.transaction(context) as unit:
            provider = _with_key(provider.facts, wish, await repository.find_provider(unit.session, wish.name))
            await repository.put_provider(unit.session, provider, now=self.clock.now())
            facts = provider.facts
            unit.emit(
                ProviderSaved(
                    name=facts.name,
                    kind=facts.kind,
                    urls=tuple(str(url) for url in facts.urls),
                    models=facts.models,
                    enabled=facts.enabled,
                    key_changed=wish.sealed_key is not None,
                    by=context.identity.user_id,
                )
            )
        await context.broadcast(ModelsChanged())
        return _view(provider)

    async def remove(self, context: Context, name: str) -> None:
        """Remove a provider with its key.

        Raises:
            ProviderNotFoundError: There is none of that name.
        """
        async with self.database.transaction(context) as unit:
            there = await repository.find_provider(unit.session, name)
            if there is None:
                raise ProviderNotFoundError(f"no provider {name!r} is kept here", provider=name)
            await repository.drop_provider(unit.session, name)
            unit.emit(ProviderRemoved(name=there.facts.name, by=context.identity.user_id))
        await context.broadcast(ModelsChanged())

    async def test(self, context: Context, wish: SetProvider) -> ProviderTrial:
        """Ask a provider for its models as it would be saved; nothing is saved."""
        return await _try(context, await self._meant(wish))

    async def roles(self) -> RoleChains:
        """The models of every role that has some."""
        async with self.database.read() as session:
            return RoleChains(roles=await repository.all_chains(session))

    async def set_roles(self, context: Context, wish: RoleChains) -> RoleChains:
        """Change the models of the roles that are named."""
        roles: dict[ModelRole, tuple[str, ...]] = {
            role: tuple(dict.fromkeys(names)) for role, names in wish.roles.items()
        }
        async with self.database.transaction(context) as unit:
            await repository.put_chains(unit.session, roles)
            told = {str(role): names for role, names in roles.items()}
            unit.emit(RoleChainsChanged(roles=told, by=context.identity.user_id))
        await context.broadcast(ModelsChanged())
        return await self.roles()

    async def _meant(self, wish: SetProvider) -> StoredProvider:
        """What is to be saved, with the key that is kept when none was given.

        Raises:
            ProviderRefusedError: That key would go to another address than it was given for.
        """
        facts = ProviderFacts.model_validate({name: getattr(wish, name) for name in _FACTS})
        async with self.database.read() as session:
            kept = {one.facts.name.lower(): one for one in await repository.all_providers(session)}
        return _with_key(facts, wish, kept.get(wish.name.lower()))


def _with_key(facts: ProviderFacts, wish: SetProvider, before: StoredProvider | None) -> StoredProvider:
    if wish.sealed_key is not None:
        return StoredProvider(facts, wish.sealed_key, wish.key_end)
    if before is None or not before.sealed_key:
        return StoredProvider(facts)
    if not set(facts.urls) <= set(before.facts.urls):
        raise ProviderRefusedError(f"the address of {facts.name!r} is another: give its key again")
    return StoredProvider(facts, before.sealed_key, before.key_end)


async def _from_node(context: Context) -> NodeProviders:
    with suppress(UnavailableError):  # what is kept can be shown and changed without
        asking = context.with_identity(service_identity("explore"))
        return await asking.call(contract.NODE, Nothing())
    return NodeProviders()


async def _try(context: Context, provider: StoredProvider) -> ProviderTrial:
    asking = context.with_identity(service_identity("explore"))
    return await asking.call(contract.TRY, _served(provider))


def _served(provider: StoredProvider) -> ServedProvider:
    return ServedProvider(**_facts_of(provider), sealed_key=provider.sealed_key)


def _view(provider: StoredProvider) -> ProviderView:
    return ProviderView(**_facts_of(provider), has_key=bool(provider.sealed_key), key_end=provider.key_end)


def _facts_of(provider: StoredProvider) -> dict[str, Any]:
    return {name: getattr(provider.facts, name) for name in _FACTS}
