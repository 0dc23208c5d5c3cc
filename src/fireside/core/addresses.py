"""Addresses at which clouds hand out the secrets of a machine to whoever asks from it."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

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


def is_metadata_host(host: str) -> bool:
    """Whether a host is, or a number stands for, a cloud's metadata service. Names are not looked up."""
    plain = host.strip("[]").rstrip(".").lower()
    if plain in _NAMES:
        return True
    try:
        address = _real(ip_address(plain.split("%")[0]))
    except ValueError:
        return False
    return any(address in network for network in _NETWORKS)


def _real(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The address of version 4 that one of version 6 stands for, where it does."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _TRANSLATED:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
