"""Which addresses a server of models may have: none that hands out the secrets of a cloud machine."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated

from pydantic import AfterValidator, HttpUrl

_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
_NETWORKS = tuple(
    ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local: AWS, Azure, Google, DigitalOcean, OpenStack
        "fe80::/10",
        "fd00:ec2::254/128",  # AWS
        "fd20:ce::254/128",  # Google
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure's wire server
        "192.0.0.192/32",  # Oracle
    )
)
_TRANSLATED = ip_network("64:ff9b::/96")
_RULE = "an address is http(s)://host:port, without user, query and fragment, and none of a cloud's metadata service"


def checked_address(url: HttpUrl) -> HttpUrl:
    """The URL, when requests with prompts and keys may go there.

    Raises:
        ValueError: They may not.
    """
    host = (url.host or "").strip("[]").rstrip(".").lower()
    if url.username or url.password or url.query or url.fragment:
        raise ValueError(_RULE)
    address = _real(host)
    if host in _NAMES or (address is not None and any(address in network for network in _NETWORKS)):
        raise ValueError(f"requests to a cloud's metadata service are refused; {_RULE}")
    return url


ServerUrl = Annotated[HttpUrl, AfterValidator(checked_address)]
"""The address of a server of models, without the /v1 at the end."""


def _real(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host written as a number stands for; None for a name."""
    try:
        address = ip_address(host.split("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _TRANSLATED:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
