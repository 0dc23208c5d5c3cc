"""How many requests one may make: moving windows per user, credential and address.

Every way to present a credential counts alike, because what is counted is whom it stands for. Where people sign in, all
requests of an address count, and failures once more, with a smaller allowance.
"""

import math
from collections.abc import Iterable
from functools import lru_cache

import structlog
from limits import RateLimitItem, parse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireside.core.errors import TooManyRequestsError
from fireside.ports.rate_windows import RateWindows, Window
from fireside.services.gateway.settings import GatewaySettings

log = structlog.stdlib.get_logger(__name__)

SIGN_IN_PATHS = frozenset(
    {"/api/v1/auth/token", "/api/v1/auth/register", "/api/v1/auth/setup", "/api/v1/auth/password"}
)
_REFUSED = frozenset({401, 403})


class RateLimitedError(TooManyRequestsError):
    """Too many requests."""

    code = "rate_limited"


class Rates:
    """How often what may happen, as the settings say at the moment."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings

    @property
    def user(self) -> RateLimitItem:
        """Requests of one user."""
        return _parsed(self._settings.user_rate)

    @property
    def credential(self) -> RateLimitItem:
        """Requests with one credential."""
        return _parsed(self._settings.credential_rate)

    @property
    def anonymous(self) -> RateLimitItem:
        """Requests from one address without a credential."""
        return _parsed(self._settings.anonymous_rate)

    @property
    def sign_in(self) -> RateLimitItem:
        """Requests from one address to sign in."""
        return _parsed(self._settings.sign_in_rate)

    @property
    def failed(self) -> RateLimitItem:
        """Failures of one address to sign in."""
        return _parsed(self._settings.failed_rate)


@lru_cache(maxsize=64)
def _parsed(rate: str) -> RateLimitItem:
    return parse(rate)


class RateLimiter:
    """Counts and refuses."""

    def __init__(self, *, rates: Rates, windows: RateWindows) -> None:
        """Prepare.

        Args:
            rates: How often what may happen.
            windows: Where hits are counted; they must not fail.
        """
        self.rates = rates
        self._windows = windows

    async def admit(self, rate: RateLimitItem, kind: str, who: str) -> None:
        """Count a hit.

        Raises:
            RateLimitedError: There were too many; the details say when to come back.
        """
        window = await self._windows.hit(f"{kind}/{who}", limit=rate.amount, window_s=rate.get_expiry())
        if not window.admitted:
            raise _refusal(rate, window)

    async def require_room(self, rate: RateLimitItem, kind: str, who: str) -> None:
        """Pass when another hit would be admitted, without counting one.

        Raises:
            RateLimitedError: It would not.
        """
        window = await self._windows.look(f"{kind}/{who}", limit=rate.amount, window_s=rate.get_expiry())
        if not window.admitted:
            raise _refusal(rate, window)


def _refusal(rate: RateLimitItem, window: Window) -> RateLimitedError:
    return RateLimitedError(
        f"more than {rate.amount} requests in {rate.get_expiry()} s",
        retry_after_s=max(1, math.ceil(round(window.wait_s, 3))),
        limit=rate.amount,
    )


class RateLimits:
    """Counts every request that reaches a route, after whoever asks is known."""

    def __init__(self, app: ASGIApp, *, limiter: RateLimiter, uncounted_prefixes: Iterable[str] = ()) -> None:
        """Prepare.

        Args:
            app: What comes behind.
            limiter: Counts.
            uncounted_prefixes: Beginnings of the paths that cost next to nothing and are asked for again and again.
        """
        self._app = app
        self._limiter = limiter
        self._uncounted = tuple(uncounted_prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on when it is one of not too many.

        Raises:
            RateLimitedError: It is one of too many.
        """
        if scope["type"] == "lifespan" or scope["path"].startswith(self._uncounted):
            await self._app(scope, receive, send)
            return
        state, limiter = scope["state"], self._limiter
        address, user_id = state["client"].address, state["context"].identity.user_id
        if user_id is None:
            await limiter.admit(limiter.rates.anonymous, "anonymous", address)
        else:
            await limiter.admit(limiter.rates.user, "user", state["user"])
            await limiter.admit(limiter.rates.credential, "credential", state["credential_id"])
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in SIGN_IN_PATHS:
            await limiter.admit(limiter.rates.sign_in, "sign-in", address)
            await limiter.require_room(limiter.rates.failed, "failed", address)
            send = self._counting_failures(send, address)
        await self._app(scope, receive, send)

    def _counting_failures(self, send: Send, address: str) -> Send:
        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _REFUSED:
                try:
                    await self._limiter.admit(self._limiter.rates.failed, "failed", address)
                except RateLimitedError:
                    log.info("sign_in_failures_limited")
            await send(message)

        return send_counted
