"""The process that reads files: `python -m fireside.adapters.document_parser.worker`, started by the server.

It reads one file after the other, within limits of memory and processor time that the kernel enforces, cannot write
files, and ends when the server does. Nothing of the server's memory, settings or secrets is in it.
"""

import os
import sys
from pathlib import Path
from typing import BinaryIO

from fireside.adapters.document_parser.frames import (
    LENGTH,
    READY,
    decode_request,
    encode_document,
    encode_error,
    frame,
)
from fireside.adapters.document_parser.reading import reader_for
from fireside.core.errors import FiresideError
from fireside.ports.document_parser import CorruptDocumentError, DocumentTooComplexError, ParseLimits

if sys.platform != "win32":
    import resource


_OPEN_FILES = 64


def main() -> None:
    """Serve requests from standard input until it ends."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _limit_process()
    _send(replies, READY)
    while (request := _receive(requests)) is not None:
        media_type, limits, path = decode_request(request)
        content = Path(path).read_bytes() if path else _receive(requests) or b""
        _send(replies, _reply(content, media_type=media_type, limits=limits))


def _reply(content: bytes, *, media_type: str, limits: ParseLimits) -> bytes:
    _limit_request(limits)
    try:
        return encode_document(reader_for(media_type)(content, limits=limits))
    except FiresideError as error:
        return encode_error(error)
    except MemoryError:
        megabytes = limits.memory_bytes // 1024**2
        return encode_error(DocumentTooComplexError(f"reading the file takes more than {megabytes} MB of memory"))
    except RecursionError:
        return encode_error(DocumentTooComplexError("the file nests too deeply"))
    except Exception as error:  # noqa: BLE001 - outermost loop: a library's failure on one file must not end the reader
        return encode_error(CorruptDocumentError(f"the file is damaged: {type(error).__name__} while reading it"))


def _receive(stream: BinaryIO) -> bytes | None:
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    return stream.read(LENGTH.unpack(header)[0])


def _send(stream: BinaryIO, payload: bytes) -> None:
    stream.write(frame(payload))
    stream.flush()


def _limit_process() -> None:
    if sys.platform == "win32":
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))


def _limit_request(limits: ParseLimits) -> None:
    """Memory as given; processor time a little beyond the server's own patience, in case the server is gone."""
    if sys.platform == "win32":
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_s = usage.ru_utime + usage.ru_stime
    resource.setrlimit(resource.RLIMIT_CPU, (int(used_s + limits.seconds) + 2, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
