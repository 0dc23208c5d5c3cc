"""The act service: runs the searches that a question needs, at once, and merges what they find."""

import asyncio
from collections.abc import Sequence

from fireside.contracts import documents
from fireside.contracts.act import RUN, Evidence, GatherEvidence
from fireside.contracts.answer import Passage, Step
from fireside.contracts.documents import FoundPassage, Passages, SearchDocuments
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError, ForbiddenError, UnauthenticatedError
from fireside.runtime.mesh import Context, Service, action
from fireside.services.act.merging import merge_found
from fireside.services.act.settings import ActSettings

_LONGEST_QUERY_CHARS = 2000


class ActService(Service):
    """Gathers evidence. Keeps nothing."""

    name = "act"

    def __init__(self, *, settings: ActSettings, clock: Clock) -> None:
        """Search with the given limits; the clock times the steps."""
        self._settings = settings
        self._clock = clock

    @action(RUN)
    async def run(self, context: Context, request: GatherEvidence) -> Evidence:
        """Search for every query of the analysis at once and merge the passages.

        A search that fails is reported in `degraded`, as long as another one answers.

        Raises:
            FiresideError: Every search failed; the first failure.
        """
        if not request.analysis.needs_documents:
            return Evidence()
        queries = request.analysis.search_queries[: self._settings.most_searches]
        outcomes = await asyncio.gather(*(self._search(context, query, request) for query in queries))
        results = [outcome for outcome, _ in outcomes if isinstance(outcome, Passages)]
        failures = [outcome for outcome, _ in outcomes if isinstance(outcome, FiresideError)]
        if not results and failures:
            raise failures[0]
        degraded = [notice for result in results for notice in result.degraded]
        if failures:
            degraded.append("One of several searches for this question failed.")
        return Evidence(
            passages=tuple(merge_found([_plain(result.items) for result in results], limit=request.limit)),
            degraded=tuple(dict.fromkeys(degraded)),
            steps=tuple(step for _, step in outcomes),
        )

    async def _search(
        self, context: Context, query: str, request: GatherEvidence
    ) -> tuple[Passages | FiresideError, Step]:
        begun = self._clock.monotonic()
        search = SearchDocuments(
            query=query[:_LONGEST_QUERY_CHARS],
            limit=max(self._settings.search_limit, request.limit),
            collections=request.collections,
        )
        outcome: Passages | FiresideError
        try:
            outcome = await context.call(documents.SEARCH, search, timeout_s=self._settings.search_timeout_s)
        except (ForbiddenError, UnauthenticatedError):
            raise
        except FiresideError as error:
            outcome = error
        elapsed_ms = (self._clock.monotonic() - begun) * 1000
        if isinstance(outcome, FiresideError):
            return outcome, _step("failed", f"{query}: {outcome.message}", elapsed_ms)
        return outcome, _step("done", f"{query}: {len(outcome.items)} passages", elapsed_ms)


def _step(status: str, detail: str, elapsed_ms: float) -> Step:
    return Step.model_validate(
        {"stage": "act", "name": "search", "status": status, "detail": detail, "elapsed_ms": elapsed_ms}
    )


def _plain(items: Sequence[FoundPassage]) -> list[Passage]:
    names = Passage.model_fields.keys()
    return [Passage.model_construct(**{name: getattr(item, name) for name in names}) for item in items]
