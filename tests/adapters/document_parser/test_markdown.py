"""Markdown pages."""

import pytest

from fireside.ports.document_parser import EmptyDocumentError
from tests.adapters.document_parser.reading_shortcuts import block_with, outline, read


def test_the_title_comes_from_the_front_matter_which_is_not_part_of_the_text() -> None:
    page = read("a.md", "---\ntitle: Annual leave\nredirect_from:\n  - /old/\n---\n\n# Other\n\nBody.\n")

    assert page.title == "Annual leave"
    assert page.text == "Other\n\nBody."


def test_toml_front_matter_counts_as_well() -> None:
    page = read("a.md", '+++\ntitle = "Leave"\n+++\nBody.')

    assert (page.title, page.text) == ("Leave", "Body.")


def test_front_matter_that_yaml_refuses_still_gives_its_title() -> None:
    page = read("a.md", "---\ntitle: Leave: the rules\ntags: [a\n---\nBody.")

    assert (page.title, page.text) == ("Leave: the rules", "Body.")


def test_a_page_that_begins_with_a_rule_keeps_what_follows_it() -> None:
    page = read("a.md", "---\n\nNot settings at all, but a sentence.\n\n---\n\nMore.")

    assert "Not settings at all" in page.text
    assert "More." in page.text


def test_without_front_matter_the_first_main_heading_is_the_title() -> None:
    assert read("a.md", "## Small\n\n# The *main* one\n\nx").title == "The main one"


def test_headings_become_the_path_of_what_stands_under_them() -> None:
    page = read("a.md", "# A\n\none\n\n## B\n\ntwo\n\n### C\n\nthree\n\n## D\n\nfour")

    assert block_with(page, "one").headings == ("A",)
    assert block_with(page, "three").headings == ("A", "B", "C")
    assert block_with(page, "four").headings == ("A", "D")
    assert block_with(page, "D").kind == "heading"


def test_links_images_and_marks_leave_their_words() -> None:
    page = read(
        "a.md", "See **the** [leave *policy*](https://x.example/p) and ![a chart](c.png) or <https://y.example>."
    )

    assert page.text == "See the leave policy and a chart or https://y.example."


def test_wiki_links_leave_their_label() -> None:
    assert (
        read("a.md", "[[_TOC_]]\n\nSee [[Leave policy|the policy]] and [[Other]].").text == "See the policy and Other."
    )


def test_lines_broken_in_the_source_are_one_line_of_text() -> None:
    assert read("a.md", "One sentence\nover two lines.  \nAnother.").text == "One sentence over two lines.\nAnother."


def test_a_list_with_its_nested_lists_is_one_block() -> None:
    page = read("a.md", "- one\n  over lines\n- two\n  1. deep\n  2. deeper\n\n  more of two\n- three")

    assert outline(page) == [("list", "- one over lines\n- two\n  1. deep\n  2. deeper\n  more of two\n- three")]


def test_table_rows_name_their_cells() -> None:
    page = read("a.md", "| Role | Days |\n|---|---|\n| Staff | 30 |\n| Boss | |\n")

    assert outline(page) == [("table", "Role: Staff; Days: 30\nRole: Boss")]


def test_code_is_kept_as_it_stands_with_its_indentation() -> None:
    page = read("a.md", "- item\n\n```python\n  if x:\n    y()\n```\n")

    assert outline(page) == [("list", "- item"), ("code", "  if x:\n    y()")]


def test_embedded_html_gives_its_words_only() -> None:
    page = read(
        "a.md",
        "<details><summary>More</summary>\n\nHidden *text*.\n\n</details>\n\n"
        "<!-- a comment -->\n\n<script>alert(1)</script>\n\nA<br>B <sup>2</sup>\n\n"
        "<table><tr><th>K<th>V<tr><td>a<td>b</table>",
    )

    assert outline(page) == [
        ("paragraph", "More"),
        ("paragraph", "Hidden text."),
        ("paragraph", "A\nB 2"),
        ("table", "K: a; V: b"),
    ]


def test_template_tags_of_site_generators_leave_what_the_reader_would_see() -> None:
    page = read(
        "a.md",
        '{% alert "Heads up!" %}\nAsk in {% slack_channel "leave" %} or [the\npage]({% page "/leave/" %}).\n'
        "{% endalert %}\n\n"
        '{% include "box.html" %}\n\n{{ site.name }} uses `{% raw %}`.',
    )

    assert page.text == "Heads up! Ask in leave or the page.\n\nuses {% raw %}."


def test_a_page_of_front_matter_alone_is_empty() -> None:
    with pytest.raises(EmptyDocumentError):
        read("a.md", "---\ntitle: Nothing\n---\n\n<!-- only a comment -->\n")


def test_invisible_and_control_characters_are_dropped_and_accents_composed() -> None:
    page = read(
        "a.txt", "Cafe\u0301 \u200bsoft\u00adhyphen\x07 and enough other text.\r\nThe end of it, without a bell."
    )

    assert page.text == "Café softhyphen and enough other text.\nThe end of it, without a bell."


@pytest.mark.parametrize("source", ["> " * 5000 + "deep", "- " * 5000 + "deep", "[" * 3000 + "deep" + "]" * 3000])
def test_nesting_without_end_is_cut_and_does_not_break_the_reader(source: str) -> None:
    page = read("a.md", f"Before.\n\n{source}\n\nAfter.")

    assert page.text.startswith("Before.")
