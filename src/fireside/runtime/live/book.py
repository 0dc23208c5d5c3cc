"""The settings of one node by class: as they were read at the start, and as live settings change them.

Whoever is given settings by the book reads them on use and gets what holds then; only the book knows where values come
from. A class names the fields that may change while the node runs in `live`; all others stay as they were read.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import structlog
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from fireside.core.errors import FiresideError
from fireside.runtime.live.masking import masked

log = structlog.stdlib.get_logger(__name__)

SettingsT = TypeVar("SettingsT", bound=BaseSettings)

_UNITS = {
    "ms": "milliseconds",
    "s": "seconds",
    "hours": "hours",
    "days": "days",
    "bytes": "bytes",
    "mib": "MiB",
    "chars": "characters",
    "tokens": "tokens",
}


class ReadSettings(Protocol):
    """Reads a class of settings from the layers below the live ones."""

    def __call__(self, kind: type[SettingsT], **overrides: Any) -> SettingsT:
        """Read, with values that win over the layers.

        Raises:
            FiresideError: A value is not allowed; the text names the variable, the value and what is allowed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting for people.

    Attributes:
        name: Of the variable.
        group: The service or part that it belongs to.
        value: What holds on this node, secrets hidden.
        default: As in the code, secrets hidden.
        source: Where the value comes from: `default`, a file, `environment`, `command line` or `live`.
        description: What it means.
        unit: Of a number; None when it has none.
        live: Whether it can be changed while the node runs.
    """

    name: str
    group: str
    value: Any
    default: Any
    source: str
    description: str
    unit: str | None
    live: bool


class SettingsBook:
    """What holds on this node.

    Attributes:
        version: Of the live settings that were taken last; 0 before the first.
        refused: Live settings that this node could not take, each with the reason; the values before go on to hold.
    """

    def __init__(self, read: ReadSettings, *, origins: Mapping[str, str] | None = None, follows: bool = True) -> None:
        """Start with nothing read.

        Args:
            read: Reads a class from the layers below.
            origins: The file that a variable of the environment was read from, for those that were.
            follows: Whether live settings are taken at all.
        """
        self.version, self.refused = 0, dict[str, str]()
        self._read, self._origins, self._follows = read, origins or {}, follows
        self._values: Mapping[str, Any] = {}
        self._now: dict[type[BaseSettings], BaseSettings] = {}
        self._views: dict[type[BaseSettings], _View] = {}
        self._live: dict[type[BaseSettings], dict[str, Any]] = {}
        self._listeners: defaultdict[type[BaseSettings], list[Callable[[Any], None]]] = defaultdict(list)

    def of(self, kind: type[SettingsT]) -> SettingsT:
        """The settings of a class: each attribute is what holds when it is read.

        Raises:
            FiresideError: A value is not allowed; the text names it.
        """
        if kind not in self._now:
            self._hold(self._read(kind), kind)
            self._take(kind, self._values)
        return cast("SettingsT", self._views[kind])

    def put(self, settings: BaseSettings) -> None:
        """Settings that were read elsewhere, such as with options of the command line."""
        self._hold(settings, type(settings))

    def listen(self, kind: type[SettingsT], tell: Callable[[SettingsT], None]) -> None:
        """Have a function called whenever settings of a class have changed. It must return at once."""
        self.of(kind)
        self._listeners[kind].append(tell)

    def take(self, version: int, values: Mapping[str, Any]) -> None:
        """Have live settings hold, in place of all those before; an older version is passed over.

        What this node cannot take is logged and noted in `refused`; what held for it goes on to hold.
        """
        if not self._follows or version <= self.version:
            return
        self.version, self._values, self.refused = version, values, dict(self._unknown(values))
        for kind in self._now:
            self._take(kind, values)
        for name, reason in self.refused.items():
            log.error("setting_not_applied", setting=name, version=version, reason=reason)

    def checked(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Live values as plain data in their normal form, and the reasons why others are refused, by variable."""
        known = {variable_of(kind, name): (kind, name) for kind in self._now for name in kind.model_fields}
        allowed, refused = dict[str, Any](), dict[str, str]()
        for variable, value in values.items():
            kind, name = known.get(variable, (None, ""))
            if kind is None:
                refused[variable] = f"{variable}: there is no such setting; 'fireside config show' lists all"
            elif name not in live_fields(kind):
                refused[variable] = (
                    f"{variable}: cannot be changed while Fireside runs; set it in the environment, .env or"
                    " fireside.toml, and restart"
                )
            else:
                self._check(kind, name, value, allowed, refused)
        return allowed, refused

    def show(self) -> Iterator[Shown]:
        """Every setting of every class in the book."""
        for kind, settings in self._now.items():
            for name, field in kind.model_fields.items():
                variable, value, default = variable_of(kind, name), masked(getattr(settings, name)), _default(field)
                yield Shown(
                    name=variable,
                    group=group_of(kind),
                    value=value,
                    default=default,
                    source=self._source(kind, name, is_default=value == default),
                    description=field.description or "",
                    unit=_UNITS.get(name.rsplit("_", 1)[-1]) if "_" in name else None,
                    live=name in live_fields(kind),
                )

    def _take(self, kind: type[BaseSettings], values: Mapping[str, Any]) -> None:
        before, accepted = self._live.get(kind, {}), dict[str, Any]()
        for name in sorted(live_fields(kind)):
            variable = variable_of(kind, name)
            if variable not in values:
                continue
            complaint = self._complaint(kind, {**accepted, name: values[variable]})
            if not complaint:
                accepted[name] = values[variable]
                continue
            self.refused[variable] = complaint
            if name in before:
                accepted[name] = before[name]
        if accepted != before:
            self._live[kind] = accepted
            self._hold(self._read(kind, **accepted), kind)
            for tell in self._listeners[kind]:
                tell(self._now[kind])

    def _hold(self, settings: BaseSettings, kind: type[BaseSettings]) -> None:
        self._now[kind] = settings
        vars(self._views.setdefault(kind, _View(self._now, kind))).clear()

    def _check(
        self, kind: type[BaseSettings], name: str, value: Any, allowed: dict[str, Any], refused: dict[str, str]
    ) -> None:
        variable, complaint = variable_of(kind, name), self._complaint(kind, {name: value})
        if complaint:
            refused[variable] = complaint
        else:
            allowed[variable] = self._read(kind, **{name: value}).model_dump(mode="json")[name]

    def _complaint(self, kind: type[BaseSettings], values: Mapping[str, Any]) -> str:
        try:
            self._read(kind, **values)
        except FiresideError as error:
            return error.message
        return ""

    def _unknown(self, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Those that are for a service of this node, which is too old for them."""
        for kind in self._now:
            known, prefix = live_variables(kind), _prefix(kind)
            for variable in values if known else ():
                if variable.startswith(prefix) and variable not in known:
                    yield variable, f"{variable}: this version has no such live setting; update this node"

    def _source(self, kind: type[BaseSettings], name: str, *, is_default: bool) -> str:
        variable = variable_of(kind, name)
        if name in self._live.get(kind, {}):
            return "live"
        if variable in os.environ:
            return self._origins.get(variable, "environment")
        return "default" if is_default or name not in self._now[kind].model_fields_set else "command line"


class _View:
    """Reads like the settings of a class as they are now; what was read is kept in `__dict__` until that is cleared."""

    __slots__ = ("__dict__", "_kind", "_now")

    def __init__(self, now: Mapping[type[BaseSettings], BaseSettings], kind: type[BaseSettings]) -> None:
        self._now, self._kind = now, kind

    def __getattr__(self, name: str) -> Any:
        value = vars(self)[name] = getattr(self._now[self._kind], name)
        return value


def live_fields(kind: type[BaseSettings]) -> frozenset[str]:
    """The fields of a class that may change while a node runs."""
    return getattr(kind, "live", frozenset[str]())


def live_variables(kind: type[BaseSettings]) -> frozenset[str]:
    """The variables of the fields of a class that may change while a node runs."""
    return frozenset(variable_of(kind, name) for name in live_fields(kind))


def variable_of(kind: type[BaseSettings], name: str) -> str:
    """The variable of the environment that sets a field."""
    alias = kind.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{_prefix(kind)}{name}".upper()


def group_of(kind: type[BaseSettings]) -> str:
    """The service or part that a class belongs to; `process` for the process as a whole."""
    _, layer, part, *_ = kind.__module__.split(".")
    return "process" if layer == "bootstrap" else part


def _prefix(kind: type[BaseSettings]) -> str:
    return str(kind.model_config.get("env_prefix", ""))


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else masked(field.get_default(call_default_factory=True))
