"""Values of settings as they may be shown: plain data, secrets hidden wherever they stand."""

import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, SecretStr

HIDDEN = "***"

_USER_IN_URL = re.compile(r"//[^/\s]*@")
_SECRET_IN_QUERY = re.compile(r"(?i)([?&][^=&]*(?:key|secret|password|token)[^=&]*=)[^&\s]+")


def masked(value: Any) -> Any:
    """The value as JSON can hold it: `***` for secrets, and for the user and the secrets in addresses."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    if isinstance(value, BaseModel):
        return {name: masked(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(name): masked(item) for name, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(item) for item in cast("list[Any]", value)]
    return masked_text(str(value))


def masked_text(text: str) -> str:
    """A text without the user, the password and the secrets in the query of the addresses in it."""
    return _SECRET_IN_QUERY.sub(rf"\g<1>{HIDDEN}", _USER_IN_URL.sub(f"//{HIDDEN}@", text))
