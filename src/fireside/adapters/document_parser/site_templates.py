"""Template tags of site generators (Liquid, Jinja, Nunjucks, Hugo) inside Markdown: `{% alert "Heads up!" %}`.

Readers of the published page never see them, only what they stand for. That is not known here, so a tag goes, and
the first words it quotes stay: they are nearly always what the page would show.
"""

import re

_LINK_TARGET = re.compile(r"\]\(\s*\{[{%<].*?[}%>]\}[^)\s]*\s*\)")
_TAG = re.compile(r"\{%-?\s*(.*?)\s*-?%\}|\{\{[<%]?\s*.*?\s*[>%]?\}\}", re.DOTALL)
_QUOTED = re.compile(r"""["'“]([^"'”]*)["'”]""")
_FILE_OR_PATH = re.compile(r"\S*/\S*|\S+\.\w{2,5}")


def without_link_targets(markdown: str) -> str:
    """Links whose address is a template tag, with a plain address instead, so that Markdown sees the link."""
    return _LINK_TARGET.sub("](#)", markdown)


def without_tags(text: str) -> str:
    """Text without template tags."""
    return _TAG.sub(_shown, text) if "{" in text else text


def _shown(tag: re.Match[str]) -> str:
    quoted = _QUOTED.search(tag[1] or "")
    words = quoted[1] if quoted else ""
    return "" if _FILE_OR_PATH.fullmatch(words) else words
