"""Showing models: those that are here, as the caller may see them, and those that can be installed."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from fireside.contracts import inference
from fireside.contracts.base import Nothing
from fireside.contracts.explore import (
    CatalogueItem,
    CataloguePage,
    ListModels,
    ModelPage,
    ModelView,
    SearchCatalogue,
    Shelf,
)
from fireside.contracts.inference import ModelProfile
from fireside.contracts.permissions import MODELS_MANAGE
from fireside.core.errors import InvalidInputError, UnavailableError
from fireside.core.identity import Identity, service_identity
from fireside.ports.model_files import ModelFiles
from fireside.runtime.context import Context
from fireside.services.explore.curated import matching
from fireside.services.explore.errors import InvalidCursorError, ModelNotFoundError
from fireside.services.explore.model import StoredModel, StoredRule, name_key
from fireside.services.explore.model_book import Known, ModelBook
from fireside.services.explore.scales import Scales
from fireside.services.explore.sources import Sources

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Showing:
    """Reads; changes nothing."""

    book: ModelBook
    files: ModelFiles
    sources: Sources
    scales: Scales

    async def shelf(self) -> Shelf:
        """Everything that who runs models must know."""
        known = await self.book.read_now()
        rules = known.rules
        return Shelf(
            rules=tuple(rule.as_rule() for rule in rules.values()),
            installed=tuple(
                model.on_shelf(
                    str(self.files.path(model.digest)), rules.get(name_key(model.name), StoredRule(model.name)).run
                )
                for model in known.models
            ),
        )

    async def page(self, context: Context, wish: ListModels) -> ModelPage:
        """The models here that the caller may use; with `everything`, for managers, all.

        Raises:
            ForbiddenError: Everything was asked for by somebody else.
        """
        if wish.everything:
            context.identity.require(MODELS_MANAGE)
        views = [
            view
            for view in await self._views(context, await self.book.read())
            if (wish.everything or _may_use(view, context.identity))
            and wish.family in {None, view.family}
            and (wish.tag is None or wish.tag in view.tags)
        ]
        items, following = _cut(views, [name_key(view.name) for view in views], wish.cursor, wish.limit)
        return ModelPage(items=tuple(items), next_cursor=following)

    async def view(self, context: Context, name: str) -> ModelView:
        """One model, whoever may use it.

        Raises:
            ModelNotFoundError: There is none of that name.
        """
        for view in await self.views(context):
            if name_key(view.name) == name_key(name):
                return view
        raise ModelNotFoundError(f"there is no model {name!r}", model=name)

    async def views(self, context: Context) -> list[ModelView]:
        """Every model, in order of name, as the database has it now."""
        return await self._views(context, await self.book.read_now())

    async def _views(self, context: Context, known: Known) -> list[ModelView]:
        served: dict[str, ModelProfile] = {}
        with suppress(UnavailableError):  # what is installed can be shown without
            everyone = context.with_identity(service_identity("explore"))
            found = await everyone.call(inference.MODELS, Nothing())
            served = {name_key(profile.name): profile for profile in found.items}
        stored = {name_key(model.name): model for model in known.models}
        return [
            self._view(served.get(key), stored.get(key), known.rules.get(key))
            for key in sorted(served.keys() | stored.keys())
        ]

    def _view(self, profile: ModelProfile | None, model: StoredModel | None, rule: StoredRule | None) -> ModelView:
        known = profile.model_dump(exclude_none=True) if profile else {}
        if model is not None:
            here = self.files.path(model.digest).is_file()
            facts = {
                "name": model.name,
                "state": "installed" if here else "missing",
                "answer_style": model.answer_style,
                "kind": model.kind,
                "context_tokens": model.context_tokens,
                "family": model.family,
                "architecture": model.architecture,
                "quantisation": model.quantisation,
                "parameters": model.parameters,
                "size_bytes": model.size_bytes,
                "licence": model.licence,
                "languages": model.languages,
                "categories": model.categories,
                "tags": model.tags,
                "source": model.source,
                "digest": model.digest,
                "installed_at": model.installed_at,
                "fit": self.scales.weigh(
                    model.size_bytes,
                    kv_bytes_per_token=model.kv_bytes_per_token,
                    context_tokens=model.context_tokens,
                    on_disk=here,
                ),
            }
            known = facts | known
        rule = rule or StoredRule(str(known["name"]))
        said = {"enabled": rule.enabled, "roles": rule.roles, "is_default": rule.is_default, "run": rule.run}
        return ModelView.model_validate(known | said | ({} if rule.tags is None else {"tags": rule.tags}))

    async def catalogue(self, context: Context, wish: SearchCatalogue) -> CataloguePage:
        """What can be installed.

        Raises:
            ForbiddenError: Another origin than the curated list is for managers of models.
            InvalidInputError: This origin cannot be asked for that.
            BrokenDownloadError: The origin does not answer.
        """
        if wish.origin != "curated":
            context.identity.require(MODELS_MANAGE)
            return await self._found(wish)
        stored = (await self.book.read()).models
        digests, names = {model.digest for model in stored}, {name_key(model.name) for model in stored}
        machine, found = self.scales.machine(), matching(wish)
        shown, following = _cut(found, [model.name for model in found], wish.cursor, wish.limit)
        items = [
            model.as_item(
                installed=model.sha256 in digests or model.name in names,
                fit=self.scales.weigh(
                    model.about_bytes,
                    kv_bytes_per_token=model.kv_bytes_per_token,
                    context_tokens=model.context_tokens,
                    machine=machine,
                ),
            )
            for model in shown
        ]
        return CataloguePage(items=tuple(items), next_cursor=following)

    async def _found(self, wish: SearchCatalogue) -> CataloguePage:
        if wish.family or wish.category or wish.language or wish.max_bytes is not None:
            raise InvalidInputError(f"{wish.origin} can be searched by words and one tag only")
        source = self.sources.get(wish.origin)
        tags = (wish.tag,) if wish.tag else ()
        page = await source.search(wish.query, tags=tags, limit=wish.limit, cursor=wish.cursor)
        items = [
            CatalogueItem(
                name=found.title,
                title=found.title,
                source=found.source,
                licence=found.licence,
                tags=found.tags,
                languages=found.languages,
                downloads=found.downloads,
            )
            for found in (page.items if page else ())
        ]
        return CataloguePage(items=tuple(items), next_cursor=page.next_cursor if page else None)


def _may_use(view: ModelView, identity: Identity) -> bool:
    return view.enabled and (view.roles is None or not identity.roles.isdisjoint(view.roles))


def _cut(
    items: Sequence[ItemT], keys: Sequence[str], cursor: str | None, limit: int
) -> tuple[Sequence[ItemT], str | None]:
    """The page that follows the item whose key the cursor names, and the cursor of the next."""
    after = "" if cursor is None else _decoded(cursor)
    begin = next((place for place, key in enumerate(keys) if key > after), len(keys))
    end = begin + limit
    following = urlsafe_b64encode(keys[end - 1].encode()).decode() if end < len(keys) else None
    return items[begin:end], following


def _decoded(cursor: str) -> str:
    try:
        return urlsafe_b64decode(cursor.encode("ascii")).decode("utf-8")
    except (Base64Error, UnicodeError, ValueError) as error:
        raise InvalidCursorError(cursor=cursor[:200]) from error
