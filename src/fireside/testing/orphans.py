"""Processes that a test has started end with the test, even when that is killed itself.

A guard, one for each process that starts others, reads from a pipe which processes there are. The pipe ends with the
process at its other end, however that dies, and the guard then kills what is left.
"""

import atexit
import subprocess
import sys
from functools import cache

_GUARD = """
import os, signal, sys
left = set()
for line in sys.stdin:
    (left.add if line[0] == "+" else left.discard)(int(line[1:]))
for pid in left:
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except OSError:
            pass
"""


def guard(pid: int) -> None:
    """Have a process killed when this one is gone, with its group if it leads one."""
    _tell(f"+{pid}")


def release(pid: int) -> None:
    """A process has ended; another may have its id soon."""
    _tell(f"-{pid}")


def _tell(line: str) -> None:
    pipe = _guard().stdin
    assert pipe is not None  # noqa: S101 - it was asked for
    pipe.write(line + "\n")
    pipe.flush()


@cache
def _guard() -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", _GUARD], stdin=subprocess.PIPE, text=True, start_new_session=True)  # noqa: S603 - the program above
    atexit.register(process.communicate)
    return process
