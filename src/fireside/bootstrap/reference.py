"""The reference of all settings, written from the settings classes: `.env.example` and `docs/reference/settings.md`.

`python -m fireside.bootstrap.reference` writes both, and `docs/reference/permissions.md`; tests keep them true.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from fireside.bootstrap.every_setting import every_settings_class
from fireside.bootstrap.reference_permissions import permissions_page
from fireside.runtime.live import live_variables, variable_of

_HEAD = """\
# Every setting of Fireside with its default. Copy what you change into `.env` in the data folder, or set it in the
# environment. Written by 'python -m fireside.bootstrap.reference'.
"""

Entry = tuple[str, str, str]


def entries(kind: type[BaseSettings]) -> Iterator[Entry]:
    """The variables of a class: name, default as it would be written, description."""
    for name, field in kind.model_fields.items():
        yield variable_of(kind, name), _written(field), field.description or ""


def _written(field: FieldInfo) -> str:
    value: Any = None if field.default is PydanticUndefined else field.default
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if value is None or value == ():
        return ""
    if isinstance(value, str | int | float | Path):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


def env_example(kinds: Sequence[type[BaseSettings]]) -> str:
    """The text of `.env.example`."""
    blocks = [_HEAD]
    for kind in kinds:
        lines = [f"# {_title(kind)}"]
        for name, value, description in entries(kind):
            lines += [f"# {description}", f"#{name}={value}"]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def settings_page(kinds: Sequence[type[BaseSettings]]) -> str:
    """The text of `docs/reference/settings.md`."""
    parts = [
        "# Settings\n",
        "Defaults in code < `fireside.toml` < `.env` < environment; both files lie in the data folder. In the first,"
        " `[chat] max_answers = 50` is `FIRESIDE_CHAT_MAX_ANSWERS=50`. A wrong value stops the start with the"
        " variable's name. Those marked live can be changed on all nodes while they run (`fireside config set`,"
        " [Change settings](../how-to/change-settings.md)). This page is written by"
        " `python -m fireside.bootstrap.reference`.\n",
    ]
    for kind in kinds:
        live = live_variables(kind)
        rows = [
            f"| `{name}` | {_cell(value)} | {'live' if name in live else ''} | {description} |"
            for name, value, description in entries(kind)
        ]
        head = f"## {_title(kind)}\n\n| variable | default | | meaning |\n|---|---|---|---|\n"
        parts.append(head + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _cell(value: str) -> str:
    return f"`{value}`" if value else ""


def _title(kind: type[BaseSettings]) -> str:
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0].rstrip(".")


def main() -> None:
    """Write the files of this checkout."""
    kinds = every_settings_class()
    Path(".env.example").write_text(env_example(kinds))
    Path("docs/reference/settings.md").write_text(settings_page(kinds))
    Path("docs/reference/permissions.md").write_text(permissions_page())


if __name__ == "__main__":
    main()
