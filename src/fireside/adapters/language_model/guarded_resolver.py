"""Looks up the names of model servers, and leaves out what must not be asked, whatever a name says today."""

import socket

import aiohttp
from aiohttp.abc import ResolveResult

from fireside.core.addresses import is_metadata_host


class ForbiddenAddressError(OSError):
    """A name leads nowhere but to what must not be asked."""


class GuardedResolver(aiohttp.ThreadedResolver):
    """The system's resolver without the addresses of a cloud's metadata service."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host.

        Raises:
            ForbiddenAddressError: There are none that may be asked.
            OSError: There are none.
        """
        found = await super().resolve(host, port, family)
        allowed = [each for each in found if not is_metadata_host(each["host"])]
        if not allowed:
            raise ForbiddenAddressError(f"{host} is a cloud's metadata service")
        return allowed
