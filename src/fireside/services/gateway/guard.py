"""Everything a request passes before a route sees it, in order: the one place that order is decided."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from fireside.ports.rate_windows import RateWindows
from fireside.runtime.metrics import Metrics
from fireside.services.gateway.allowances import ALLOWANCE_HEADERS, Allowances, KnowsAllowances
from fireside.services.gateway.authentication import Authentication, Doorkeeper, MakeContext
from fireside.services.gateway.body_limit import BodyLimit
from fireside.services.gateway.identities import Authenticator
from fireside.services.gateway.problems import Problems
from fireside.services.gateway.rate_limits import RateLimiter, RateLimits, Rates
from fireside.services.gateway.request_frame import RequestFrame
from fireside.services.gateway.request_metrics import RequestMetrics
from fireside.services.gateway.security_headers import SecurityHeaders
from fireside.services.gateway.settings import GatewaySettings
from fireside.services.gateway.socket_authentication import SocketAuthentication

_ALLOWED_HEADERS = ("*",)
"""All: libraries of clients bring a dozen and more; none does for a page of a named site what its key does not."""
_EXPOSED_HEADERS = (
    *("x-request-id", "request-id", "retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"),
    *ALLOWANCE_HEADERS,
)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PROBES = ("/health/live", "/health/ready", "/metrics")


@dataclass(frozen=True, slots=True)
class Guard:
    """What the guard of an application is made of.

    Attributes:
        authenticator: Remembers whom credentials stand for; have it forget when that changes.
        make_context: A node's `context`.
        settings: Limits, and whom to believe.
        windows: Where hits are counted; they must not fail.
        metrics: Where requests are counted.
        upload_paths: Paths that take large bodies.
        page_files: Beginnings of the paths of the page's files, of which every visit asks for dozens.
        allowances: Knows what is left of the limits of models; None where nobody is told.
        first_message_s: How long a WebSocket without a credential may take to send one.
    """

    authenticator: Authenticator
    make_context: MakeContext
    settings: GatewaySettings
    windows: RateWindows
    metrics: Metrics = field(default_factory=Metrics)
    upload_paths: Sequence[str] = ("/api/v1/documents",)
    page_files: Sequence[str] = ()
    allowances: KnowsAllowances | None = None
    first_message_s: float = 10.0

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, guarded. A request passes from the last line to the first.

        Whoever has nothing to do once the next has begun gives back what is to be awaited, instead of awaiting it: each
        layer that a stream does not wait in spares it memory, and each of its words a step.
        """
        settings = self.settings
        limiter = RateLimiter(rates=Rates(settings), windows=self.windows)
        doorkeeper = Doorkeeper(authenticator=self.authenticator, limiter=limiter, make_context=self.make_context)
        if self.allowances is not None:
            app = Allowances(app, source=self.allowances)
        app = BodyLimit(app, settings=settings, upload_paths=self.upload_paths)
        app = RateLimits(app, limiter=limiter, uncounted_prefixes=(*PROBES, *self.page_files))
        app = Authentication(app, doorkeeper=doorkeeper)
        app = SocketAuthentication(app, doorkeeper=doorkeeper, limiter=limiter, first_message_s=self.first_message_s)
        app = Problems(app)
        if settings.allowed_origins:
            app = CORSMiddleware(
                app,
                allow_origins=settings.allowed_origins,
                allow_methods=_METHODS,
                allow_headers=_ALLOWED_HEADERS,
                expose_headers=_EXPOSED_HEADERS,
            )
        app = SecurityHeaders(app)
        app = RequestMetrics(app, metrics=self.metrics)
        return RequestFrame(app, trusted_proxies=settings.trusted_proxies, site=settings.public_url)
