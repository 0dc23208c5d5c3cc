"""What may be said about a model. No I/O."""

from dataclasses import replace

from fireside.contracts.explore import ChangeModel, ModelView, RunOptions
from fireside.core.errors import ConflictError
from fireside.services.explore.model import StoredRule


def changed(rule: StoredRule, view: ModelView, request: ChangeModel) -> StoredRule:
    """The rule as somebody wants it.

    Raises:
        ConflictError: A model that is off, or that does not chat, shall be the default; or one of the settings is to be
            run in another way than they say.
    """
    enabled = rule.enabled if request.enabled is None else request.enabled
    if request.is_default and not enabled:
        raise ConflictError(f"{view.name!r} is turned off: it cannot be the default", model=view.name)
    if request.is_default and view.kind != "chat":
        raise ConflictError(f"{view.name!r} does not chat: it cannot be the default", model=view.name)
    if request.run is not None and request.run != RunOptions() and view.source is None:
        raise ConflictError(f"how {view.name!r} is run stands in the settings", model=view.name)
    return replace(
        rule,
        enabled=enabled,
        roles=rule.roles if request.roles is None else (request.roles or None),
        tags=rule.tags if request.tags is None else request.tags,
        is_default=rule.is_default if request.is_default is None else request.is_default,
        run=request.run or rule.run,
    )
