"""The HTTP application: every route of the house, the page, and one way to render errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from fireside import __version__
from fireside.services.gateway import anthropic_routes, ollama_routes, openai_routes, probe_routes, responses_routes
from fireside.services.gateway.access import require_declared_access
from fireside.services.gateway.direct import DirectApplication
from fireside.services.gateway.probes import Probes
from fireside.services.gateway.problems import add_problem_handlers

_DESCRIPTION = "Ask an organisation's documents; manage them; or point any OpenAI client at `/v1`."


@dataclass(frozen=True, slots=True)
class Entry:
    """One HTML file of the web page, the addresses that answer with it, and what it may load."""

    file: str
    paths: tuple[str, ...]
    content_security_policy: str


@dataclass(frozen=True, slots=True)
class Page:
    """The web page.

    Attributes:
        folder: Where all its files are.
        entries: The ways into it.
        files: Addresses of what it loads: `/favicon.svg`, or with a slash at the end, all files of that folder.
    """

    folder: Path
    entries: tuple[Entry, ...] = ()
    files: tuple[str, ...] = ()


class _PageFiles(StaticFiles):
    """Files that a browser asks about each time, so that old and new modules never meet after an upgrade."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or that it is unchanged."""
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


def create_app(*, routers: Sequence[APIRouter], probes: Probes, page: Page) -> FastAPI:
    """Put the application together.

    Args:
        routers: The routes of the services.
        probes: Ways to look at this node.
        page: The web page.
    """
    dialects = (openai_routes, responses_routes, anthropic_routes, ollama_routes)
    own = [dialect.routes() for dialect in dialects]
    app = DirectApplication(
        direct=[route for router in own for route in router.routes],
        title="Fireside",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # the page brings its own, because FastAPI's loads scripts from other sites
        redoc_url=None,
        redirect_slashes=False,  # the address of such a redirect would follow the Host header
        dependencies=[Depends(require_declared_access)],
    )
    for router in (*own, *routers, probe_routes.probe_routes(probes), probe_routes.node_routes()):
        app.include_router(router)  # looked through in this order
    add_problem_handlers(app)
    _serve_page(app, page)
    return app


def create_probe_app(probes: Probes) -> FastAPI:
    """The application of a node that takes no requests from outside: whether it lives, is ready, and how it fares."""
    app = FastAPI(title="Fireside node", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(probe_routes.probe_routes(probes))
    return app


def _serve_page(app: FastAPI, page: Page) -> None:
    for entry in page.entries:
        policy = {"content-security-policy": entry.content_security_policy}
        for path in entry.paths:
            _serve_file(app, path, page.folder / entry.file, policy)
    for address in page.files:
        if address.endswith("/"):
            app.mount(address, _PageFiles(directory=page.folder / address.strip("/")))
        else:
            _serve_file(app, address, page.folder / address.strip("/"), {})


def _serve_file(app: FastAPI, address: str, file: Path, headers: Mapping[str, str]) -> None:
    async def show(_: Request) -> Response:
        return FileResponse(file, headers={"cache-control": "no-cache", **headers})

    app.add_route(address, show, methods=["GET", "HEAD"], include_in_schema=False)
