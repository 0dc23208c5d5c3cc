"""`https://host/model.gguf`, with `#sha256=...` where the digest is known."""

import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from fireside.adapters.model_source.public_web import PublicWeb
from fireside.ports.model_source import FoundPage, Incoming, InvalidSourceError, Resolution, further_parts, model_name

_FRAGMENT = re.compile(r"sha256[=:]([0-9a-f]{64})")


class HttpsSource:
    """Any web server."""

    def __init__(self, web: PublicWeb, *, scheme: str = "https") -> None:
        """Fetch with this client; `http` reaches trusted hosts only."""
        self._web, self._scheme = web, scheme

    def check(self, reference: str) -> None:
        """Pass when it is a URL that may be asked."""
        url = self._web.check(f"{self._scheme}:{reference}")
        if url.fragment and not _FRAGMENT.fullmatch(url.fragment):
            raise InvalidSourceError(f"after '#' only sha256=<64 digits> can stand, not {url.fragment[:80]!r}")

    async def resolve(self, reference: str) -> Resolution:
        """The file; its length comes with the download."""
        self.check(reference)
        url = self._web.check(f"{self._scheme}:{reference}")
        match = _FRAGMENT.fullmatch(url.fragment)
        location = str(url.with_fragment(None))
        further = tuple(
            Resolution(source=part, location=part, name=model_name(url.path)) for part in further_parts(location)
        )
        return Resolution(
            source=str(url),
            location=location,
            name=model_name(url.path),
            sha256=match[1] if match else None,
            further=further,
        )

    async def search(self, words: str, *, tags: Sequence[str], limit: int, cursor: str | None) -> FoundPage | None:
        """There is nothing to search."""
        del words, tags, limit, cursor

    def download(self, location: str, *, start: int, validator: str) -> AbstractAsyncContextManager[Incoming]:
        """Open the file from a place on."""
        return self._web.download(location, start=start, validator=validator, immutable=False)

    async def aclose(self) -> None:
        """Release the client's connections; it makes new ones when it is asked again."""
        await self._web.aclose()
