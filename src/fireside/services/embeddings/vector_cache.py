"""Vectors kept in memory by what they were made of. Holds digests of texts, never texts."""

from collections import OrderedDict
from hashlib import blake2b

from fireside.core.clock import Clock


class VectorCache:
    """Forgets what is older than its time to live, and when full what was not used for longest."""

    def __init__(self, *, entries: int, ttl_s: float, clock: Clock) -> None:
        """Start empty.

        Args:
            entries: Most vectors kept; 0 keeps none.
            ttl_s: How long one is kept, in seconds.
            clock: Tells how old one is.
        """
        self._entries = entries
        self._ttl_s = ttl_s
        self._clock = clock
        self._rows: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, key: bytes) -> bytes | None:
        """The vector under a key, if it is still kept."""
        entry = self._rows.get(key)
        if entry is None:
            return None
        made_at, row = entry
        if self._clock.monotonic() - made_at >= self._ttl_s:
            del self._rows[key]
            return None
        self._rows.move_to_end(key)
        return row

    def keep(self, key: bytes, row: bytes) -> None:
        """Keep a vector from now on."""
        self._rows[key] = (self._clock.monotonic(), row)
        self._rows.move_to_end(key)
        while len(self._rows) > self._entries:
            self._rows.popitem(last=False)


def cache_key(model: str, text: str) -> bytes:
    """16 bytes that stand for a text as one model reads it."""
    return blake2b(f"{model}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
