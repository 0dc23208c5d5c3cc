"""What can go wrong when the configuration is changed."""

from collections.abc import Mapping

from fireside.core.errors import InvalidInputError, NotFoundError


class SettingsRefusedError(InvalidInputError):
    """A value is not allowed; nothing was changed."""

    code = "setting_refused"


class VersionNotFoundError(NotFoundError):
    """There is no such version of the configuration; 'fireside config history' lists them."""

    code = "config_version_not_found"


def refused(reasons: Mapping[str, str]) -> SettingsRefusedError:
    """The error that names every value that is not allowed, with what is.

    Args:
        reasons: By the name of the variable.
    """
    errors = [{"field": name, "message": reason, "code": "setting_refused"} for name, reason in reasons.items()]
    return SettingsRefusedError("; ".join(reasons.values()), errors=errors)
