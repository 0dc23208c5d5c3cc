"""The server: the house behind its HTTP application, until someone stops it."""

import asyncio
import contextlib
import importlib.util
import json
import logging
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from fireside import web
from fireside.adapters.rate_windows.memory import MemoryRateWindows
from fireside.bootstrap.data_folder import held_by_this_process
from fireside.bootstrap.databases import SERVICES_WITH_DATABASES, SERVICES_WITH_JOBS
from fireside.bootstrap.environment import read_settings
from fireside.bootstrap.house import open_house
from fireside.bootstrap.http_server import HttpServer, listen
from fireside.bootstrap.parts import Parts, make_parts
from fireside.bootstrap.routers import make_routers, web_page
from fireside.bootstrap.services import is_hosted
from fireside.bootstrap.settings import Settings
from fireside.runtime.caching import telling_users
from fireside.runtime.logging import LoggingSettings, configure_logging, set_level
from fireside.runtime.mesh import Node
from fireside.services.gateway import dead_letter_routes, job_routes
from fireside.services.gateway.app import create_app, create_probe_app
from fireside.services.gateway.guard import Guard
from fireside.services.gateway.identities import Authenticator
from fireside.services.gateway.probes import Probes
from fireside.services.gateway.settings import GatewaySettings

SERVER_FILE = "server.json"
_SOME_GATEWAY = "http://ADDRESS-OF-A-GATEWAY"


def run_server(settings: Settings, *, only: Sequence[str] | None = None, announce: Callable[[str], None]) -> None:
    """Serve on the quickest event loop there is until the process is told to stop. See `serve`."""
    with asyncio.Runner(loop_factory=new_event_loop()) as runner, contextlib.suppress(KeyboardInterrupt):
        runner.run(serve(settings, only=only, announce=announce))


def new_event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop's where it is installed, which is everywhere but on Windows; None for Python's own."""
    return importlib.import_module("uvloop").new_event_loop if importlib.util.find_spec("uvloop") else None


async def serve(settings: Settings, *, only: Sequence[str] | None = None, announce: Callable[[str], None]) -> None:
    """Serve until the process is told to stop.

    Args:
        settings: Of the process.
        only: Names of the services to host; None hosts all.
        announce: Shows a line to whoever started the process.

    Raises:
        SettingsError: A setting is wrong, the port is taken, or the data folder is in use or cannot be used.
        UnavailableError: A database cannot be used.
    """
    configure_logging(_logging_settings())
    logging.getLogger("alembic").setLevel(logging.WARNING)
    links = list[str]()
    parts = make_parts(settings, announce_setup=links.append)
    parts.book.listen(LoggingSettings, set_level)
    held = held_by_this_process(settings.folder, settings.node_id)
    with held, listen(settings.host, settings.port) as listening:
        url = _url(settings.host, listening.getsockname()[1])
        async with open_house(parts, only=only) as node:
            is_front = is_hosted("gateway", only)
            config = uvicorn.Config(
                make_application(node, parts) if is_front else create_probe_app(_probes(node, parts)),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="websockets-sansio",
                server_header=False,
                proxy_headers=False,  # the guard decides which proxies are believed
                timeout_graceful_shutdown=round(node.settings.stop_timeout_s),
            )
            known = _known_to_the_command_line(settings.folder, url) if is_front else contextlib.nullcontext()
            front, shown = (url, url) if is_front else (_SOME_GATEWAY, f"{url}/health/ready (node {node.node_id})")
            with known:
                await HttpServer(config, lambda: _welcome(shown, front, links, announce)).serve(sockets=[listening])


def _logging_settings() -> LoggingSettings:
    """As configured; where nothing is said, people at a terminal get lines to read and programs get JSON."""
    settings = read_settings(LoggingSettings)
    unsaid = "format" not in settings.model_fields_set and sys.stderr.isatty()
    return settings.model_copy(update={"format": "console"}) if unsaid else settings


def make_application(node: Node, parts: Parts) -> ASGIApp:
    """The whole HTTP application of a node, guarded."""
    settings = parts.book.of(GatewaySettings)
    authenticator = Authenticator(clock=parts.clock, remember_s=lambda: settings.remember_identity_s)
    parts.forget.append(authenticator.forget)
    parts.cache.listen(telling_users(authenticator.forget))
    app = create_app(
        routers=[
            *make_routers(parts.book, parts.box),
            job_routes.routes(SERVICES_WITH_JOBS),
            dead_letter_routes.routes(SERVICES_WITH_DATABASES),
        ],
        probes=_probes(node, parts),
        page=web_page(),
    )
    guard = Guard(
        authenticator=authenticator,
        make_context=node.context,
        settings=settings,
        windows=parts.windows or MemoryRateWindows(parts.clock),
        metrics=parts.metrics,
        page_files=web.FILES,
        allowances=parts.meter,
    )
    return guard.around(app)


def _probes(node: Node, parts: Parts) -> Probes:
    return Probes(health=node.health, metrics=parts.metrics.render)


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - shown
    return f"http://{shown}:{port}"


@contextlib.contextmanager
def _known_to_the_command_line(folder: Path, url: str) -> Generator[None]:
    file = folder / SERVER_FILE
    file.write_text(json.dumps({"url": url}))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _welcome(url: str, front: str, setup_tokens: Sequence[str], announce: Callable[[str], None]) -> None:
    """Say that it serves, and where whoever came first makes an account: on a node that has the page."""
    announce(f"Fireside is ready: {url}")
    for token in setup_tokens:
        announce(f"Nobody has an account yet. Make yours with this link, once: {front}/setup?token={token}")
