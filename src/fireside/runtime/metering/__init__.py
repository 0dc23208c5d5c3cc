"""Counts what calls of models use, and keeps them within limits."""

from fireside.runtime.metering.allowances import Allowance
from fireside.runtime.metering.errors import LimitExceededError
from fireside.runtime.metering.measured import Expected, Measured, Measures, Unmetered
from fireside.runtime.metering.meter import Meter
from fireside.runtime.metering.replies import BYTES_PER_TOKEN, ReplyReader
from fireside.runtime.metering.rules import Rules
from fireside.runtime.metering.settings import Limit, MeteringSettings, Price
from fireside.runtime.metering.shared_counters import SharedOrOwnCounters

__all__ = [
    "BYTES_PER_TOKEN",
    "Allowance",
    "Expected",
    "Limit",
    "LimitExceededError",
    "Measured",
    "Measures",
    "Meter",
    "MeteringSettings",
    "Price",
    "ReplyReader",
    "Rules",
    "SharedOrOwnCounters",
    "Unmetered",
]
