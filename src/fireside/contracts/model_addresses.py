"""Which addresses a server of models may have."""

from typing import Annotated

from pydantic import AfterValidator, HttpUrl

from fireside.core.addresses import is_metadata_host

_RULE = "an address is http(s)://host:port, without user, query and fragment, and none of a cloud's metadata service"


def checked_address(url: HttpUrl) -> HttpUrl:
    """The URL, when requests with prompts and keys may go there.

    Raises:
        ValueError: They may not.
    """
    if url.username or url.password or url.query or url.fragment or is_metadata_host(url.host or ""):
        raise ValueError(_RULE)
    return url


ServerUrl = Annotated[HttpUrl, AfterValidator(checked_address)]
"""The address of a server of models, without the /v1 at the end."""
