"""Names that files are kept under. They are labels: nothing here or elsewhere uses them on a disk."""

import re
import unicodedata
from pathlib import PurePosixPath

from fireside.services.documents.errors import InvalidPathError

_MAX_CHARS = 1024
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")
_WORD_BREAKS = re.compile(r"[_\s]+|(?<=\w)-(?=\w)")


def normalise_path(name: str) -> str:
    """A relative path with `/` between its parts, in Unicode's composed form.

    Backslashes part as well; `.` and empty parts fall away.

    Raises:
        InvalidPathError: It is empty, absolute, too long, climbs with `..`, or holds control characters.
    """
    path = unicodedata.normalize("NFC", name).replace("\\", "/")
    parts = [part.strip() for part in path.split("/")]
    kept = [part for part in parts if part not in {"", "."}]
    if not kept:
        raise InvalidPathError("a file needs a name", path=name[:_MAX_CHARS])
    if path.startswith("/") or _DRIVE.match(kept[0]):
        raise InvalidPathError(f"the name {name[:200]!r} is absolute; send a relative one", path=name[:_MAX_CHARS])
    if ".." in kept:
        raise InvalidPathError(f"the name {name[:200]!r} climbs out of its folder with '..'", path=name[:_MAX_CHARS])
    if _CONTROL.search(path):
        raise InvalidPathError("a file's name must not hold control characters", path=_CONTROL.sub("?", name)[:200])
    joined = "/".join(kept)
    if len(joined) > _MAX_CHARS:
        raise InvalidPathError(f"a file's name has at most {_MAX_CHARS} characters, this has {len(joined)}")
    return joined


def title_from(path: str) -> str:
    """A title for a file that names none: its name without folders and ending, with spaces for marks."""
    name = PurePosixPath(path).name
    stem = PurePosixPath(name).stem
    return _WORD_BREAKS.sub(" ", stem).strip() or name
