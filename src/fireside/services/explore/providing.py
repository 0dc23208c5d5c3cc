"""The providers that administrators manage, and the models of roles: showing them, and changing them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from fireside.contracts import providers as contract
from fireside.contracts.base import Nothing
from fireside.contracts.explore import ModelsChanged, Shelf
from fireside.contracts.inference import ModelRole
from fireside.contracts.providers import (
    NodeProviders,
    ProviderFacts,
    ProviderHealth,
    ProviderRemoved,
    ProviderSaved,
    ProviderState,
    ProviderTrial,
    ProviderView,
    RoleChains,
    RoleChainsChanged,
    ServedProvider,
    SetProvider,
)
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.core.identity import service_identity
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.services.explore.errors import ProviderIsFixedError, ProviderNotFoundError, ProviderRefusedError
from fireside.services.explore.repository import providers as repository
from fireside.services.explore.repository.providers import StoredProvider

_FACTS = tuple(ProviderFacts.model_fields)
_FROM_BEST_TO_WORST: tuple[ProviderState, ...] = get_args(ProviderState)


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
        """All providers, with how every node finds them."""
        async with self.database.read() as session:
            stored = await repository.all_providers(session)
        told, silent = await _from_nodes(context)
        health = [one for node in told for one in node.health]
        shown = (*_fixed(told), *(_view(one) for one in stored))
        return contract.Providers(
            items=tuple(_with_health(view, health) for view in sorted(shown, key=lambda view: view.name.lower())),
            silent=silent,
        )

    async def save(self, context: Context, wish: SetProvider) -> ProviderView:
        """Make or change a provider; without models it gets those that it lists.

        Raises:
            ProviderIsFixedError: One of the settings has this name.
            ProviderRefusedError: It has to be asked for its models, and something is wrong.
        """
        told, _ = await _from_nodes(context)
        if any(view.name.lower() == wish.name.lower() for view in _fixed(told)):
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


async def _from_nodes(context: Context) -> tuple[list[NodeProviders], tuple[str, ...]]:
    """What the nodes that ask providers tell of them, and who does not tell; what is kept is shown without them."""
    found = await context.with_identity(service_identity("explore")).call_each(contract.NODE, Nothing())
    told = {node_id: node for node_id, node in found.items() if not isinstance(node, FiresideError)}
    return list(told.values()), tuple(node_id for node_id in found if node_id not in told)


def _fixed(nodes: Sequence[NodeProviders]) -> list[ProviderView]:
    """The providers of the settings: each once, as the first node has it that knows it."""
    found = dict[str, ProviderView]()
    for view in (view for node in nodes for view in node.fixed):
        found.setdefault(view.name.lower(), view)
    return list(found.values())


def _with_health(view: ProviderView, health: Sequence[ProviderHealth]) -> ProviderView:
    own = tuple(one for one in health if one.name == view.name)
    state = max((one.state for one in own), key=_FROM_BEST_TO_WORST.index, default=None)
    return view.model_copy(update={"health": own, "state": state})


async def _try(context: Context, provider: StoredProvider) -> ProviderTrial:
    asking = context.with_identity(service_identity("explore"))
    return await asking.call(contract.TRY, _served(provider))


def _served(provider: StoredProvider) -> ServedProvider:
    return ServedProvider(**_facts_of(provider), sealed_key=provider.sealed_key)


def _view(provider: StoredProvider) -> ProviderView:
    return ProviderView(**_facts_of(provider), has_key=bool(provider.sealed_key), key_end=provider.key_end)


def _facts_of(provider: StoredProvider) -> dict[str, Any]:
    return {name: getattr(provider.facts, name) for name in _FACTS}
