"""An administrator makes, changes and removes limits on the page: with the keyboard alone, wide and on a phone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from fireside.testing.process import FiresideProcess
from tests.browser.conftest import EMAIL, PASSWORD, Visitor, sign_in
from tests.browser.test_trust import serious
from tests.browser.test_usage import LIMIT, configure, guest, house

__all__ = ["guest", "house"]

VIEWER = {"email": "vic@example.org", "password": "other calm words", "name": "Vic Moss", "role": "viewer"}


@pytest.fixture
def page(house: FiresideProcess, guest: Visitor, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page of an administrator, without any limit."""
    configure(house, FIRESIDE_USAGE_LIMITS=[])
    page = sign_in(guest.page(width=getattr(request, "param", 1280), height=844), (EMAIL, PASSWORD))
    page.goto("/usage")
    yield page
    configure(house, FIRESIDE_USAGE_LIMITS=None)


@pytest.fixture
def viewer(house: FiresideProcess) -> Iterator[str]:
    """The id of somebody else."""
    made = house.call("POST", "/api/v1/admin/users", VIEWER)
    yield made["id"]
    house.call("DELETE", f"/api/v1/admin/users/{made['id']}")


def limits(house: FiresideProcess) -> list[tuple[str, str, str | None, str, str, float]]:
    """The limits that hold, as the configuration has them."""
    found = house.call("GET", "/api/v1/admin/config")["items"]
    (value,) = [item["value"] for item in found if item["name"] == "FIRESIDE_USAGE_LIMITS"]
    names = ("scope", "who", "model", "unit", "window")
    return [(*(one[name] for name in names), float(one["amount"])) for one in value]


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(60):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail("the keyboard does not get there")


@pytest.mark.requirement("P19", "I15")
@pytest.mark.parametrize("page", [1280, 390], indirect=True, ids=["desktop", "phone"])
def test_a_limit_is_made_changed_and_removed_with_the_keyboard_alone(house: FiresideProcess, page: Page) -> None:
    expect(page.get_by_text("There are no limits")).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Add a limit"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("Whose usage")).to_be_focused()
    page.keyboard.type("Each user with")
    tab_to(page, page.get_by_role("combobox", name="Role", exact=True))
    page.keyboard.type("viewer")
    tab_to(page, page.get_by_label("How much"))
    page.keyboard.type("1500")
    page.keyboard.press("Tab")
    page.keyboard.type("requests")
    page.keyboard.press("Tab")
    page.keyboard.type("month")
    page.keyboard.press("Tab")
    page.keyboard.type("scripted")
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Enter")

    everybody = page.get_by_role("list", name="Limits of everybody")
    expect(everybody).to_contain_text("1,500 requests each month with scripted for each user with the role viewer")
    assert limits(house) == [("member", "viewer", "scripted", "requests", "month", 1500)]
    expect(page.get_by_role("button", name="Add a limit")).to_be_focused()

    change = page.get_by_role("button", name="Change: 1,500 requests")
    tab_to(page, change)
    page.keyboard.press("Enter")
    expect(page.get_by_label("How much")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("20")
    page.keyboard.press("Enter")
    expect(everybody).to_contain_text("20 requests each month with scripted")
    assert limits(house) == [("member", "viewer", "scripted", "requests", "month", 20)]
    expect(page.get_by_role("button", name="Change: 20 requests")).to_be_focused()

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    question = page.get_by_role("dialog", name="Remove this limit?")
    expect(question).to_contain_text("20 requests each month with scripted for each user with the role viewer.")
    tab_to(page, question.get_by_role("button", name="Remove"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("There are no limits")).to_be_visible()
    expect(page.get_by_role("button", name="Add a limit")).to_be_focused()
    assert limits(house) == []


def test_what_is_wrong_stands_at_its_field_and_says_what_to_do(house: FiresideProcess, page: Page) -> None:
    page.get_by_role("button", name="Add a limit").click()
    page.get_by_label("Whose usage").select_option(label="One user")
    page.get_by_role("button", name="Save").click()
    who, amount = page.get_by_label("E-mail address or id"), page.get_by_label("How much")
    expect(who).to_be_focused()
    expect(who).to_have_accessible_description("Write the user's e-mail address.")
    expect(amount).to_have_accessible_description(
        "Write a number from 0 to 1000000000000, without spaces; 0 allows nothing."
    )

    who.fill("nobody@example.org")
    for wrong, said in (("-1", "Write a number from 0"), ("1.5", "Write a whole number of tokens.")):
        amount.fill(wrong)
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#limit-amount-problem")).to_contain_text(said)
    amount.fill("10")
    page.get_by_role("button", name="Save").click()
    expect(who).to_have_accessible_description(
        "No user has the address nobody@example.org. Choose one that is suggested while you write."
    )
    assert serious(page) == []
    assert limits(house) == []


def test_a_limit_for_one_user_is_made_by_address_and_shows_the_name(
    house: FiresideProcess, page: Page, viewer: str
) -> None:
    page.get_by_role("button", name="Add a limit").click()
    page.get_by_label("Whose usage").select_option(label="One user")
    page.get_by_label("E-mail address or id").press_sequentially("vic")
    expect(page.locator("#limit-people option[value='vic@example.org']")).to_be_attached()
    page.get_by_label("E-mail address or id").fill("Vic@example.org")
    page.get_by_label("How much").fill("2.5")
    page.get_by_label("Of what").select_option(value="cost")
    page.get_by_role("button", name="Save").click()

    everybody = page.get_by_role("list", name="Limits of everybody")
    expect(everybody).to_contain_text("$2.50 each day for Vic Moss")
    assert limits(house) == [("user", viewer, None, "cost", "day", 2.5)]
    page.get_by_role("button", name="Change: $2.50").click()
    expect(page.get_by_label("E-mail address or id")).to_have_value("vic@example.org")


def test_a_second_limit_of_the_same_kind_and_a_change_by_somebody_else_are_refused(
    house: FiresideProcess, page: Page
) -> None:
    page.get_by_role("button", name="Add a limit").click()
    page.get_by_label("How much").fill("10")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("list", name="Limits of everybody")).to_contain_text("10 tokens each day for each user")

    page.get_by_role("button", name="Add a limit").click()
    page.get_by_label("How much").fill("20")
    page.get_by_role("button", name="Save").click()
    form = page.get_by_role("form", name="Add a limit")
    expect(form.get_by_role("alert")).to_have_text(
        "There is a limit of tokens each day for each user already. Change that one."
    )

    configure(house, FIRESIDE_USAGE_LIMITS=[LIMIT])
    page.get_by_label("In each").select_option(value="hour")
    page.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("Somebody else changed the settings just now.")
    expect(page.get_by_role("list", name="Limits of everybody")).to_contain_text("40 requests each month")
    page.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)
    assert [one[3:] for one in limits(house)] == [("requests", "month", 40), ("tokens", "hour", 20)]


def test_who_may_not_change_settings_sees_only_their_own(
    house: FiresideProcess, guest: Visitor, page: Page, viewer: str
) -> None:
    configure(house, FIRESIDE_USAGE_LIMITS=[LIMIT])
    theirs = guest.page()
    theirs.goto("/")
    theirs.get_by_label("E-mail").fill(VIEWER["email"])
    theirs.get_by_label("Password", exact=True).fill(VIEWER["password"])
    theirs.get_by_role("button", name="Sign in").click()
    theirs.get_by_role("heading", name="Vic").wait_for()
    theirs.goto("/usage")

    expect(theirs.get_by_role("list", name="What is left", exact=True)).to_contain_text("of 40 requests left")
    for heading in ("Limits of everybody", "Prices of models"):
        expect(theirs.get_by_role("heading", name=heading)).to_have_count(0)
