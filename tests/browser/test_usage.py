"""Usage and limits on the page: what is left, what was used, and what a question says for which there is no room."""

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from fireside.testing.process import FiresideProcess, running
from fireside.testing.scripted_model import ScriptedModel
from tests.browser.conftest import EMAIL, PASSWORD, SETUP_LINK, Visitor, sign_in
from tests.journeys.scripted_server import serving

LIMIT = {"scope": "user", "unit": "requests", "window": "month", "amount": 40}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiresideProcess]:
    """A server with a model that costs money, a limit, and Ana as its administrator."""
    with serving(ScriptedModel()) as settings, running(tmp_path_factory.mktemp("usage"), settings) as house:
        link = SETUP_LINK.search(house.log)
        assert link is not None
        fields = {"token": link[2], "email": EMAIL, "password": PASSWORD, "name": "Ana Ortiz"}
        urllib.request.urlopen(
            urllib.request.Request(
                f"{house.url}/api/v1/auth/setup", json.dumps(fields).encode(), {"Content-Type": "application/json"}
            )
        ).close()
        yield house


@pytest.fixture
def guest(browser: Browser, house: FiresideProcess) -> Iterator[Visitor]:
    visitor = Visitor(browser, house.url)
    yield visitor
    visitor.close()
    assert visitor.complaints == []


def configure(house: FiresideProcess, **values: Any) -> None:
    house.call("PATCH", "/api/v1/admin/config", {"values": values})


@pytest.mark.requirement("I15")
@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_what_is_left_and_what_was_used(house: FiresideProcess, guest: Visitor, width: int) -> None:
    prices = {"scripted": {"prompt": 2, "completion": 8}}
    configure(house, FIRESIDE_USAGE_LIMITS=[LIMIT], FIRESIDE_USAGE_PRICES=prices)
    page = sign_in(guest.page(width=width, height=844), (EMAIL, PASSWORD))

    page.get_by_label("Answer from").select_option(label="General")
    page.get_by_label("Your question").fill("Tell me a joke.")
    page.get_by_label("Your question").press("Enter")
    expect(page.locator(".answer").last).to_have_class(re.compile("is-complete"), timeout=30_000)
    if width < 600:
        page.get_by_role("button", name="Open the menu").click()
    page.get_by_role("button", name="Ana Ortiz").click()
    page.get_by_role("menuitem", name="Usage and limits").click()

    expect(page).to_have_url(f"{house.url}/usage")
    left = page.get_by_role("list", name="What is left", exact=True)
    expect(left).to_contain_text("of 40 requests left")
    expect(page.get_by_role("row", name="scripted")).to_contain_text("$0.0")
    page.get_by_role("combobox", name="Of", exact=True).select_option(label="everybody")
    page.get_by_role("combobox", name="by", exact=True).select_option(label="Person")
    expect(page.get_by_role("row", name="Ana Ortiz")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("combobox", name="Of", exact=True).select_option(label="myself")
    expect(left).to_be_visible()


@pytest.mark.requirement("P19")
def test_a_question_without_room_names_the_limit_and_when_it_begins_anew(
    house: FiresideProcess, guest: Visitor
) -> None:
    configure(house, FIRESIDE_USAGE_LIMITS=[LIMIT | {"amount": 0}])
    page = sign_in(guest.page(), (EMAIL, PASSWORD))

    page.get_by_label("Answer from").select_option(label="General")
    page.get_by_label("Your question").fill("Tell me a joke.")
    page.get_by_label("Your question").press("Enter")

    notice = page.get_by_role("note").filter(has_text="No answer")
    expect(notice).to_contain_text("the limit of 0 requests each month for you has no room for this")
    expect(notice).to_contain_text(re.compile(r"begins anew at \d{4}-\d\d-01 00:00 UTC"))
