"""The keys of access tokens as they lie in the database: made at the first start, replaced when they are old."""

from datetime import datetime, timedelta

from fireside.core.clock import Clock
from fireside.core.errors import InternalError
from fireside.core.ids import new_id
from fireside.ports.secret_box import SecretBox
from fireside.runtime.durable import Database
from fireside.services.auth.access_tokens import AccessClaims, AccessTokens, SigningKey, key_id_of, make_signing_key
from fireside.services.auth.errors import InvalidCredentialError
from fireside.services.auth.repository import signing_keys
from fireside.services.auth.settings import AuthSettings

_RELOAD_PAUSE_S = 5.0


class Signing:
    """Makes and verifies access tokens with the keys that all nodes share."""

    def __init__(self, *, database: Database, box: SecretBox, settings: AuthSettings, clock: Clock) -> None:
        self._database, self._box, self._settings, self._clock = database, box, settings, clock
        self._tokens: AccessTokens | None = None
        self._loaded_at = 0.0

    @property
    def tokens(self) -> AccessTokens:
        """What makes tokens."""
        if self._tokens is None:
            raise InternalError("the keys of access tokens are not loaded")
        return self._tokens

    async def load(self) -> None:
        """Read the keys, and make one when there is none, or none young enough.

        Raises:
            SecretUnreadableError: The key ring is not the one they were sealed with.
        """
        now = self._clock.now()
        async with self._database.transaction() as unit:
            keys = await signing_keys.list_all(unit.session, self._box)
            if not any(self._young(key, now) for key in keys):
                await signing_keys.retire_all(unit.session, now=now)
                await signing_keys.add(unit.session, make_signing_key(new_id(), now=now), self._box)
                keys = await signing_keys.list_all(unit.session, self._box)
        settings = self._settings
        useful = [key for key in keys if key.may_have_valid_tokens(now=now, lifetime_s=settings.access_token_s)]
        self._loaded_at = self._clock.monotonic()
        self._tokens = AccessTokens(
            useful, issuer=settings.issuer, audience=settings.audience, lifetime_s=settings.access_token_s
        )

    async def verify(self, token: str) -> AccessClaims:
        """What an access token says. Reads the keys again when another node may have made one since.

        Raises:
            InvalidCredentialError: It does not work.
        """
        if self._may_be_newer(token):
            await self.load()
        return self.tokens.verify(token, now=self._clock.now())

    def _may_be_newer(self, token: str) -> bool:
        try:
            known = self.tokens.knows(key_id_of(token))
        except InvalidCredentialError:
            return False
        return not known and self._clock.monotonic() - self._loaded_at > _RELOAD_PAUSE_S

    def _young(self, key: SigningKey, now: datetime) -> bool:
        return key.retired_at is None and now - key.created_at < timedelta(days=self._settings.signing_key_days)
