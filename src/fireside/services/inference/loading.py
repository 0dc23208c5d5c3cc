"""Loading and unloading a model when somebody says so, on this node and on all others."""

from abc import abstractmethod

from fireside.contracts.inference import LOAD, UNLOAD, LoadModel, ModelProfile, UnloadModel
from fireside.core.errors import ConflictError
from fireside.runtime.context import Context
from fireside.runtime.mesh import action, on_signal
from fireside.services.inference.model import ServedModel
from fireside.services.inference.serving import Serving


class OffersLoading:
    """The actions of loading, for the service that serves the models."""

    _serving: Serving

    @abstractmethod
    def _profile(self, model: ServedModel) -> ModelProfile: ...

    @action(LOAD)
    async def load(self, context: Context, request: LoadModel) -> ModelProfile:
        """Begin to load a model on this node.

        Raises:
            UnknownModelError: There is no model of that name.
            OverloadedError: Models that are in use or kept leave no room.
            TooLargeForBudgetError: It needs more memory than there is for all.
        """
        model = (await self._serving.for_caller(context, request.name)).get(request.name)
        await self._serving.load(model)
        return self._profile(model)

    @action(UNLOAD)
    async def unload(self, context: Context, request: LoadModel) -> ModelProfile:
        """Give back the memory of a model, here and on the other nodes.

        Raises:
            UnknownModelError: There is no model of that name.
            ConflictError: It is in use, pinned, the default, or one of the settings.
        """
        model = (await self._serving.for_caller(context, request.name)).get(request.name)
        if not await self._serving.release(model):
            raise ConflictError(f"{model.name} is in use, pinned, the default or one of the settings", model=model.name)
        await context.broadcast(UnloadModel(name=model.name))
        return self._profile(model)

    @on_signal(UnloadModel)
    async def follow_unload(self, context: Context, signal: UnloadModel) -> None:
        """Do as another node was told."""
        for model in (await self._serving.for_caller(context)).models:
            if model.name == signal.name:
                await self._serving.release(model)
