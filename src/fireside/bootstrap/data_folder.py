"""The data folder: made when it is not there, and used by one process at a time."""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

from fireside.bootstrap.environment import SettingsError


def make_data_folder(folder: Path) -> None:
    """Make the folder, for its owner alone, unless it is there.

    Raises:
        SettingsError: It cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(_unusable(folder, error.strerror)) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError(_unusable(folder, "nothing can be written there"))


def _unusable(folder: Path, reason: str | None) -> str:
    return f"FIRESIDE_HOME: the data folder {folder} cannot be used ({reason}): choose another with --data"


@contextlib.contextmanager
def held_by_this_process(folder: Path, node_id: str) -> Generator[None]:
    """Keep other processes from being the same node on the same data, which would ruin both.

    The lock goes with the process, however that ends; child processes do not inherit it (POSIX record locks).

    Raises:
        SettingsError: Another process is this node.
    """
    with (folder / f"{node_id}.lock").open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingsError(
                f"FIRESIDE_HOME: a Fireside runs with the data folder {folder} already: stop it, or choose another"
                " folder with --data"
            ) from error
        yield
