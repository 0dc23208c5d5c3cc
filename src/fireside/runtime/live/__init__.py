"""Settings that change while a node runs: held in one book, read on use, kept the same on all nodes."""

from fireside.runtime.live.book import SettingsBook, Shown, live_variables, variable_of
from fireside.runtime.live.follower import SettingsFollower
from fireside.runtime.live.masking import HIDDEN, masked, masked_text
from fireside.runtime.live.settings import FollowingSettings

__all__ = [
    "HIDDEN",
    "FollowingSettings",
    "SettingsBook",
    "SettingsFollower",
    "Shown",
    "live_variables",
    "masked",
    "masked_text",
    "variable_of",
]
