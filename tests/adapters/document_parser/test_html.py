"""HTML pages."""

import pytest

from fireside.ports.document_parser import DocumentTooComplexError, EmptyDocumentError
from tests.adapters.document_parser.reading_shortcuts import block_with, outline, read

PAGE = """<!doctype html><html><head><title>Leave &amp; more</title>
<script>var secret=1</script><style>p{}</style></head>
<body><header>Site head</header><nav><ul><li>Home</ul></nav>
<main><h1>Leave</h1><p>You get <b>30</b> days.<br>Every year.</p>alone <i>text</i>
<ul><li>One<ul><li>Nested</ul><li>Two</ul>
<pre>def f():
    pass</pre><h2>Sub</h2><p><img alt="A chart" src="x"></p><p hidden>no</p><div style="display: none">no</div>
<p aria-hidden="true">no</p></main><aside>no</aside><footer>Imprint</footer></body></html>"""


def test_the_main_text_of_a_page_is_read_without_its_furniture() -> None:
    page = read("a.html", PAGE)

    assert page.title == "Leave & more"
    assert outline(page) == [
        ("heading", "Leave"),
        ("paragraph", "You get 30 days.\nEvery year."),
        ("paragraph", "alone text"),
        ("list", "- One\n  - Nested\n- Two"),
        ("code", "def f():\n    pass"),
        ("heading", "Sub"),
        ("paragraph", "A chart"),
    ]
    assert block_with(page, "A chart").headings == ("Leave", "Sub")


def test_a_page_without_a_main_element_gives_its_body_without_head_and_foot() -> None:
    page = read("a.html", "<header>no</header><div role=navigation>no</div><p>yes</p><footer>no</footer>")

    assert page.text == "yes"


def test_an_empty_main_element_does_not_hide_the_page() -> None:
    assert read("a.html", "<main> </main><p>yes</p>").text == "yes"


def test_the_head_of_an_article_belongs_to_it() -> None:
    assert read("a.html", "<article><header><h1>T</h1></header><p>x</p></article><p>other</p>").text == "T\n\nx"


def test_the_open_graph_title_goes_before_the_page_title_and_that_before_the_heading() -> None:
    assert read("a.html", '<meta property="og:title" content="A"><title>B</title><h1>C</h1>x').title == "A"
    assert read("a.html", "<title> </title><h1>C <b>d</b></h1>x").title == "C d"
    assert read("a.html", "<p>x").title == ""


def test_data_tables_name_their_cells_and_layout_tables_are_walked_through() -> None:
    rows = "<tr><th>Role<th>Days<tr><td>Staff<td><p>30</p><p>days</p><tr><td>Boss<td>"
    data = f"<table><caption>Rates</caption>{rows}</table>"
    layout = "<table><tr><td><h2>Left</h2><p>one</p><td><table><tr><td>a<td>b</table></table>"

    assert outline(read("a.html", data)) == [
        ("paragraph", "Rates"),
        ("table", "Role: Staff; Days: 30 days\nRole: Boss"),
    ]
    assert outline(read("a.html", layout)) == [("heading", "Left"), ("paragraph", "one"), ("table", "a; b")]


def test_the_encoding_that_the_page_declares_is_used() -> None:
    page = "<html><head><meta charset='windows-1251'></head><body>Отпуск</body></html>"

    assert read("a.html", page.encode("cp1251")).text == "Отпуск"


def test_xhtml_with_an_xml_declaration_is_read() -> None:
    page = '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>Größe</p></body></html>'

    assert read("a.xhtml", page).text == "Größe"


def test_no_outside_entity_or_file_is_ever_fetched() -> None:
    page = '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/hostname">]><p>before &x; after</p>'

    assert "&x;" in read("a.html", page).text


@pytest.mark.parametrize("page", ["", "   ", "<html></html>", "<script>x</script><nav>y</nav>", "<!-- c -->"])
def test_a_page_that_shows_nothing_is_empty(page: str) -> None:
    with pytest.raises(EmptyDocumentError):
        read("a.html", page)


def test_nesting_of_a_thousand_levels_is_read_and_endless_nesting_is_refused() -> None:
    assert read("a.html", "<div>" * 1000 + "deep").text == "deep"

    with pytest.raises(DocumentTooComplexError):
        read("a.html", "<div>" * 100_000 + "deep")
