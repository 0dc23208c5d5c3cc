"""A real Fireside started as a process, and the system's Chromium to look at it with.

FIRESIDE_TEST_BASE_URL and FIRESIDE_TEST_SETUP_TOKEN point the tests at a server that runs already, without accounts.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.needs import need_program

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_S = 60.0
SETUP_LINK = re.compile(r"(https?://[^/\s]+)/setup\?token=([A-Za-z0-9._~-]+)")
EMAIL = "ana@example.org"
PASSWORD = "four calm words here"
DOCUMENTS = Path(__file__).parent / "documents"


@dataclass(frozen=True)
class Server:
    """Where the server answers, and the token of its set-up link."""

    base_url: str
    setup_token: str


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without accounts or documents."""
    if given := os.environ.get("FIRESIDE_TEST_BASE_URL"):
        yield Server(given, os.environ["FIRESIDE_TEST_SETUP_TOKEN"])
        return
    with fireside_process(tmp_path_factory.mktemp("home")) as server:
        yield server


@contextlib.contextmanager
def fireside_process(home: Path) -> Iterator[Server]:
    """A Fireside of its own on any free port, with settings from nowhere but the defaults."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FIRESIDE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "fireside", "--data", str(home), "up", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=home,
        env={**environment, "COLUMNS": "200", "FIRESIDE_RESPOND_ANSWER_TOKENS": "160"},
    )
    assert process.stdout is not None
    # read on after the link, so that a full pipe never blocks the server
    rest = threading.Thread(target=process.stdout.read, daemon=True)
    try:
        server = read_setup_link(process)
        rest.start()
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)
        if rest.is_alive():
            rest.join(timeout=30)
        process.stdout.close()


def read_setup_link(process: subprocess.Popen[str]) -> Server:
    """Read what the server prints until the set-up link comes."""
    assert process.stdout is not None
    alarm = threading.Timer(START_S, process.kill)
    alarm.start()
    printed, link = "", None
    for line in process.stdout:
        printed += line
        if link := SETUP_LINK.search(printed):
            break
    alarm.cancel()
    assert link, f"no set-up link within {START_S} s; printed: {printed}"
    return Server(link[1], link[2])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep all tests of the page on one worker, with one server and one browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless Chromium; closed with the last test of the page, because Playwright keeps an event loop running."""
    program = need_program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


class Visitor:
    """Opens pages; what the page complains of on its console fails the test that looks."""

    def __init__(self, browser: Browser, base_url: str) -> None:
        self._browser = browser
        self._base_url = base_url
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    def page(self, *, width: int = 1280, height: int = 800, **options: object) -> Page:
        """A page in a browser context of its own, nobody signed in."""
        context = self._browser.new_context(
            base_url=self._base_url, viewport={"width": width, "height": height}, **options
        )
        context.set_default_timeout(20_000)
        self._contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._note(message.type, message.text))
        return page

    def _note(self, kind: str, text: str) -> None:
        # a refused request is told of by the browser itself, and the page shows it to the person
        if kind in ("error", "warning") and "Failed to load resource" not in text:
            self.complaints.append(text)

    def close(self) -> None:
        """Close every page."""
        for context in self._contexts:
            context.close()


@pytest.fixture
def visitor(browser: Browser, server: Server) -> Iterator[Visitor]:
    """Somebody with a browser; the page must not have complained when the test ends."""
    visitor = Visitor(browser, server.base_url)
    yield visitor
    visitor.close()
    assert visitor.complaints == []


@pytest.fixture(scope="session")
def account(server: Server) -> tuple[str, str]:
    """E-mail and password of the first account: made here, unless the newcomer's journey made it before."""
    fields = {"token": server.setup_token, "email": EMAIL, "password": PASSWORD, "name": "Ana Ortiz"}
    request = urllib.request.Request(
        f"{server.base_url}/api/v1/auth/setup",
        data=json.dumps(fields).encode(),
        headers={"Content-Type": "application/json"},
    )
    # a link that was used is refused: then the account is there, as the next sign-in shows
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request):
        pass
    return EMAIL, PASSWORD


@pytest.fixture
def page(visitor: Visitor, account: tuple[str, str]) -> Page:
    """The page of somebody who has signed in."""
    return sign_in(visitor.page(), account)


def sign_in(page: Page, account: tuple[str, str]) -> Page:
    """Sign in with the form."""
    page.goto("/")
    page.get_by_label("E-mail").fill(account[0])
    page.get_by_label("Password", exact=True).fill(account[1])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Ana").wait_for()
    return page
