"""How accounts come into being without an administrator: set-up, registration, invitation."""

from fireside.contracts.auth import Register, SetUp, SetupState, UserView
from fireside.contracts.auth_facts import RegistrationRepeated, UserRegistered
from fireside.contracts.permissions import ADMIN
from fireside.runtime.context import Context
from fireside.services.auth.errors import InvalidOneTimeTokenError, RegistrationClosedError, SetUpDoneError
from fireside.services.auth.model import User, normal_email, person
from fireside.services.auth.opaque_tokens import digest
from fireside.services.auth.repository import one_time_tokens, roles, users
from fireside.services.auth.tools import Tools
from fireside.services.auth.views import user_view


class Registration:
    """Lets the first administrator in, and then whoever may register."""

    def __init__(self, tools: Tools) -> None:
        self._database, self._passwords = tools.database, tools.passwords
        self._settings, self._clock = tools.settings, tools.clock

    async def setup_state(self) -> SetupState:
        """Whether the first administrator is missing, and who may register."""
        async with self._database.read() as session:
            required = not await users.has_administrator(session)
        return SetupState(required=required, registration=self._settings.registration)

    async def set_up(self, context: Context, request: SetUp) -> UserView:
        """Make the first administrator.

        Raises:
            InvalidOneTimeTokenError: The set-up link does not work, or does no more.
            SetUpDoneError: There is an administrator.
            WeakPasswordError: The password is too easy to guess.
            EmailTakenError: There is an account with this address.
        """
        token_hash = digest("setup", request.token.encode())
        await self._require_token(token_hash)
        user = await self._new_user(request, role=ADMIN)
        async with self._database.transaction(context) as unit:
            await one_time_tokens.take(unit.session, "setup", token_hash, now=user.created_at)
            if await users.has_administrator(unit.session):
                raise SetUpDoneError
            await users.add(unit.session, user)
            await one_time_tokens.remove_all(unit.session, "setup")
            unit.emit(UserRegistered(user_id=user.id, role=user.role, how="setup"))
        return user_view(user)

    async def register(self, context: Context, request: Register) -> UserView:
        """Make an account for whoever asks.

        Without an invitation, the answer for an address that has an account is the same as for one that has none;
        nothing is made or changed then.

        Raises:
            RegistrationClosedError: Accounts are made by administrators, or there is no administrator yet.
            InvalidOneTimeTokenError: The invitation does not work, or is for another address.
            EmailTakenError: The invited address has an account by now.
            WeakPasswordError: The password is too easy to guess.
        """
        await self._require_open(invited=request.invitation is not None)
        if request.invitation is not None:
            return await self._register_invited(context, request, request.invitation)
        user = await self._new_user(request, role=self._settings.registered_role)
        async with self._database.transaction(context) as unit:
            await roles.get_to_give(unit.session, user.role)
            present = await users.find_by_email(unit.session, user.email)
            if present is None:
                await users.add(unit.session, user)
                unit.emit(UserRegistered(user_id=user.id, role=user.role, how="open"))
            else:
                unit.emit(RegistrationRepeated(user_id=present.id, address=request.client.address))
        return user_view(user)

    async def _register_invited(self, context: Context, request: Register, invitation: str) -> UserView:
        token_hash, now = digest("invitation", invitation.encode()), self._clock.now()
        async with self._database.read() as session:
            token = await one_time_tokens.get(session, "invitation", token_hash, now=now)
        if token.email != normal_email(request.email):
            raise InvalidOneTimeTokenError("the invitation is for another address")
        user = await self._new_user(request, role=token.role)
        async with self._database.transaction(context) as unit:
            await one_time_tokens.take(unit.session, "invitation", token_hash, now=now)
            await roles.get_to_give(unit.session, user.role)
            await users.add(unit.session, user)
            unit.emit(UserRegistered(user_id=user.id, role=user.role, how="invitation"))
        return user_view(user)

    async def _require_open(self, *, invited: bool) -> None:
        registration = self._settings.registration
        if registration == "closed" or (registration == "invite" and not invited):
            raise RegistrationClosedError
        if (await self.setup_state()).required:
            raise RegistrationClosedError("the first administrator comes first: open the set-up link")

    async def _require_token(self, token_hash: bytes) -> None:
        async with self._database.read() as session:
            await one_time_tokens.get(session, "setup", token_hash, now=self._clock.now())

    async def _new_user(self, request: SetUp | Register, *, role: str) -> User:
        email = normal_email(request.email)
        password_hash = await self._passwords.hash_new(request.password, email=email)
        return person(email=email, name=request.name, role=role, password_hash=password_hash, now=self._clock.now())
