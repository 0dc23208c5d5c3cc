"""Whether a model fits this machine."""

from dataclasses import dataclass

from fireside.contracts.explore import Fit

_WORK_BYTES = 256 * 1024**2
"""What an engine needs besides weights and context: compute buffers, the vocabulary, its own program."""
_WORK_SHARE = 0.05
_KV_SHARE_UNKNOWN = 0.15
"""Taken for the context where nothing is known of it, as a share of the weights."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is: memory and free disk, in bytes; of both, `reserve_bytes` stay for everything else."""

    memory_bytes: int
    free_disk_bytes: int
    reserve_bytes: int


def needed_bytes(size_bytes: int, *, kv_bytes_per_token: int | None, context_tokens: int) -> int:
    """Memory for weights of this size, and for a window of so many tokens."""
    work = _WORK_BYTES + round(size_bytes * _WORK_SHARE)
    if kv_bytes_per_token is None:
        return size_bytes + work + round(size_bytes * _KV_SHARE_UNKNOWN)
    return size_bytes + work + kv_bytes_per_token * context_tokens


def fit(
    machine: Machine,
    *,
    size_bytes: int | None,
    kv_bytes_per_token: int | None,
    context_tokens: int,
    on_disk: bool = False,
) -> Fit:
    """Whether a model of this size runs here with this window.

    Args:
        machine: Where.
        size_bytes: Of its file; None when it is not known.
        kv_bytes_per_token: As in `ModelFacts`.
        context_tokens: The window.
        on_disk: The file is here already.
    """
    memory = max(0, machine.memory_bytes - machine.reserve_bytes)
    disk = max(0, machine.free_disk_bytes - machine.reserve_bytes)
    if size_bytes is None:
        return Fit(
            fits=None,
            reason="its size is not known before it is resolved",
            memory_bytes=memory,
            free_disk_bytes=disk,
            context_tokens=context_tokens,
        )
    needed = needed_bytes(size_bytes, kv_bytes_per_token=kv_bytes_per_token, context_tokens=context_tokens)
    reasons: list[str] = []
    if needed > memory:
        reasons.append(f"it needs {_gigabytes(needed)} of memory, {_gigabytes(memory)} are there")
    if not on_disk and size_bytes > disk:
        reasons.append(f"it needs {_gigabytes(size_bytes)} of disk, {_gigabytes(disk)} are free")
    return Fit(
        fits=not reasons,
        reason="; ".join(reasons),
        needed_bytes=needed,
        memory_bytes=memory,
        free_disk_bytes=disk,
        context_tokens=context_tokens,
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
