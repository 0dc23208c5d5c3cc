"""Makes the pictures in docs/images: `python -m tests.browser.screenshots [FOLDER OF DOCUMENTS] [QUESTION]`.

Starts a Fireside with an empty data folder, goes the newcomer's way in Chromium, and looks at it in light and dark,
on a wide screen and on a phone.
"""

import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import (
    CHROMIUM_ARGUMENTS,
    DOCUMENTS,
    EMAIL,
    PASSWORD,
    Server,
    fireside_process,
    sign_in,
)
from tests.browser.test_journey import QUESTION, ask, finished
from tests.needs import need_program

IMAGES = Path(__file__).parents[2] / "docs/images"
LOOKS: list[tuple[Literal["light", "dark"], int, int]] = [
    ("light", 1280, 800),
    ("dark", 1280, 800),
    ("light", 390, 844),
    ("dark", 390, 844),
]


def main(folder: Path, question: str) -> None:
    """Write every picture; a later run replaces them."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, fireside_process(Path(home)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need_program("chromium"), args=CHROMIUM_ARGUMENTS)
        first = browser.new_page(base_url=server.base_url, viewport={"width": 1280, "height": 800})
        set_up(first, server)
        add_documents(first, folder)
        for scheme, width, height in LOOKS:
            phone = width < 500
            page = browser.new_page(
                base_url=server.base_url,
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                is_mobile=phone,
                has_touch=phone,
            )
            look_around(page, question, name="phone" if phone else "wide", scheme=scheme)
        browser.close()


def set_up(page: Page, server: Server) -> None:
    """Make the first account with the set-up link."""
    page.goto(f"/setup?token={server.setup_token}")
    page.get_by_label("Your name").fill("Ana Ortiz")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    save(page, "set-up")
    page.get_by_role("button", name="Create account and begin").click()
    page.get_by_text("Drop a folder").wait_for()
    save(page, "first-steps")


def add_documents(page: Page, folder: Path) -> None:
    """Choose a folder, and wait until all of it is read."""
    page.locator("[data-upload=folder]").first.set_input_files(folder)
    page.locator(".uploads").wait_for()
    save(page, "uploading")
    page.get_by_text("You can ask about them now.").wait_for(timeout=600_000)


def look_around(page: Page, question: str, *, name: str, scheme: str) -> None:
    """Sign in, ask, and take pictures of the answer, a cited passage and the documents."""
    page.goto("/")
    page.get_by_label("E-mail").wait_for()
    save(page, f"sign-in-{name}-{scheme}")
    sign_in(page, (EMAIL, PASSWORD))
    ask(page, question)
    finished(page)
    save(page, f"answer-{name}-{scheme}")
    page.locator(".answer-text .cite").first.click()
    page.locator(".document-text mark").first.wait_for()
    save(page, f"passage-{name}-{scheme}")
    page.goto("/documents")
    page.locator(".document-line").first.wait_for()
    save(page, f"documents-{name}-{scheme}")
    page.close()


def save(page: Page, name: str) -> None:
    """Take one picture, moving parts at rest."""
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENTS, sys.argv[2] if len(sys.argv) > 2 else QUESTION)
