"""Which files can be read, by the ending of their name or by the media type that came with them."""

from pathlib import PurePosixPath

MARKDOWN = "text/markdown"
PLAIN = "text/plain"
HTML = "text/html"
CSV = "text/csv"
TSV = "text/tab-separated-values"
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLS = "application/vnd.ms-excel"
ODS = "application/vnd.oasis.opendocument.spreadsheet"

_BY_ENDING = {
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".mdx": MARKDOWN,
    ".txt": PLAIN,
    ".text": PLAIN,
    ".log": PLAIN,
    ".rst": PLAIN,
    ".adoc": PLAIN,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".csv": CSV,
    ".tsv": TSV,
    ".tab": TSV,
    ".pdf": PDF,
    ".docx": DOCX,
    ".docm": DOCX,
    ".pptx": PPTX,
    ".pptm": PPTX,
    ".xlsx": XLSX,
    ".xlsm": XLSX,
    ".xls": XLS,
    ".ods": ODS,
}
_ALIASES = {
    "text/x-markdown": MARKDOWN,
    "application/xhtml+xml": HTML,
    "application/csv": CSV,
    "application/x-pdf": PDF,
}
_KNOWN = frozenset(_BY_ENDING.values())
READABLE_ENDINGS = tuple(_BY_ENDING)
"""Endings of the file names that can be read, with their dot."""


def media_type_of(file_name: str, *, declared: str = "") -> str | None:
    """The media type a file is read as; None when it cannot be read.

    The ending decides, because browsers and scripts declare what they like; the declared type stands in for names
    without a known ending, except that a name with another ending is never taken for plain text.
    """
    ending = PurePosixPath(file_name.replace("\\", "/")).suffix.lower()
    if ending in _BY_ENDING:
        return _BY_ENDING[ending]
    bare = declared.partition(";")[0].strip().lower()
    candidate = _ALIASES.get(bare, bare)
    if candidate not in _KNOWN or (candidate == PLAIN and ending):
        return None
    return candidate
