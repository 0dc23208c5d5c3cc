"""Providers of models in the browser: adding one with a key, trying it, and who answers, ordered by the keyboard."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visitor, sign_in
from tests.browser.test_trust import serious
from tests.cli.test_providers import url

__all__ = ["url"]


@pytest.mark.requirement("I5")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_provider_is_added_tried_put_in_order_and_removed(
    visitor: Visitor, account: tuple[str, str], url: str, width: int
) -> None:
    page = sign_in(visitor.page(width=width), account)
    page.goto("/providers")
    page.get_by_role("button", name="Add a provider").click()
    page.get_by_label("Kind").select_option("vllm")
    page.get_by_label("Name").fill("gpu-room")
    page.get_by_label("Address").fill("http://127.0.0.1:9")
    page.locator("[name=key]").fill("sk-a-long-secret-9876")
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("cannot be reached")).to_be_visible()
    page.get_by_label("Address").fill(url)
    page.get_by_role("button", name="Save").click()
    card = page.locator(".provider-card", has_text="gpu-room")
    expect(card).to_contain_text("…9876")
    assert "sk-a-long-secret" not in page.content()

    card.get_by_role("button", name="Test").click()
    expect(card).to_contain_text("with 1 model.")
    chain = page.locator(".role-chain", has_text="Answers")
    for count in (1, 2):
        chain.get_by_label("Add a model for Answers").select_option(index=1)
        expect(chain.locator(".chain-name")).to_have_count(count)
    before = chain.locator(".chain-name").all_inner_texts()
    chain.get_by_role("button", name=f"Take {before[0]} out").press("Alt+ArrowDown")
    expect(chain.locator(".chain-name")).to_have_text(before[::-1])
    chain.get_by_role("button", name=f"Move {before[0]} up").click()
    expect(chain.locator(".chain-name")).to_have_text(before)
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    _tidy(page, before)


def health(node_id: str, **facts: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "wait_s": None,
        "resting": {},
        "left_alone": [],
        "first_word_ms": None,
        "tokens_per_s": None,
        "last_error_at": None,
    }
    counts = {"running": 0, "answers": 0, "failures": 0, "last_error": ""}
    return {"name": "gpu-room", "node_id": node_id, "state": "closed"} | nothing | counts | facts


@pytest.mark.requirement("I5")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_provider_has_one_row_with_its_worst_state_and_beneath_it_what_each_node_finds(
    visitor: Visitor, account: tuple[str, str], width: int
) -> None:
    well = health("a-node-with-quite-a-long-name-in-the-cellar", answers=12, running=2, first_word_ms=81.0)
    bad = health("attic", state="open", answers=3, failures=4, wait_s=6.0, last_error="it refuses the key (401)")
    facts = {"name": "gpu-room", "kind": "vllm", "urls": ["http://10.0.0.7:8000"], "models": ["big"]}
    shown = {"enabled": True, "fixed": False, "has_key": False, "key_end": "", "health": [well, bad], "state": "open"}
    told: dict[str, Any] = {"items": [facts | shown], "silent": ["barn"]}

    def answer(route: Route) -> None:
        route.fulfill(content_type="application/json", body=json.dumps(told))

    page = sign_in(visitor.page(width=width), account)
    page.route("**/api/v1/providers", answer)
    page.goto("/providers")

    card = page.locator(".provider-card")
    expect(card.locator(".provider-state").first).to_have_text("Left alone")
    expect(card.locator(".provider-figures").first).to_contain_text("Answers15Failures4Running2")
    nodes = card.locator(".provider-nodes li")
    expect(nodes).to_have_count(2)
    expect(nodes.first).to_contain_text("Well")
    expect(nodes.last).to_contain_text("it refuses the key (401)")
    expect(page.get_by_text("No answer from barn")).to_be_visible()
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    told["items"][0]["health"] = [well]
    page.reload()
    expect(card).to_be_visible()
    expect(card.locator(".provider-nodes")).to_have_count(0)


def _tidy(page: Page, chain: list[str]) -> None:
    for name in chain:
        page.get_by_role("button", name=f"Take {name} out").click()
        expect(page.get_by_role("button", name=f"Take {name} out")).to_have_count(0)
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.locator(".provider-card")).to_have_count(0)
