"""The tags of what is kept about users, by which every node hears that it no longer holds."""

from collections.abc import Callable
from uuid import UUID

from fireside.core.ids import UserId
from fireside.ports.cache import Forgotten

_ALL = "users"
_ONE = "user:"


def user_tag(user_id: UserId | None) -> str:
    """The tag of what is kept about one user; about all of them when None."""
    return _ALL if user_id is None else f"{_ONE}{user_id}"


def telling_users(forget: Callable[[UserId | None], None]) -> Callable[[Forgotten], None]:
    """A listener of a cache that calls a function with each user, or with None for all, whose tag was forgotten."""

    def tell(forgotten: Forgotten) -> None:
        if forgotten.everything or _ALL in forgotten.tags:
            forget(None)
            return
        for tag in forgotten.tags:
            if tag.startswith(_ONE):
                forget(UserId(UUID(tag.removeprefix(_ONE))))

    return tell
