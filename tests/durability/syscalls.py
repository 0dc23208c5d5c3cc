"""What servers asked the operating system for, as strace tells it: which files were written and synced, and when."""

import os
import re
import signal
import subprocess
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.needs import need, need_program

_WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2")
_SENDS = ("sendto", "sendmsg", *_WRITES)
_SYNCS = ("fsync", "fdatasync")
_CALL = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?:\d+<(?P<file>[^>]*)>)?(?P<rest>.*)")
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")


@dataclass
class Call:
    """One call; `began` and `ended` are lines of the trace.

    Attributes:
        name: Of the call.
        file: The path of the file, or a socket's name.
        text: The rest of its arguments, and its result, with bytes as strace writes them.
    """

    name: str
    file: str
    text: str
    began: int
    ended: int


@contextmanager
def traced(pids: Sequence[int], trace: Path) -> Generator[None]:
    """Note in a file what processes, their threads, and whatever they start write and sync inside the context."""
    command = [need_program("strace"), "-f", "-y", "-s", "20000", "-o", str(trace)]
    command += ["-e", f"trace={','.join((*_SYNCS, *_SENDS))}", "-e", "signal=none"]
    command += [f"--attach={pid}" for pid in pids]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for _ in pids:
                said = process.stderr.readline()
                need("attached" in said, f"the right to trace processes: {said}")
            yield
        finally:
            process.send_signal(signal.SIGINT)


def processes_of_session(leader: int) -> list[int]:
    """A process and all that it started, which stayed in its session."""
    return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _session(pid) == leader]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def was_synced_before(trace: Path, *, fact: str, acknowledgement: str) -> bool:
    """Whether a file that a fact was written to was synced between this and its acknowledgement.

    Args:
        trace: What `traced` noted.
        fact: Stands in what was written.
        acknowledgement: A regular expression of what is sent once the fact is safe, as strace writes it.
    """
    calls = list(calls_of(trace.read_text(errors="replace").splitlines()))
    written = [call for call in calls if call.name in _WRITES and call.file.startswith("/") and fact in call.text]
    assert written, "the fact was never written to a file"
    sent = re.compile(acknowledgement)
    answers = [
        call
        for call in calls
        if call.name in _SENDS and "socket" in call.file and sent.search(call.text) and call.began > written[0].began
    ]
    assert answers, "no acknowledgement was sent"
    return any(
        call.name in _SYNCS and call.file == write.file and write.ended < call.began and call.ended < answers[0].began
        for call in calls
        for write in written
    )


def calls_of(lines: Iterable[str]) -> Generator[Call]:
    """The calls of a trace that came back, in the order in which they did."""
    begun = dict[str, Call]()
    for number, line in enumerate(lines):
        if (resumed := _RESUMED.match(line)) is not None:
            call = begun.pop(resumed["pid"], None)
            if call is not None:
                call.ended = number
                yield call
        elif (found := _CALL.match(line)) is not None:
            call = Call(found["name"], found["file"] or "", found["rest"], number, number)
            if line.endswith("<unfinished ...>"):
                begun[found["pid"]] = call
            else:
                yield call
