"""What people do on the page, in a real browser: from the set-up link to a citation, by mouse, keys, touch."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DOCUMENTS, EMAIL, PASSWORD, Server, Visitor, sign_in

QUESTION = "What is the daily allowance for meals in Norway?"
LONG_QUESTION = "Write a long story about a lighthouse keeper, in many paragraphs."

DROP = """async (files) => {
  const transfer = new DataTransfer();
  for (const { name, text } of files) transfer.items.add(new File([text], name));
  for (const type of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer }));
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
}"""


def drop_documents(page: Page) -> None:
    """Drop all documents on the page, and wait until they are read."""
    files = [{"name": path.name, "text": path.read_text()} for path in sorted(DOCUMENTS.rglob("*.md"))]
    page.evaluate(DROP, files)
    page.get_by_text(f"{len(files)} documents ready").wait_for(timeout=60_000)


@pytest.fixture
def page_with_documents(page: Page) -> Page:
    """Somebody signed in, with documents to ask; they are added once a server."""
    page.goto("/documents")
    page.get_by_text("No documents yet").or_(page.locator(".document-line").first).wait_for()
    if page.get_by_text("No documents yet").is_visible():
        drop_documents(page)
    page.goto("/")
    page.get_by_role("heading", name="Ana").wait_for()
    return page


def ask(page: Page, question: str, *, answer_from: str = "Documents only") -> None:
    page.get_by_label("Answer from").select_option(label=answer_from)
    page.get_by_label("Your question").fill(question)
    page.get_by_label("Your question").press("Enter")


def finished(page: Page) -> None:
    expect(page.locator(".answer").last).to_have_class(re.compile("is-complete"), timeout=150_000)


class TestFirstMinutes:
    """These come first: the set-up link works once for the whole session."""

    def test_a_newcomer_goes_from_the_set_up_link_to_a_highlighted_passage(
        self, visitor: Visitor, server: Server
    ) -> None:
        page = visitor.page()
        page.goto(f"/setup?token={server.setup_token}")
        page.get_by_label("Your name").fill("Ana Ortiz")
        page.get_by_label("E-mail").fill(EMAIL)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Create account and begin").click()
        expect(page.get_by_text("Drop a folder of documents anywhere on this page")).to_be_visible()
        drop_documents(page)

        ask(page, QUESTION)
        expect(page.locator(".answer .cite").first).to_be_visible(timeout=60_000)
        finished(page)
        page.locator(".answer-text .cite").first.click()

        expect(page.locator(".document-text mark.passage").first).to_be_visible()
        expect(page.locator(".document-text mark", has_text="640 kroner").first).to_be_in_viewport()
        assert "640 kroner" in " ".join(page.locator(".document-text mark").all_inner_texts())
        expect(page.locator(".viewer h2").first).to_have_text("Per diem")

    def test_the_set_up_link_works_only_once(self, visitor: Visitor, server: Server, account: tuple[str, str]) -> None:
        page = visitor.page()
        page.goto(f"/setup?token={server.setup_token}")
        page.get_by_label("Your name").fill("Mallory")
        page.get_by_label("E-mail").fill("mallory@example.org")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Create account and begin").click()

        expect(page.get_by_role("alert")).not_to_be_empty()
        expect(page.locator(".home")).to_have_count(0)


def test_a_wrong_password_is_refused_in_words_and_the_right_one_enters(
    visitor: Visitor, account: tuple[str, str]
) -> None:
    page = visitor.page()
    page.goto("/documents")
    page.get_by_label("E-mail").fill(account[0])
    page.get_by_label("Password", exact=True).fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text(re.compile("password", re.IGNORECASE))
    expect(page.get_by_role("alert")).not_to_contain_text("{")

    page.get_by_label("Password", exact=True).fill(account[1])
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", name="Documents")).to_be_visible()


def test_a_reload_keeps_the_session_and_no_token_is_stored_where_scripts_can_read(page: Page) -> None:
    page.reload()

    expect(page.get_by_role("heading", name="Ana")).to_be_visible()
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "eyJ" not in stored
    assert "token" not in stored.lower()


def test_signing_out_ends_the_session(page: Page) -> None:
    page.locator(".person-button").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()

    page.reload()

    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_an_answer_shows_steps_then_one_line_with_sources_and_confidence(page_with_documents: Page) -> None:
    page = page_with_documents
    ask(page, QUESTION)
    finished(page)

    line = page.locator("button.steps-line")
    expect(line).to_have_attribute("aria-expanded", "false")
    line.click()
    expect(page.locator(".step.is-done").first).to_be_visible()
    expect(page.locator(".source-card").first).to_be_visible()
    page.locator("button.confidence").click()
    expect(page.locator(".confidence-reasons li").first).to_be_visible()


def test_a_question_that_the_documents_do_not_answer_says_so(page_with_documents: Page) -> None:
    page = page_with_documents
    ask(page, "Which unknown colour did Napoleon's favourite submarine have?")
    finished(page)

    expect(page.locator(".notice.is-unsupported")).to_contain_text("Not in the documents")
    expect(page.locator(".confidence")).to_contain_text("Low")


def test_a_running_answer_stops_and_keeps_what_it_has(page_with_documents: Page) -> None:
    page = page_with_documents
    ask(page, LONG_QUESTION, answer_from="General")
    expect(page.locator(".answer-text .block").first).to_be_visible(timeout=60_000)
    page.keyboard.press("Escape")

    expect(page.get_by_text("You stopped this answer.")).to_be_visible()
    text = page.locator(".answer-text").inner_text()
    assert text.strip()
    page.reload()
    expect(page.get_by_text("You stopped this answer.")).to_be_visible()


def test_regenerating_adds_a_branch_and_both_can_be_read(page_with_documents: Page) -> None:
    page = page_with_documents
    ask(page, QUESTION)
    finished(page)
    page.get_by_role("button", name="Answer again").click()
    finished(page)

    expect(page.locator(".answer .branches")).to_contain_text("2 / 2")
    page.get_by_role("button", name="Previous answer").click()
    expect(page.locator(".answer .branches")).to_contain_text("1 / 2")
    expect(page.locator(".answer .cite").first).to_be_visible()


def test_an_edited_question_is_a_branch_and_the_first_wording_stays(page_with_documents: Page) -> None:
    page = page_with_documents
    ask(page, QUESTION)
    finished(page)
    page.get_by_role("button", name="Edit the question").click()
    page.get_by_label("Edit the question").fill("Who approves an expensive journey?")
    page.get_by_label("Edit the question").press("Enter")
    finished(page)

    expect(page.locator(".question-text")).to_have_text("Who approves an expensive journey?")
    page.get_by_role("button", name="Previous question").click()
    expect(page.locator(".question-text")).to_have_text(QUESTION)
    expect(page.locator(".answer-text")).to_contain_text("640")


def test_an_answer_goes_on_after_a_reload(page_with_documents: Page) -> None:
    page = page_with_documents
    ask(page, LONG_QUESTION, answer_from="General")
    expect(page.locator(".answer-text .block").first).to_be_visible(timeout=60_000)
    begun = page.locator(".answer-text").inner_text().strip()[:20]
    page.reload()

    expect(page.locator(".answer.is-streaming")).to_be_visible()
    finished(page)
    text = page.locator(".answer-text").inner_text()
    assert text.strip().startswith(begun)
    page.reload()
    finished(page)
    assert page.locator(".answer-text").inner_text() == text


def test_a_lost_connection_is_taken_up_where_it_broke_off(page_with_documents: Page) -> None:
    page = page_with_documents
    cut: list[str] = []

    def break_off(route) -> None:
        reply = route.fetch()
        events = reply.text().split("\n\n")
        cut.append(reply.text())
        route.fulfill(
            status=200, content_type="text/event-stream", body="\n\n".join(events[: len(events) // 2]) + "\n\n"
        )

    page.route(
        re.compile(r"/conversations/[^/]+/messages$"),
        lambda route: break_off(route) if route.request.method == "POST" else route.fallback(),
    )
    ask(page, QUESTION)
    finished(page)

    assert cut
    expect(page.locator(".answer-text")).to_contain_text("640")
    expect(page.locator(".answer-text .cite").first).to_be_visible()


def test_conversations_are_named_found_renamed_and_deleted(page_with_documents: Page) -> None:
    page = page_with_documents
    ask(page, "Which meeting rooms stay free of dogs?")
    finished(page)
    page.keyboard.press("/")
    page.get_by_label("Search conversations").fill("meeting rooms")
    expect(page.locator(".conversation-link")).to_have_count(1)
    page.get_by_label("Search conversations").fill("")
    current = page.locator(".conversation-link[aria-current=page]")
    expect(current).to_be_visible()
    current.press("F2")
    page.get_by_label("Title").fill("About dogs")
    page.get_by_role("button", name="Rename").click()
    expect(current).to_have_text("About dogs")
    current.press("Delete")
    page.get_by_role("button", name="Delete", exact=True).click()

    expect(page.get_by_role("heading", name="Ana")).to_be_visible()
    expect(page.get_by_role("link", name="About dogs")).to_have_count(0)


def test_an_answer_can_be_rated_once(page_with_documents: Page) -> None:
    page = page_with_documents
    ask(page, QUESTION)
    finished(page)
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_role("button", name="Incomplete").click()
    page.get_by_role("button", name="Send", exact=True).click()

    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Good answer")).to_be_disabled()
    page.reload()
    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")


def test_an_exported_conversation_is_downloaded(page_with_documents: Page) -> None:
    page = page_with_documents
    ask(page, QUESTION)
    finished(page)
    page.get_by_role("button", name="More for this conversation").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Export as Markdown").click()

    assert download.value.suggested_filename.endswith(".md")


def test_documents_are_searched_opened_and_deleted(page_with_documents: Page) -> None:
    page = page_with_documents
    page.get_by_role("link", name="Documents").click()
    page.get_by_label("Search inside the documents").fill("vaccinated leash")
    page.locator(".found-item").first.click()
    expect(page.locator(".document-text mark", has_text="vaccinated").first).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.locator(".viewer")).to_have_count(0)
    page.get_by_label("Search inside the documents").fill("")

    page.locator("[data-upload=files]").set_input_files(
        {"name": "short-lived.md", "mimeType": "text/markdown", "buffer": b"# Short lived\n\nGone soon."}
    )
    page.get_by_role("button", name="1 document ready").wait_for(timeout=60_000)
    page.get_by_role("button", name="Delete Short lived").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("button", name="Delete Short lived")).to_have_count(0)


@pytest.mark.requirement("U16")
def test_the_whole_journey_works_with_keys_alone(page_with_documents: Page) -> None:
    page = page_with_documents
    page.get_by_label("Your question").focus()
    page.keyboard.type("Which day is a dog welcome?")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("And where?")
    page.keyboard.press("Enter")
    expect(page.locator(".question-text")).to_have_text(re.compile(r"welcome\?\s*And where\?"))
    finished(page)
    expect(page.locator(".answer-text .cite").first).to_be_visible()

    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.matches('.answer-text .cite')"):
            break
    page.keyboard.press("Enter")
    expect(page.locator(".document-text mark").first).to_be_in_viewport()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('.answer-text .cite')"), "focus returns to the citation"

    page.keyboard.press("/")
    expect(page.get_by_label("Search conversations")).to_be_focused()
    page.keyboard.press("ArrowDown")
    first = page.evaluate("document.activeElement.textContent")
    assert first
    page.keyboard.press("Enter")
    expect(page.locator(".question-text").first).to_be_visible()
    page.keyboard.press("Alt+n")
    expect(page.get_by_label("Your question")).to_be_focused()


@pytest.mark.parametrize("width", [360, 390])
@pytest.mark.requirement("U16")
def test_a_phone_shows_everything_without_scrolling_sideways(
    visitor: Visitor, account: tuple[str, str], width: int
) -> None:
    page = sign_in(visitor.page(width=width, height=780, has_touch=True, is_mobile=True), account)
    ask(page, QUESTION)
    finished(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".thread-scroll").evaluate("column => column.scrollWidth <= column.clientWidth")

    page.locator(".answer-text .cite").first.tap()
    expect(page.locator(".document-text mark").first).to_be_in_viewport()
    viewer = page.locator(".viewer").bounding_box()
    assert viewer is not None
    assert round(viewer["width"]) == width
    page.get_by_role("button", name="Close the document").tap()
    page.get_by_role("button", name="Open the menu").tap()
    page.get_by_role("link", name="Documents").tap()
    expect(page.get_by_role("heading", name="Documents")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
