"""Turning bytes of unknown encoding into text."""

import codecs
import re

from charset_normalizer import CharsetMatch, from_bytes

from fireside.ports.document_parser import CorruptDocumentError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES = 65536
_CANDIDATES = [
    *("cp1252", "cp932", "euc_jp", "gb18030", "big5", "cp949", "cp1251", "koi8_r"),
    *("cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "mac_roman"),
]
"""Encodings that office files of the last decades really use; guessing among all of them guesses worse."""
_LOOKALIKES = frozenset({"cp1250", "cp1252", "cp1254"})
_NOT_WESTERN = frozenset(
    {"Polish", "Czech", "Slovak", "Hungarian", "Croatian", "Slovene", "Romanian", "Turkish", "Lithuanian", "Estonian"}
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]")
_MAX_CONTROL_SHARE = 0.05


def decode_text(content: bytes, *, declared: str | None = None) -> str:
    """Text of the bytes, whatever their encoding.

    In this order: a byte order mark, the declared encoding, UTF-8, UTF-16 by its zero bytes, and a guess among the
    encodings in common use. Single wrong bytes become U+FFFD rather than losing the document.

    Args:
        content: The whole file.
        declared: The encoding that the file or its sender names.

    Raises:
        CorruptDocumentError: This is not text.
    """
    encoding = _marked(content) or _declared(content, declared) or _guessed(content)
    text = content.decode(encoding, errors="replace")
    sample = text[:_SAMPLE_BYTES]
    if len(_CONTROL.findall(sample)) > _MAX_CONTROL_SHARE * len(sample):
        raise CorruptDocumentError("the file is not text: it holds binary data")
    return text


def _marked(content: bytes) -> str | None:
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS if content.startswith(mark)), None)


def _declared(content: bytes, declared: str | None) -> str | None:
    if not declared:
        return None
    try:
        content.decode(declared)
    except (LookupError, UnicodeDecodeError):
        return None
    return declared


def _guessed(content: bytes) -> str:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return _zero_pattern(content) or _likeliest(content)
    return _zero_pattern(content) or "utf-8"


def _zero_pattern(content: bytes) -> str | None:
    """UTF-16 without a mark shows as zeros in every second byte of Western text."""
    sample = content[:_SAMPLE_BYTES]
    half = len(sample) // 2
    if half == 0 or sample.count(0) < 0.3 * half:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > 0.3 * half and even < 0.1 * odd:
        return "utf-16-le"
    if even > 0.3 * half and odd < 0.1 * even:
        return "utf-16-be"
    return None


def _likeliest(content: bytes) -> str:
    """The best guess; among encodings of Latin script, Western European unless the language speaks against it."""
    match: CharsetMatch | None = from_bytes(_sample(content), cp_isolation=_CANDIDATES).best()
    if match is None:
        return "cp1252"
    if match.encoding in _LOOKALIKES and match.language not in _NOT_WESTERN:
        return _declared(content, "cp1252") or match.encoding
    return match.encoding


def _sample(content: bytes) -> bytes:
    """Lines that hold bytes beyond ASCII: long files may begin with pages of plain ASCII, which say nothing."""
    telling = [line for line in content.splitlines(keepends=True) if not line.isascii()]
    return b"".join(telling)[:_SAMPLE_BYTES]
