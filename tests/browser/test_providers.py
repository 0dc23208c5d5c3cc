"""Providers of models in the browser: adding one with a key, trying it, and who answers, ordered by the keyboard."""

import pytest
from playwright.sync_api import Page, expect

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


def _tidy(page: Page, chain: list[str]) -> None:
    for name in chain:
        page.get_by_role("button", name=f"Take {name} out").click()
        expect(page.get_by_role("button", name=f"Take {name} out")).to_have_count(0)
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.locator(".provider-card")).to_have_count(0)
