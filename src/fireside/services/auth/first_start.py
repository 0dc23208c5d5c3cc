"""What must be there before anybody can sign in: an administrator or the link to become one, and the local key.

The local key lets the command line on this machine in without a password: whoever can read the file may administer, as
they could by changing the database beside it.
"""

import platform
from collections.abc import Callable
from datetime import timedelta

from fireside.contracts.auth_facts import UserRegistered
from fireside.contracts.permissions import ADMIN
from fireside.core.errors import InvalidInputError
from fireside.core.ids import ApiKeyId, UserId, new_id
from fireside.ports.secret_box import SecretFile
from fireside.runtime.context import Context
from fireside.runtime.durable import UnitOfWork
from fireside.services.auth.errors import WeakPasswordError
from fireside.services.auth.model import ApiKey, OneTimeToken, User, normal_email, person
from fireside.services.auth.opaque_tokens import digest, make_api_key, make_one_time_token, parse_api_key, same
from fireside.services.auth.repository import api_keys, one_time_tokens, roles, users
from fireside.services.auth.tools import Tools

LOCAL_EMAIL = "local@localhost"


class FirstStart:
    """Prepares an installation, at every start; does nothing that was done before."""

    def __init__(
        self, tools: Tools, *, local_key_file: SecretFile | None, announce_setup: Callable[[str], None]
    ) -> None:
        """Prepare.

        Args:
            tools: May name the first administrator, in the settings.
            local_key_file: Where the local key lies; None makes none.
            announce_setup: Shows the token of the set-up link to whoever started the process, and to nobody else.
        """
        self._database, self._passwords = tools.database, tools.passwords
        self._settings, self._clock = tools.settings, tools.clock
        self._local_key_file, self._announce_setup = local_key_file, announce_setup

    async def prepare(self, context: Context) -> None:
        """Make what is missing.

        Raises:
            InvalidInputError: A setting does not fit.
            KeyRingError: The file of the local key cannot be used.
        """
        async with self._database.read() as session:
            missing = not await users.has_administrator(session)
            role = await roles.find(session, self._settings.registered_role)
        if role is None:
            raise InvalidInputError(
                f"FIRESIDE_AUTH_REGISTERED_ROLE: there is no role {self._settings.registered_role!r}"
            )
        if missing and self._settings.admin_email:
            await self._make_administrator(context)
        elif missing:
            await self._make_setup_link(context)
        if self._local_key_file is not None:
            await self._ensure_local_key(context, self._local_key_file)

    async def _make_administrator(self, context: Context) -> None:
        email, password = normal_email(self._settings.admin_email), self._settings.admin_password.get_secret_value()
        try:
            password_hash = await self._passwords.hash_new(password, email=email)
        except WeakPasswordError as error:
            raise InvalidInputError(f"FIRESIDE_ADMIN_PASSWORD: {error.message}") from error
        name, now = email.partition("@")[0], self._clock.now()
        user = person(email=email, name=name, role=ADMIN, password_hash=password_hash, now=now)
        async with self._database.transaction(context) as unit:
            if not await users.has_administrator(unit.session):
                await users.add(unit.session, user)
                unit.emit(UserRegistered(user_id=user.id, role=ADMIN, how="environment"))

    async def _make_setup_link(self, context: Context) -> None:
        token, now = make_one_time_token(), self._clock.now()
        link = OneTimeToken(
            id=new_id(),
            purpose="setup",
            token_hash=digest("setup", token.encode()),
            email="",
            role=ADMIN,
            created_at=now,
            expires_at=now + timedelta(hours=self._settings.one_time_link_hours),
        )
        async with self._database.transaction(context) as unit:
            await one_time_tokens.remove_all(unit.session, "setup")
            await one_time_tokens.add(unit.session, link)
        self._announce_setup(token)

    async def _ensure_local_key(self, context: Context, file: SecretFile) -> None:
        text = (file.read() or "").strip()
        if await self._is_valid(text):
            return
        made, now = make_api_key(), self._clock.now()
        async with self._database.transaction(context) as unit:
            user = await users.find_local(unit.session) or await self._add_local_user(unit)
            name = f"command line on {platform.node()}"[:100]
            await api_keys.remove_named(unit.session, user.id, name)
            key = ApiKey(
                id=ApiKeyId(new_id()),
                user_id=user.id,
                name=name,
                prefix=made.prefix,
                secret_hash=made.secret_hash,
                scopes=None,
                created_at=now,
            )
            await api_keys.add(unit.session, key)
        file.write(made.text + "\n")

    async def _is_valid(self, text: str) -> bool:
        parsed = parse_api_key(text)
        if parsed is None:
            return False
        async with self._database.read() as session:
            key = await api_keys.find_by_prefix(session, parsed.prefix)
        return key is not None and same(key.secret_hash, parsed.secret_hash)

    async def _add_local_user(self, unit: UnitOfWork) -> User:
        user = User(
            id=UserId(new_id()),
            email=LOCAL_EMAIL,
            name="Command line",
            role=ADMIN,
            state="active",
            kind="local",
            created_at=self._clock.now(),
        )
        await users.add(unit.session, user)
        unit.emit(UserRegistered(user_id=user.id, role=ADMIN, how="local"))
        return user
