"""How what Fireside keeps in a broker is called, so that clusters with different namespaces can share one."""

import re


def prefix(namespace: str) -> str:
    """What all names of a cluster begin with; plain."""
    return f"fireside-{plain(namespace)}" if namespace else "fireside"


def plain(name: str) -> str:
    """A name of nothing but letters, digits, `-` and `_`, which every broker takes; different names stay different."""
    return re.sub(r"[^A-Za-z0-9-]", lambda found: "".join(f"_{byte:02X}" for byte in found[0].encode()), name)


def original(plain_name: str) -> str:
    """The name that a plain one was made of."""
    return re.sub(r"(_[0-9A-F]{2})+", lambda found: bytes.fromhex(found[0].replace("_", "")).decode(), plain_name)
