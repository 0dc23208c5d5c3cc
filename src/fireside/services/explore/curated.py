"""The list of models that comes with Fireside, and finding in it."""

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict

from fireside.contracts.explore import CatalogueItem, SearchCatalogue

_BITS = {"Q4_1": 5.0, "Q4_K_M": 4.9, "Q8_0": 8.5}
"""Bits that a weight takes, about, with everything beside the weights."""


class CuratedModel(BaseModel):
    """One model of the list; the fields are those of `CatalogueItem`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    source: str
    description: str
    family: str
    parameters: int
    quantisation: str
    context_tokens: int
    kv_bytes_per_token: int
    licence: str
    languages: tuple[str, ...]
    categories: tuple[str, ...]
    tags: tuple[str, ...]
    size_bytes: int | None = None
    sha256: str | None = None

    @property
    def about_bytes(self) -> int:
        """The size of its file, estimated where it is not known."""
        return self.size_bytes or round(self.parameters * _BITS[self.quantisation] / 8)

    def as_item(self, **more: Any) -> CatalogueItem:
        """The model as the catalogue shows it."""
        return CatalogueItem(
            **self.model_dump(exclude={"kv_bytes_per_token", "size_bytes"}),
            size_bytes=self.about_bytes,
            size_is_estimate=self.size_bytes is None,
            **more,
        )


@cache
def curated_models() -> tuple[CuratedModel, ...]:
    """The list, in order of name."""
    text = files("fireside.services.explore").joinpath("catalogue.toml").read_text("utf-8")
    listed: list[Any] = tomllib.loads(text)["model"]
    return tuple(sorted((CuratedModel(**item) for item in listed), key=lambda model: model.name))


def find_curated(name_or_source: str) -> CuratedModel | None:
    """The model of that name, or with exactly that source."""
    return next((model for model in curated_models() if name_or_source in {model.name, model.source}), None)


def matching(wish: SearchCatalogue) -> Sequence[CuratedModel]:
    """The models that fit a search, in order of name."""
    words = wish.query.lower().split()
    return [model for model in curated_models() if _fits(model, wish) and _has_words(model, words)]


def _fits(model: CuratedModel, wish: SearchCatalogue) -> bool:
    return (
        wish.family in {None, model.family}
        and (wish.tag is None or wish.tag in model.tags)
        and (wish.category is None or wish.category in model.categories)
        and (wish.language is None or wish.language in model.languages)
        and (wish.max_bytes is None or model.about_bytes <= wish.max_bytes)
    )


def _has_words(model: CuratedModel, words: Sequence[str]) -> bool:
    parts = (model.name, model.title, model.description, model.family, *model.tags, *model.categories)
    text = " ".join(parts).lower()
    return all(word in text for word in words)
