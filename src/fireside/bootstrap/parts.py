"""The parts that services share on one node, each made once from the settings."""

from collections.abc import Callable
from dataclasses import dataclass, field

from fireside.bootstrap.caches import make_cache, make_rate_windows, make_usage_counters
from fireside.bootstrap.data_folder import make_data_folder
from fireside.bootstrap.environment import file_origins, read_settings
from fireside.bootstrap.event_streams import make_event_stream
from fireside.bootstrap.secrets import secret_box
from fireside.bootstrap.settings import Settings
from fireside.core.clock import Clock, SystemClock
from fireside.core.ids import UserId
from fireside.ports.event_stream import EventStream
from fireside.ports.secret_box import SecretBox
from fireside.runtime.caching import Cache
from fireside.runtime.live import FollowingSettings, SettingsBook
from fireside.runtime.metering import Meter, MeteringSettings, SharedOrOwnCounters
from fireside.runtime.metrics import Metrics
from fireside.services.gateway.shared_windows import SharedOrOwnWindows

Forget = Callable[[UserId | None], None]


@dataclass(frozen=True)
class Parts:
    """What factories of services build with.

    Attributes:
        settings: Of the process.
        book: Settings of services, as they are now.
        stream: Carries facts between services.
        box: Seals secrets at rest.
        announce_setup: Shows the token of the set-up link to whoever started the process.
        forget: Called when what the gateway remembers of a user's credentials no longer holds.
        metrics: Where to count.
        cache: Keeps results for a while.
        clock: Tells the time.
        meter: Holds calls of models to limits, and counts what they use.
        windows: Where rate limits are counted that nodes share; None when each counts alone.
    """

    settings: Settings
    book: SettingsBook
    stream: EventStream
    box: SecretBox
    announce_setup: Callable[[str], None]
    metrics: Metrics
    cache: Cache
    clock: Clock
    meter: Meter
    windows: SharedOrOwnWindows | None = None
    forget: list[Forget] = field(default_factory=lambda: list[Forget]())


def make_parts(settings: Settings, *, announce_setup: Callable[[str], None]) -> Parts:
    """Make the parts; the data folder is made where it is not there.

    Raises:
        SettingsError: The data folder cannot be used, or a URL names a technology that there is no adapter for.
        KeyRingError: The keys of the data folder cannot be read or made.
    """
    make_data_folder(settings.folder)
    clock, metrics, book = SystemClock(), Metrics(), _book(settings)
    return Parts(
        settings=settings,
        book=book,
        stream=make_event_stream(settings.event_stream_url, namespace=settings.namespace),
        box=secret_box(settings, clock),
        announce_setup=announce_setup,
        metrics=metrics,
        cache=make_cache(settings, metrics=metrics, clock=clock),
        clock=clock,
        meter=_meter(settings, book, clock),
        windows=make_rate_windows(settings, clock=clock),
    )


def _meter(settings: Settings, book: SettingsBook, clock: Clock) -> Meter:
    counters = make_usage_counters(settings, clock=clock)
    check = counters.check if isinstance(counters, SharedOrOwnCounters) else None
    meter = Meter(settings=book.of(MeteringSettings), counters=counters, clock=clock, check=check)
    book.listen(MeteringSettings, meter.limits_changed)
    return meter


def _book(settings: Settings) -> SettingsBook:
    follows = read_settings(FollowingSettings).follow
    book = SettingsBook(read_settings, origins=file_origins(settings.folder), follows=follows)
    book.put(settings)
    return book
