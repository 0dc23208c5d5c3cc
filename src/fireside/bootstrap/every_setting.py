"""Every class of settings that there is: for the reference, for the look over them, for the admin service."""

import importlib
import pkgutil

from pydantic_settings import BaseSettings

import fireside
from fireside.bootstrap.databases import OwnDatabases
from fireside.bootstrap.settings import Settings


def every_settings_class() -> list[type[BaseSettings]]:
    """Every settings class of the package, those of the process first, the others by their prefix."""
    for module in pkgutil.walk_packages(fireside.__path__, "fireside."):
        if module.name.rsplit(".", 1)[-1] in {"settings", "logging", "tracing"} and "middleware" not in module.name:
            importlib.import_module(module.name)
    first: list[type[BaseSettings]] = [Settings, OwnDatabases]
    found = {kind for kind in BaseSettings.__subclasses__() if kind.__module__.startswith("fireside.")}
    return [*first, *sorted(found - set(first), key=lambda kind: str(kind.model_config.get("env_prefix", "")))]
