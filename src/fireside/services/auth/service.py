"""The actions of the auth service. What each does stands in the module that it hands over to."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import ClassVar

import structlog

from fireside.contracts import auth, auth_admin
from fireside.contracts.base import Nothing
from fireside.core.clock import Clock
from fireside.core.tasks import end
from fireside.ports.secret_box import SecretBox, SecretFile
from fireside.runtime.caching import Cache
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, DatabaseReadOnlyError, DurableService
from fireside.runtime.mesh import action
from fireside.services.auth.accounts import Accounts
from fireside.services.auth.administration import Administration
from fireside.services.auth.api_keys import ApiKeys
from fireside.services.auth.changes import Changes, Forget
from fireside.services.auth.credentials import Credentials
from fireside.services.auth.first_start import FirstStart
from fireside.services.auth.invitations import Invitations
from fireside.services.auth.password_hasher import PasswordHasher
from fireside.services.auth.passwords import Passwords
from fireside.services.auth.registration import Registration
from fireside.services.auth.repository import attempts, one_time_tokens, sessions
from fireside.services.auth.role_book import RoleBook
from fireside.services.auth.sessions import Sessions
from fireside.services.auth.settings import AuthSettings
from fireside.services.auth.signing import Signing
from fireside.services.auth.tools import Tools

log = structlog.stdlib.get_logger(__name__)


class AuthService(DurableService):
    """Accounts, sessions, API keys, users and roles."""

    name: ClassVar[str] = "auth"

    def __init__(  # noqa: PLR0913 - everything it needs from outside, passed by name in one place
        self,
        *,
        database: Database,
        secret_box: SecretBox,
        settings: AuthSettings,
        clock: Clock,
        announce_setup: Callable[[str], None],
        local_key_file: SecretFile | None = None,
        forget: Sequence[Forget] = (),
        hasher: PasswordHasher | None = None,
        cache: Cache | None = None,
    ) -> None:
        """Put the service together.

        Args:
            database: Its own.
            secret_box: Seals the keys of access tokens.
            settings: Limits and times.
            clock: Tells the time.
            announce_setup: Shows the token of the set-up link to whoever started the process, and to nobody else.
            local_key_file: Where the key of the command line on this machine lies; None makes none.
            forget: Called at once when what this process remembers of a user's credentials no longer holds.
            hasher: Hashes passwords; as the settings say by default.
            cache: Has other nodes forget the same, even when their signal is lost.
        """
        super().__init__(database=database)
        hasher = hasher or PasswordHasher(at_once=settings.hashes_at_once)
        passwords = Passwords(database=database, hasher=hasher, settings=settings, clock=clock)
        tools = Tools(database, settings, clock, passwords, Changes(forget, cache))
        self._clock, self._settings = clock, settings
        self._signing = Signing(database=database, box=secret_box, settings=settings, clock=clock)
        self._keys = ApiKeys(tools)
        self._credentials = Credentials(tools, signing=self._signing, keys=self._keys)
        self._registration = Registration(tools)
        self._sessions = Sessions(tools, signing=self._signing)
        self._accounts = Accounts(tools)
        self._administration = Administration(tools)
        self._invitations = Invitations(tools)
        self._roles = RoleBook(tools)
        self._first_start = FirstStart(tools, local_key_file=local_key_file, announce_setup=announce_setup)
        self._housekeeping: asyncio.Task[None] | None = None

    async def start(self, context: Context) -> None:
        """Load the keys, make what a first start needs, and begin to keep house."""
        await self._signing.load()
        try:
            await self._first_start.prepare(context)
        except DatabaseReadOnlyError as error:  # who has an account can sign in; the rest waits for the next start
            log.warning("first_start_put_off", error=error.message)
        self._housekeeping = asyncio.create_task(self._keep_house())

    async def stop(self) -> None:
        """Write what is remembered."""
        if self._housekeeping is not None:
            await end(self._housekeeping)
            self._housekeeping = None
            await self._keys.write_uses()

    async def tidy(self) -> None:
        """Write when keys were used, and forget sessions, links and counts that ran out."""
        now = self._clock.now()
        await self._keys.write_uses()
        async with self.database.transaction() as unit:
            await sessions.remove_expired(unit.session, now=now)
            await one_time_tokens.remove_expired(unit.session, now=now)
            await attempts.forget_before(unit.session, now - timedelta(seconds=self._settings.forget_failures_s))

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(self._settings.housekeeping_s)
            try:
                await self.tidy()
            except Exception:  # the outermost loop: the next round may work
                log.exception("housekeeping_failed", service=self.name)

    @action(auth.SETUP_STATE)
    async def setup_state(self, _context: Context, _request: Nothing) -> auth.SetupState:
        """Whether the first administrator is missing, and who may register."""
        return await self._registration.setup_state()

    @action(auth.SET_UP)
    async def set_up(self, context: Context, request: auth.SetUp) -> auth.UserView:
        """Make the first administrator."""
        return await self._registration.set_up(context, request)

    @action(auth.REGISTER)
    async def register(self, context: Context, request: auth.Register) -> auth.UserView:
        """Make an account for whoever asks."""
        return await self._registration.register(context, request)

    @action(auth.SIGN_IN)
    async def sign_in(self, context: Context, request: auth.SignIn) -> auth.Tokens:
        """Begin a session with address and password."""
        return await self._sessions.sign_in(context, request)

    @action(auth.REFRESH)
    async def refresh(self, context: Context, request: auth.RefreshSession) -> auth.Tokens:
        """The next pair of tokens."""
        return await self._sessions.refresh(context, request)

    @action(auth.SIGN_OUT)
    async def sign_out(self, context: Context, _request: Nothing) -> Nothing:
        """End the session that asks."""
        await self._sessions.sign_out(context)
        return Nothing()

    @action(auth.PUBLIC_KEYS)
    async def public_keys(self, _context: Context, _request: Nothing) -> auth.PublicKeys:
        """What verifies access tokens."""
        keys = self._signing.tokens.public_keys
        return auth.PublicKeys(keys=keys, issuer=self._settings.issuer, audience=self._settings.audience)

    @action(auth.AUTHENTICATE)
    async def authenticate(self, _context: Context, request: auth.Authenticate) -> auth.Authenticated:
        """Whom a credential stands for now."""
        return await self._credentials.authenticate(request)

    @action(auth.ME)
    async def me(self, context: Context, _request: Nothing) -> auth.Profile:
        """Who asks."""
        return await self._accounts.me(context)

    @action(auth.UPDATE_ME)
    async def update_me(self, context: Context, request: auth.UpdateProfile) -> auth.UserView:
        """Change one's own account."""
        return await self._accounts.update(context, request)

    @action(auth.CHANGE_PASSWORD)
    async def change_password(self, context: Context, request: auth.ChangePassword) -> Nothing:
        """Change one's own password."""
        await self._accounts.change_password(context, request)
        return Nothing()

    @action(auth.LIST_SESSIONS)
    async def list_sessions(self, context: Context, _request: Nothing) -> auth.SessionList:
        """Where one is signed in."""
        return await self._sessions.list_own(context)

    @action(auth.REVOKE_SESSION)
    async def revoke_session(self, context: Context, request: auth.SessionRef) -> Nothing:
        """End one of one's own sessions."""
        await self._sessions.revoke(context, request.id)
        return Nothing()

    @action(auth.CREATE_API_KEY)
    async def create_api_key(self, context: Context, request: auth.CreateApiKey) -> auth.CreatedApiKey:
        """Make a key."""
        return await self._keys.create(context, request)

    @action(auth.LIST_API_KEYS)
    async def list_api_keys(self, context: Context, _request: Nothing) -> auth.ApiKeyList:
        """One's own keys."""
        return await self._keys.list_own(context)

    @action(auth.DELETE_API_KEY)
    async def delete_api_key(self, context: Context, request: auth.ApiKeyRef) -> Nothing:
        """Delete one of one's own keys."""
        await self._keys.delete(context, request.id)
        return Nothing()

    @action(auth_admin.LIST_USERS)
    async def list_users(self, _context: Context, request: auth_admin.ListUsers) -> auth_admin.UserPage:
        """People in order of address."""
        return await self._administration.list_users(request)

    @action(auth_admin.GET_USER)
    async def get_user(self, _context: Context, request: auth_admin.UserRef) -> auth.UserView:
        """One account."""
        return await self._administration.get_user(request.id)

    @action(auth_admin.CREATE_USER)
    async def create_user(self, context: Context, request: auth_admin.CreateUser) -> auth.UserView:
        """Make an account."""
        return await self._administration.create_user(context, request)

    @action(auth_admin.UPDATE_USER)
    async def update_user(self, context: Context, request: auth_admin.UpdateUser) -> auth.UserView:
        """Change an account."""
        return await self._administration.update_user(context, request)

    @action(auth_admin.LOCK_USER)
    async def lock_user(self, context: Context, request: auth_admin.UserRef) -> auth.UserView:
        """Keep an account from being used."""
        return await self._administration.lock_user(context, request.id)

    @action(auth_admin.UNLOCK_USER)
    async def unlock_user(self, context: Context, request: auth_admin.UserRef) -> auth.UserView:
        """Let an account be used again."""
        return await self._administration.unlock_user(context, request.id)

    @action(auth_admin.DELETE_USER)
    async def delete_user(self, context: Context, request: auth_admin.UserRef) -> Nothing:
        """Delete an account."""
        await self._administration.delete_user(context, request.id)
        return Nothing()

    @action(auth_admin.LIST_ROLES)
    async def list_roles(self, _context: Context, _request: Nothing) -> auth_admin.RoleList:
        """Every role."""
        return await self._roles.list_roles()

    @action(auth_admin.CREATE_ROLE)
    async def create_role(self, context: Context, request: auth_admin.SaveRole) -> auth_admin.RoleView:
        """Make a role."""
        return await self._roles.create(context, request)

    @action(auth_admin.UPDATE_ROLE)
    async def update_role(self, context: Context, request: auth_admin.SaveRole) -> auth_admin.RoleView:
        """Change a role."""
        return await self._roles.update(context, request)

    @action(auth_admin.DELETE_ROLE)
    async def delete_role(self, context: Context, request: auth_admin.RoleRef) -> Nothing:
        """Delete a role that nobody has."""
        await self._roles.delete(context, request.name)
        return Nothing()

    @action(auth_admin.LIST_PERMISSIONS)
    async def list_permissions(self, _context: Context, _request: Nothing) -> auth_admin.PermissionList:
        """Every permission."""
        return self._roles.list_permissions()

    @action(auth_admin.INVITE)
    async def invite(self, context: Context, request: auth_admin.Invite) -> auth_admin.CreatedInvitation:
        """Invite someone."""
        return await self._invitations.create(context, request)

    @action(auth_admin.LIST_INVITATIONS)
    async def list_invitations(self, _context: Context, _request: Nothing) -> auth_admin.InvitationList:
        """The open invitations."""
        return await self._invitations.list_open()

    @action(auth_admin.DELETE_INVITATION)
    async def delete_invitation(self, context: Context, request: auth_admin.InvitationRef) -> Nothing:
        """Take an invitation back."""
        await self._invitations.delete(context, request.id)
        return Nothing()
