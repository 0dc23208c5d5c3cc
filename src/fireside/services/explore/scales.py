"""Weighs models against the machine that the explore service runs on."""

from collections.abc import Callable

from fireside.contracts.explore import Fit
from fireside.ports.model_files import ModelFiles
from fireside.services.explore.errors import DoesNotFitError
from fireside.services.explore.fitting import Machine, fit
from fireside.services.explore.settings import ExploreSettings


class Scales:
    """Tells of models whether they fit."""

    def __init__(self, files: ModelFiles, settings: ExploreSettings, memory_bytes: Callable[[], int]) -> None:
        """Weigh against this memory and the disk of these files."""
        self._files, self._settings, self._memory_bytes = files, settings, memory_bytes

    def machine(self) -> Machine:
        """What there is now."""
        return Machine(self._memory_bytes(), self._files.free_bytes(), self._settings.reserve_bytes)

    def weigh(
        self,
        size_bytes: int | None,
        *,
        kv_bytes_per_token: int | None = None,
        context_tokens: int | None = None,
        on_disk: bool = False,
        machine: Machine | None = None,
    ) -> Fit:
        """Whether a model of this size fits, with its own window or the one of the settings, whichever is less."""
        return fit(
            machine or self.machine(),
            size_bytes=size_bytes,
            kv_bytes_per_token=kv_bytes_per_token,
            context_tokens=min(context_tokens or self._settings.context_tokens, self._settings.context_tokens),
            on_disk=on_disk,
        )

    def require_memory(
        self, size_bytes: int, *, kv_bytes_per_token: int | None = None, context_tokens: int | None = None
    ) -> None:
        """Pass when a model fits into memory.

        Raises:
            DoesNotFitError: It does not; the text has the figures.
        """
        found = self.weigh(
            size_bytes, kv_bytes_per_token=kv_bytes_per_token, context_tokens=context_tokens, on_disk=True
        )
        if found.fits is False:
            raise DoesNotFitError(
                f"{found.reason}, with a window of {found.context_tokens} tokens; 'anyway' installs it all the same",
                needed_bytes=found.needed_bytes,
                memory_bytes=found.memory_bytes,
            )
