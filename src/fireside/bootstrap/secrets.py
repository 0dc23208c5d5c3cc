"""The secrets of a data folder: made at the first start, readable by their owner only."""

import secrets
from pathlib import Path

from pydantic import SecretStr

from fireside.adapters.secret_box.aes_gcm import AesGcmSecretBox
from fireside.adapters.secret_box.key_ring import load_key_ring
from fireside.adapters.secret_box.owner_only_file import OwnerOnlyFile
from fireside.bootstrap.settings import Settings
from fireside.core.clock import Clock
from fireside.ports.secret_box import SecretBox, SecretFile

_KEY_BYTES = 32


def cluster_key(settings: Settings) -> SecretStr:
    """The secret that lets a node take part: the configured one, or one of this data folder's own."""
    if settings.cluster_key.get_secret_value():
        return settings.cluster_key
    file = OwnerOnlyFile(settings.folder / "cluster.key")
    file.create(secrets.token_urlsafe(_KEY_BYTES))
    return SecretStr(file.read() or "")


def secret_box(settings: Settings, clock: Clock) -> SecretBox:
    """What seals secrets at rest, with the key ring of this data folder.

    Raises:
        KeyRingError: The key ring cannot be read or made.
    """
    path = settings.folder / "keys.json"
    return AesGcmSecretBox(load_key_ring(OwnerOnlyFile(path), clock=clock, source=str(path)))


def local_key_file(folder: Path) -> SecretFile:
    """Where the key of the command line on this machine lies."""
    return OwnerOnlyFile(folder / "cli.key")
