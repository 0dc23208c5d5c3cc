"""The explore service: its actions and its job, and the parts it is put together from."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from fireside.contracts import explore, providers
from fireside.contracts.base import Nothing
from fireside.contracts.jobs import JobFinished, JobRef, JobView, jobs_of
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.core.ids import JobId
from fireside.core.tasks import end
from fireside.ports.model_files import ModelFiles
from fireside.ports.model_source import ModelSource
from fireside.runtime.caching import Cache
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, DurableService, JobRun, UnitOfWork, on_job
from fireside.runtime.mesh import action, on_event, on_signal
from fireside.services.explore import naming, repository
from fireside.services.explore.curated import curated_models, find_curated
from fireside.services.explore.errors import InstallNotFoundError, ModelNameTakenError
from fireside.services.explore.fetching import Fetching
from fireside.services.explore.installing import Installing
from fireside.services.explore.model_book import ModelBook
from fireside.services.explore.providing import Providing
from fireside.services.explore.ruling import changed
from fireside.services.explore.scales import Scales
from fireside.services.explore.settings import ExploreSettings
from fireside.services.explore.showing import Showing
from fireside.services.explore.sources import Sources
from fireside.services.explore.work import INSTALL, InstallJob

log = structlog.stdlib.get_logger(__name__)

_CARE_INTERVAL_S = 6 * 3600.0


class ExploreService(DurableService):
    """Models: what there is, what can be installed, who may use which."""

    name = "explore"

    def __init__(  # noqa: PLR0913 - everything it needs from outside, passed by name in one place
        self,
        *,
        database: Database,
        files: ModelFiles,
        sources: Mapping[str, ModelSource],
        settings: ExploreSettings,
        clock: Clock,
        memory_bytes: Callable[[], int],
        cache: Cache | None = None,
    ) -> None:
        """Put the service together.

        Args:
            database: The service's own.
            files: Keeps model files.
            sources: Where models come from, by scheme.
            settings: Limits.
            clock: Tells the time.
            memory_bytes: Tells how much memory this machine has.
            cache: Keeps what is known of the models here; nothing does without one.
        """
        super().__init__(database=database)
        self._files, self._settings, self._clock = files, settings, clock
        self._sources = Sources(sources)
        scales = Scales(files, settings, memory_bytes)
        self._book = ModelBook(database, cache, ttl_s=settings.cache_ttl_s)
        self._showing = Showing(self._book, files, self._sources, scales)
        self._providing = Providing(database, clock)
        fetching = Fetching(files, settings, clock)
        self._installing = Installing(database, self._book, files, self._sources, scales, settings, clock, fetching)
        self._care: asyncio.Task[None] | None = None

    async def start(self, context: Context) -> None:
        """Throw abandoned downloads away from time to time, and have the models here at hand."""
        del context
        await asyncio.to_thread(curated_models)  # the first who looks into the catalogue waits for no file
        await self._book.start()
        self._care = asyncio.create_task(self._take_care())

    async def stop(self) -> None:
        """End what `start` began."""
        await end(self._care)

    async def close(self) -> None:
        """Let go of connections and the database."""
        await self._sources.aclose()
        await super().close()

    async def _take_care(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._files.drop_stale, older_than_s=self._settings.stale_s)
            except FiresideError as error:
                log.info("drafts_not_looked_after", code=error.code)
            except Exception:  # the outermost loop: the next round may work
                log.exception("drafts_not_looked_after")
            await asyncio.sleep(_CARE_INTERVAL_S)

    @action(explore.LIST)
    async def list_models(self, context: Context, request: explore.ListModels) -> explore.ModelPage:
        """Show the models here."""
        return await self._showing.page(context, request)

    @action(explore.CATALOGUE)
    async def catalogue(self, context: Context, request: explore.SearchCatalogue) -> explore.CataloguePage:
        """Show what can be installed."""
        return await self._showing.catalogue(context, request)

    @action(explore.SHELF)
    async def shelf(self, context: Context, request: Nothing) -> explore.Shelf:
        """Tell who runs models what there is to run, and for whom."""
        del context, request
        return await self._providing.onto(await self._showing.shelf())

    @action(providers.LIST)
    async def list_providers(self, context: Context, request: Nothing) -> providers.Providers:
        """Show the providers of models."""
        del request
        return await self._providing.views(context)

    @action(providers.SET)
    async def set_provider(self, context: Context, request: providers.SetProvider) -> providers.ProviderView:
        """Make or change a provider."""
        return await self._providing.save(context, request)

    @action(providers.REMOVE)
    async def remove_provider(self, context: Context, request: providers.ProviderRef) -> Nothing:
        """Remove a provider."""
        await self._providing.remove(context, request.name)
        return Nothing()

    @action(providers.TEST)
    async def test_provider(self, context: Context, request: providers.SetProvider) -> providers.ProviderTrial:
        """Ask a provider for its models."""
        return await self._providing.test(context, request)

    @action(providers.ROLES)
    async def roles(self, context: Context, request: Nothing) -> providers.RoleChains:
        """Show the models of roles."""
        del context, request
        return await self._providing.roles()

    @action(providers.SET_ROLES)
    async def set_roles(self, context: Context, request: providers.RoleChains) -> providers.RoleChains:
        """Change the models of roles."""
        return await self._providing.set_roles(context, request)

    @action(explore.INSTALL)
    async def install(self, context: Context, request: explore.InstallModel) -> explore.InstallStarted:
        """Begin to install a model.

        Raises:
            InvalidSourceError: The source is none.
            SourceForbiddenError: It may not be asked.
            ModelNameTakenError: The name belongs to a model of the settings.
        """
        curated = find_curated(request.source)
        payload = InstallJob(
            source=curated.source if curated else request.source.strip(),
            name=request.name or (curated.name if curated else None),
            sha256=request.sha256 or (curated.sha256 if curated else None),
            anyway=request.anyway,
        )
        self._sources.find(payload.source)
        if payload.name is not None:
            await self._refuse_configured(context, payload.name)
        owner_id = context.identity.user_id
        async with self.database.transaction(context) as unit:
            key = f"{owner_id}:{payload.source}:{payload.name or ''}:{payload.sha256 or ''}"
            job_id = unit.enqueue(INSTALL, payload, owner_id=owner_id, key=key)
        return explore.InstallStarted(job_id=job_id, source=payload.source)

    async def _refuse_configured(self, context: Context, name: str) -> None:
        for view in await self._showing.views(context):
            if view.name.lower() == name.lower() and view.source is None:
                raise ModelNameTakenError(f"{name!r} is named in the settings: choose another name", model=name)

    @action(explore.REMOVE)
    async def remove(self, context: Context, request: explore.ModelRef) -> Nothing:
        """Remove an installed model."""
        await self._showing.view(context, request.name)
        await naming.remove(self.database, self._files, context, request.name)
        await self._book.changed(context)
        return Nothing()

    @action(explore.COPY)
    async def copy(self, context: Context, request: explore.CopyModel) -> explore.ModelView:
        """Give a model a second name."""
        await self._showing.view(context, request.name)
        await self._refuse_configured(context, request.to)
        await naming.copy(self.database, self._files, self._clock, context, (request.name, request.to))
        await self._book.changed(context)
        return await self._showing.view(context, request.to)

    @action(explore.CHANGE)
    async def change(self, context: Context, request: explore.ChangeModel) -> explore.ModelView:
        """Change what is said about a model.

        Raises:
            ModelNotFoundError: There is none of that name.
            ConflictError: It cannot be as it is wanted; see `ruling`.
        """
        view = await self._showing.view(context, request.name)
        async with self.database.transaction(context) as unit:
            rule = changed(await repository.find_rule(unit.session, view.name), view, request)
            await repository.put_rule(unit.session, rule, now=self._clock.now())
        await self._book.changed(context)
        return await self._showing.view(context, view.name)

    @on_signal(explore.ModelsChanged)
    async def read_again(self, context: Context, signal: explore.ModelsChanged) -> None:
        """Another node changed something: what this one remembers does not hold any more."""
        del context, signal
        await self._book.forget()

    @action(explore.PAUSE)
    async def pause(self, context: Context, request: explore.InstallRef) -> Nothing:
        """Have an installation wait, without its connection.

        Raises:
            InstallNotFoundError: None of that job is under way.
        """
        job = await self._job(context, request.job_id)
        if job.kind != INSTALL.kind or job.state not in {"queued", "running"}:
            raise InstallNotFoundError(f"no installation of the job {request.job_id} is under way")
        async with self.database.transaction(context) as unit:
            await repository.pause(unit.session, request.job_id)
        return Nothing()

    @action(explore.RESUME)
    async def resume(self, context: Context, request: explore.InstallRef) -> Nothing:
        """Have an installation go on."""
        await self._job(context, request.job_id)
        async with self.database.transaction(context) as unit:
            await repository.resume(unit.session, request.job_id)
        return Nothing()

    async def _job(self, context: Context, job_id: JobId) -> JobView:
        """The job, whosever it is: who manages models may hold every installation."""
        return await context.as_service(self.name).call(jobs_of(self.name).get, JobRef(id=job_id))

    @on_job(INSTALL)
    async def run_install(self, context: Context, run: JobRun, payload: InstallJob) -> dict[str, Any]:
        """Install a model."""
        return await self._installing.install(context, run, payload)

    @on_event(JobFinished)
    async def forget_pause(self, context: Context, event: JobFinished, unit: UnitOfWork) -> None:
        """Forget that an installation was to wait whose job has ended."""
        del context
        if event.service == self.name:
            await repository.resume(unit.session, event.job_id)
