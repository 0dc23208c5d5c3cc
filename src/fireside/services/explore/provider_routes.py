"""`/api/v1/providers` and `/api/v1/roles-to-models`: servers of models, and who of them answers for what."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, SecretStr

from fireside.contracts import providers as contract
from fireside.contracts.base import Action, Nothing
from fireside.contracts.inference import AnswerStyle, ModelRole
from fireside.contracts.model_addresses import ServerUrl
from fireside.contracts.permissions import route_access
from fireside.contracts.providers import PRESET_URLS, ProviderKind, ProviderLimits, SetProvider, key_place
from fireside.ports.secret_box import SecretBox
from fireside.runtime.context import Context
from fireside.services.explore.errors import ProviderRefusedError

_SHOWN_CHARS = 4
_LEAST_CHARS_TO_SHOW = 12

Word = Annotated[str, Field(min_length=1, max_length=200)]


class ProviderBody(ProviderLimits):
    """A provider. Without `urls` it is where its kind usually is; without `models` it is asked which it has.

    `key`: left out to keep the one there is, empty to have none.
    """

    name: str = Field(pattern=contract.PROVIDER_NAME_PATTERN)
    kind: ProviderKind
    urls: tuple[ServerUrl, ...] = Field(default=(), max_length=20)
    models: tuple[Word, ...] = Field(default=(), max_length=500)
    answer_style: AnswerStyle = "write"
    enabled: bool = True
    key: SecretStr | None = Field(default=None, max_length=4000)


class ChainsBody(BaseModel):
    """The models of each role that is named, the first that can answers; none takes the chain away."""

    roles: dict[ModelRole, Annotated[tuple[Word, ...], Field(max_length=20)]]


def routes(box: SecretBox) -> APIRouter:
    """The routes of providers; the box seals their keys before they go anywhere."""
    routes = APIRouter(prefix="/api/v1", tags=["Providers"])

    async def put_provider(request: Request, body: ProviderBody) -> contract.ProviderView:
        """Make or change a provider; its key is never given back."""
        return await _caller(request).call(contract.SET, sealed(box, body))

    async def test_provider(request: Request, body: ProviderBody) -> contract.ProviderTrial:
        """Ask a provider for its models as it would be saved, and say in words what is wrong."""
        return await _caller(request).call(contract.TEST, sealed(box, body))

    routes.get("/providers", openapi_extra=_access(contract.LIST))(list_providers)
    routes.put("/providers", openapi_extra=_access(contract.SET))(put_provider)
    routes.post("/providers/test", openapi_extra=_access(contract.TEST))(test_provider)
    routes.delete("/providers/{name:path}", status_code=204, openapi_extra=_access(contract.REMOVE))(remove_provider)
    routes.get("/roles-to-models", openapi_extra=_access(contract.ROLES))(show_roles)
    routes.put("/roles-to-models", openapi_extra=_access(contract.SET_ROLES))(put_roles)
    return routes


def _access(action: Action[Any, Any]) -> dict[str, Any]:
    return route_access(action.access)


def _caller(request: Request) -> Context:
    context: Context = request.state.context
    return context


async def list_providers(request: Request) -> contract.Providers:
    """All providers with how they do; those of the settings are fixed."""
    return await _caller(request).call(contract.LIST, Nothing())


async def remove_provider(request: Request, name: Annotated[str, Path(max_length=50)]) -> Response:
    """Remove a provider with its key."""
    await _caller(request).call(contract.REMOVE, contract.ProviderRef(name=name))
    return Response(status_code=204)


async def show_roles(request: Request) -> contract.RoleChains:
    """The models of every role that has a chain."""
    return await _caller(request).call(contract.ROLES, Nothing())


async def put_roles(request: Request, body: ChainsBody) -> contract.RoleChains:
    """Change the chains of the roles that are named; the others stay."""
    return await _caller(request).call(contract.SET_ROLES, contract.RoleChains(roles=body.roles))


def sealed(box: SecretBox, body: ProviderBody) -> SetProvider:
    """What a body asks for, with its key sealed.

    Raises:
        ProviderRefusedError: It has no address, and its kind has no usual one.
    """
    urls = [str(url) for url in body.urls] or [url for url in (PRESET_URLS.get(body.kind),) if url]
    if not urls:
        raise ProviderRefusedError(f"a provider of the kind {body.kind!r} has no usual address: give its url")
    facts = body.model_dump(exclude={"key", "urls"}) | {"urls": urls}
    if body.key is None:
        return SetProvider.model_validate(facts)
    key = body.key.get_secret_value().strip()
    sealed = box.seal(key.encode(), place=key_place(body.name)) if key else b""
    key_end = key[-_SHOWN_CHARS:] if len(key) >= _LEAST_CHARS_TO_SHOW else ""
    return SetProvider.model_validate(facts | {"sealed_key": sealed, "key_end": key_end})
