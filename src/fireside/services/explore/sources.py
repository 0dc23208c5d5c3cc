"""The sources there are, by the scheme of a reference."""

from collections.abc import Mapping

from fireside.ports.model_source import InvalidSourceError, ModelSource


class Sources:
    """Finds the source that a reference belongs to."""

    def __init__(self, sources: Mapping[str, ModelSource]) -> None:
        """Know these, by scheme."""
        self._sources = dict(sources)

    def find(self, reference: str) -> tuple[ModelSource, str]:
        """The source, and the reference without its scheme.

        Raises:
            InvalidSourceError: There is no such source, or the reference could not be one of it.
            SourceForbiddenError: The rules of this installation do not allow it.
        """
        scheme, colon, rest = reference.strip().partition(":")
        source = self._sources.get(scheme.lower())
        if not colon or source is None:
            known = ", ".join(f"{name}:" for name in self._sources)
            raise InvalidSourceError(f"{reference[:200]!r}: neither in the catalogue nor a source ({known})")
        source.check(rest)
        return source, rest

    def get(self, scheme: str) -> ModelSource:
        """The source of that scheme."""
        return self._sources[scheme]

    async def aclose(self) -> None:
        """Release connections."""
        for source in self._sources.values():
            await source.aclose()
