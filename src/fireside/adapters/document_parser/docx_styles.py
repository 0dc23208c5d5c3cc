"""What the paragraphs of a Word document are: headings of some level, items of lists, or running text."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fireside.adapters.document_parser.office_xml import Element, attribute, child, local_name

_HEADING_NAME = re.compile(r"heading (\d)", re.IGNORECASE)
_BODY_LEVEL = 9
"""Word's outline level of text that is no heading, counting from 0."""
_NO_NUMBERING = "0"
_MAX_LIST_DEPTH = 8


@dataclass(frozen=True, slots=True)
class ParagraphRole:
    """What a paragraph is.

    Attributes:
        heading_level: 1 for the outermost; None when it is no heading.
        list_depth: Nesting of a list item, from 0; None when it is none.
        is_title: Whether it is the title of the whole document.
    """

    heading_level: int | None = None
    list_depth: int | None = None
    is_title: bool = False


class DocxStyles:
    """The styles of one document."""

    def __init__(self, styles: Element | None) -> None:
        """Take the root of the part that defines the styles; None when the document has no such part."""
        children: Iterator[Element] = iter(styles) if styles is not None else iter(())
        self._styles: Mapping[str, Element] = {
            attribute(style, "styleId") or "": style for style in children if local_name(style) == "style"
        }

    def role_of(self, paragraph: Element) -> ParagraphRole:
        """What this paragraph is, by its own properties first, then by those of its style and what that builds on."""
        own = child(paragraph, "pPr")
        style_id = attribute(child(own, "pStyle"), "val") or ""
        chain = list(self._chain(style_id))
        names = [attribute(child(style, "name"), "val") or "" for style in chain]
        properties = [own, *(child(style, "pPr") for style in chain)]
        level = _first(_outline_level(item) for item in properties) or _first(_named_level(name) for name in names)
        depth = _first(_list_depth(item) for item in properties)
        return ParagraphRole(
            heading_level=level if level and level <= _BODY_LEVEL else None,
            list_depth=depth if depth is not None and depth >= 0 else None,
            is_title=any(name.lower() == "title" for name in names),
        )

    def _chain(self, style_id: str) -> Iterator[Element]:
        """The style and those it builds on, nearest first; a circle ends it."""
        seen: set[str] = set()
        while style_id in self._styles and style_id not in seen:
            seen.add(style_id)
            style = self._styles[style_id]
            yield style
            style_id = attribute(child(style, "basedOn"), "val") or ""


def _first(values: Iterator[int | None]) -> int | None:
    return next((value for value in values if value is not None), None)


def _outline_level(properties: Element | None) -> int | None:
    """Level from 1, beyond the deepest for text set to be no heading, None when nothing is said."""
    value = attribute(child(properties, "outlineLvl"), "val")
    return int(value) + 1 if value and value.isdecimal() else None


def _named_level(name: str) -> int | None:
    match = _HEADING_NAME.fullmatch(name)
    return int(match[1]) if match else None


def _list_depth(properties: Element | None) -> int | None:
    """Depth from 0, -1 where numbering is switched off, None when nothing is said."""
    numbering = child(properties, "numPr")
    if numbering is None:
        return None
    if attribute(child(numbering, "numId"), "val") == _NO_NUMBERING:
        return -1
    depth = attribute(child(numbering, "ilvl"), "val") or "0"
    return min(int(depth), _MAX_LIST_DEPTH) if depth.isdecimal() else 0
