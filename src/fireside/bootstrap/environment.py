"""Where settings come from: defaults in code < `fireside.toml` < `.env` < environment variables.

The files are folded into the environment once, before anything reads it, so that every settings class needs only one
source and child processes see the same.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import BaseSettings
from pydantic_settings import SettingsError as NotReadableError

from fireside.core.errors import FiresideError
from fireside.runtime.live import masked_text

PREFIX = "FIRESIDE_"
_TOML, _DOTENV = "fireside.toml", ".env"
SettingsT = TypeVar("SettingsT", bound=BaseSettings)

_SECRET_NAME = re.compile("key|secret|password|token", re.IGNORECASE)


class SettingsError(FiresideError):
    """A setting has a value that is not allowed."""

    code = "invalid_settings"


def fold_files(folder: Path, environ: MutableMapping[str, str] | None = None) -> None:
    """Add what `fireside.toml` and `.env` in a folder say to the environment, where it does not say otherwise.

    Raises:
        SettingsError: A file cannot be read as what it is.
    """
    environ = os.environ if environ is None else environ
    found = _from_toml(folder / _TOML) | _from_dotenv(folder / _DOTENV)
    for name, value in found.items():
        environ.setdefault(name, value)


def file_origins(folder: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Which variables have the value that a file in the folder gives them, and the name of that file.

    Raises:
        SettingsError: A file cannot be read as what it is.
    """
    environ = os.environ if environ is None else environ
    values = {_TOML: _from_toml(folder / _TOML), _DOTENV: _from_dotenv(folder / _DOTENV)}
    return {name: file for file, found in values.items() for name, value in found.items() if environ.get(name) == value}


def read_settings(kind: type[SettingsT], **overrides: Any) -> SettingsT:
    """Read one settings class from the environment.

    Args:
        kind: The class.
        overrides: Values that win over the environment, such as command-line options; None means not given.

    Raises:
        SettingsError: Names the variable, the value (not of secrets) and what is allowed.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return kind(**given)
    except ValidationError as error:
        complaints = "; ".join(_complaints(kind, error))
    except NotReadableError as error:  # its text names the field, its cause has the value: only the first is shown
        field = next((name for name in kind.model_fields if f'"{name}"' in str(error)), "")
        complaints = f"{_variable(kind, field)}: not valid JSON (see docs/reference/settings.md)"
    raise SettingsError(complaints)  # outside of the handlers: a chained error would carry the values along


def _complaints(kind: type[BaseSettings], error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        field, *inside = [str(part) for part in problem["loc"]] or [""]
        place = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in inside)
        yield f"{_variable(kind, field)}{place}: {problem['msg']}{_shown(kind, [field, *inside], problem['input'])}"


def _variable(kind: type[BaseSettings], field: str) -> str:
    if field.startswith(PREFIX):  # of a field with a name of its own in the environment
        return field
    return f"{kind.model_config.get('env_prefix') or ''}{field}".upper()


def _shown(kind: type[BaseSettings], place: Sequence[str], value: Any) -> str:
    """The value as it may be shown: nothing of what is, or may hold, a secret."""
    known = kind.model_fields.get(place[0])
    secret = known is not None and "SecretStr" in str(known.annotation)
    if secret or _SECRET_NAME.search(place[-1]) or not isinstance(value, str | int | float | Path):
        return ""
    return f" (value: {masked_text(str(value))[:80]!r})"


def _from_dotenv(path: Path) -> dict[str, str]:
    values = dotenv_values(path) if path.is_file() else {}
    return {name: value for name, value in values.items() if value is not None and name.startswith(PREFIX)}


def _from_toml(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error
    return dict(_flattened(tables, ()))


def _flattened(table: Mapping[str, Any], above: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    """`[documents] chunk_chars = 900` becomes `FIRESIDE_DOCUMENTS_CHUNK_CHARS=900`."""
    for name, value in table.items():
        if isinstance(value, dict) and not above:
            yield from _flattened(cast("dict[str, Any]", value), (name,))
        else:
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            yield PREFIX + "_".join((*above, name)).upper(), text
