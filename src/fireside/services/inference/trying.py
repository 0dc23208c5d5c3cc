"""Asking a provider for its models, to find out whether its address and its key are right."""

import asyncio
from collections.abc import Sequence

from fireside.contracts.providers import ProviderTrial, ServedProvider
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError, ModelGoneError, TooManyRequestsError, UnavailableError
from fireside.ports.language_model import LanguageModelServer
from fireside.services.inference.provider_shelf import ProviderShelf, close

_PATIENCE_S = 10.0
_NOT_ALLOWED = frozenset({401, 403})


async def try_provider(shelf: ProviderShelf, provider: ServedProvider, clock: Clock) -> ProviderTrial:
    """Ask every url of a provider for its models; the first problem is told. One of the settings is tried as it is."""
    begun = clock.monotonic()
    fixed = shelf.find_fixed(provider.name)
    try:
        connected = fixed or shelf.make(provider)
    except FiresideError as error:
        return ProviderTrial(ok=False, problem=error.message)
    names: list[str] = []
    problem = ""
    try:
        for url, server in zip(provider.urls, connected.servers, strict=fixed is None):
            found, problem = await _names(server, str(url).rstrip("/"), has_key=bool(provider.sealed_key))
            names += [name.removeprefix("models/") for name in found]
            if problem:
                break
    finally:
        if fixed is None:
            await close(connected)
    models = tuple(dict.fromkeys(names))
    ok = not problem
    if ok and (missing := [name for name in provider.models if name not in models]):
        problem = f"It answers, but does not list {', '.join(missing)}."
    return ProviderTrial(ok=ok, models=models, problem=problem, elapsed_ms=round((clock.monotonic() - begun) * 1000, 1))


async def _names(server: LanguageModelServer, url: str, *, has_key: bool) -> tuple[Sequence[str], str]:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            names = await server.model_names()
    except TimeoutError:
        return (), f"{url} takes the connection, but does not answer within {_PATIENCE_S:g} s."
    except FiresideError as error:
        return (), _words(error, url, has_key=has_key)
    return names, "" if names else f"{url} answers, but has no models."


def _words(error: FiresideError, url: str, *, has_key: bool) -> str:
    status = error.details.get("upstream_status")
    if status in _NOT_ALLOWED:
        return f"{url} refuses the key ({status})." if has_key else f"{url} wants a key ({status})."
    if isinstance(error, ModelGoneError):
        return f"{url} answers, but has no list of models there (404): is the address right? It ends before /v1."
    if isinstance(error, TooManyRequestsError):
        return f"{url} is there, but its rate limit is reached: {error.message}."
    if status is not None and 300 <= status < 400:
        return f"{url} sends elsewhere ({status}); give the address that it sends to."
    if isinstance(error, UnavailableError):
        return f"{url} cannot be reached: {error.message}."
    return f"{url} answers, but not as a provider of this kind does: {error.message}."
