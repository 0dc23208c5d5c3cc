"""An administrator says on the page what models cost: with the keyboard alone, wide and on a phone."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from fireside.testing.process import FiresideProcess
from tests.browser.conftest import EMAIL, PASSWORD, Visitor, sign_in
from tests.browser.test_limits import tab_to
from tests.browser.test_trust import serious
from tests.browser.test_usage import configure, guest, house

__all__ = ["guest", "house"]

WORDS = "Write a number from 0 to 1000000000, with a point and without spaces, such as 2.50."


@pytest.fixture
def page(house: FiresideProcess, guest: Visitor, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page of an administrator, without any price."""
    configure(house, FIRESIDE_USAGE_PRICES={})
    page = sign_in(guest.page(width=getattr(request, "param", 1280), height=844), (EMAIL, PASSWORD))
    page.goto("/usage")
    yield page
    configure(house, FIRESIDE_USAGE_PRICES=None)


def field(page: Page, label: str) -> Locator:
    """The field of the form with a label that begins so."""
    return page.get_by_role("form").get_by_label(re.compile(f"^{label}"))


def prices(house: FiresideProcess) -> dict[str, tuple[float, float, float | None]]:
    """The prices that hold, as the configuration has them."""
    found = house.call("GET", "/api/v1/admin/config")["items"]
    (table,) = [item["value"] for item in found if item["name"] == "FIRESIDE_USAGE_PRICES"]

    def number(value: Any) -> float | None:
        return None if value is None else float(value)

    return {
        model: tuple(number(one[name]) for name in ("prompt", "completion", "cached")) for model, one in table.items()
    }


@pytest.mark.requirement("P19", "I15")
@pytest.mark.parametrize("page", [1280, 390], indirect=True, ids=["desktop", "phone"])
def test_a_price_is_made_changed_and_removed_with_the_keyboard_alone(house: FiresideProcess, page: Page) -> None:
    expect(page.get_by_text("No model has a price")).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Add a price"))
    page.keyboard.press("Enter")
    expect(field(page, "Model")).to_be_focused()
    for text in ("scripted", "2.5", "10", "0.075"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Enter")

    listed = page.get_by_role("list", name="Prices of models")
    expect(listed).to_contain_text(
        "scripted $2.50 a million tokens of prompts (cached ones $0.075), $10.00 of answers", use_inner_text=True
    )
    assert prices(house) == {"scripted": (2.5, 10, 0.075)}
    expect(page.get_by_role("button", name="Add a price")).to_be_focused()

    tab_to(page, page.get_by_role("button", name="Change: scripted"))
    page.keyboard.press("Enter")
    expect(field(page, "A million tokens of prompts")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("0")
    tab_to(page, field(page, "A million cached tokens"))
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    expect(listed).to_contain_text("$0.00 a million tokens of prompts, $10.00 of answers")
    assert prices(house) == {"scripted": (0, 10, None)}
    expect(page.get_by_role("button", name="Change: scripted")).to_be_focused()

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    question = page.get_by_role("dialog", name="Remove this price?")
    expect(question).to_contain_text("From now on the model counts as free.")
    tab_to(page, question.get_by_role("button", name="Remove"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("No model has a price")).to_be_visible()
    expect(page.get_by_role("button", name="Add a price")).to_be_focused()
    assert prices(house) == {}


def test_what_is_wrong_with_a_price_stands_at_its_field(house: FiresideProcess, page: Page) -> None:
    page.get_by_role("button", name="Add a price").click()
    page.get_by_role("button", name="Save").click()
    labels = ("Model", "A million tokens of prompts", "A million tokens of answers", "A million cached tokens")
    model, prompt, answer, cached = (field(page, label) for label in labels)
    expect(model).to_be_focused()
    expect(model).to_have_accessible_description("Write the model's name.")
    for wanted in (prompt, answer):
        expect(wanted).to_have_accessible_description(WORDS)
    expect(cached).to_have_accessible_description("")

    model.fill("scripted")
    answer.fill("8")
    for wrong in ("-1", "2,50", "1 000", "dear", "1000000001"):
        prompt.fill(wrong)
        cached.fill(wrong)
        page.get_by_role("button", name="Save").click()
        expect(prompt).to_be_focused()
        expect(prompt).to_have_accessible_description(WORDS)
        expect(cached).to_have_accessible_description(WORDS.replace("1000000000,", "1000000000 or nothing,"))
    assert serious(page) == []
    assert prices(house) == {}


def test_a_second_price_and_a_change_by_somebody_else_are_refused_and_a_model_can_be_renamed(
    house: FiresideProcess, page: Page
) -> None:
    expect(page.get_by_text("No model has a price")).to_be_visible()
    configure(house, FIRESIDE_USAGE_PRICES={"scripted": {"prompt": 1, "completion": 2}})
    page.get_by_role("button", name="Add a price").click()
    field(page, "Model").fill("other")
    field(page, "A million tokens of prompts").fill("3")
    field(page, "A million tokens of answers").fill("4")
    page.get_by_role("button", name="Save").click()
    form = page.get_by_role("form", name="Add a price")
    expect(form.get_by_role("alert")).to_contain_text("Somebody else changed the settings just now.")
    expect(page.get_by_role("list", name="Prices of models")).to_contain_text("$1.00")

    field(page, "Model").fill("scripted")
    page.get_by_role("button", name="Save").click()
    expect(field(page, "Model")).to_have_accessible_description(
        "There is a price of scripted already. Change that one."
    )
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Change: scripted").click()
    field(page, "Model").fill("renamed")
    page.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)
    expect(page.get_by_role("list", name="Prices of models")).to_contain_text("renamed")
    assert prices(house) == {"renamed": (1, 2, None)}
