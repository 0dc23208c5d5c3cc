"""An auth service on a node, with a clock that tests move, and ways to act as someone."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fireside.adapters.secret_box.aes_gcm import AesGcmSecretBox
from fireside.adapters.secret_box.key_ring import KeyRing
from fireside.contracts import auth, auth_admin
from fireside.core.identity import service_identity, user_identity
from fireside.core.ids import UserId
from fireside.runtime.caching import Cache
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.runtime.durable.event_log import read
from fireside.runtime.mesh import Node, Service
from fireside.services.auth import tables
from fireside.services.auth.changes import Forget
from fireside.services.auth.password_hasher import PasswordHasher
from fireside.services.auth.service import AuthService
from fireside.services.auth.settings import AuthSettings
from fireside.testing.durable import QUICK
from fireside.testing.mesh import local_node

MIGRATIONS = Path(tables.__file__).parent / "migrations"
PASSWORD = "correct horse battery"
ADMIN_EMAIL = "admin@example.org"
RING = KeyRing(()).with_new_key(now=datetime(2026, 1, 1, tzinfo=UTC))


@dataclass
class ManualClock:
    """Stands still until a test moves it."""

    moment: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    seconds: float = 1_000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def pass_time(self, **span: float) -> None:
        delta = timedelta(**span)
        self.moment += delta
        self.seconds += delta.total_seconds()


@dataclass
class MemoryFile:
    """A secret file that lies in memory."""

    text: str | None = None

    def read(self) -> str | None:
        return self.text

    def write(self, text: str) -> None:
        self.text = text

    def create(self, text: str) -> bool:
        if self.text is not None:
            return False
        self.text = text
        return True


@dataclass
class House:
    """A running auth service."""

    service: AuthService
    node: Node
    database: Database
    clock: ManualClock
    hasher: PasswordHasher
    announced: list[str] = field(default_factory=list)
    forgotten: list[UserId | None] = field(default_factory=list)
    listeners: list[Forget] = field(default_factory=list)

    @property
    def nobody(self) -> Context:
        return self.node.context()

    async def credential(self, text: str) -> auth.Authenticated:
        """Whom a credential stands for, as the gateway asks."""
        gateway = self.node.context(identity=service_identity("gateway"))
        return await gateway.call(auth.AUTHENTICATE, auth.Authenticate(credential=text))

    async def with_credential(self, text: str) -> Context:
        """A context as the gateway makes it for a credential."""
        found = await self.credential(text)
        identity = user_identity(
            found.user_id, roles=found.roles, permissions=found.permissions, session_id=found.session_id
        )
        return self.node.context(identity=identity)

    async def sign_in(self, email: str, password: str = PASSWORD, **client: Any) -> auth.Tokens:
        request = auth.SignIn(email=email, password=password, client=auth.Client(**{"address": "10.0.0.1", **client}))
        return await self.nobody.call(auth.SIGN_IN, request)

    async def signed_in(self, email: str) -> Context:
        return await self.with_credential((await self.sign_in(email)).access_token)

    async def refresh(self, refresh_token: str, **client: Any) -> auth.Tokens:
        request = auth.RefreshSession(refresh_token=refresh_token, client=auth.Client(**client))
        return await self.nobody.call(auth.REFRESH, request)

    async def admin(self) -> Context:
        return await self.signed_in(ADMIN_EMAIL)

    async def add_user(self, email: str, role: str = "user") -> auth.UserView:
        request = auth_admin.CreateUser(email=email, password=PASSWORD, name=email.partition("@")[0], role=role)
        return await (await self.admin()).call(auth_admin.CREATE_USER, request)

    async def facts(self, topic: str) -> list[str]:
        """The payloads of the facts of a topic, oldest first."""
        async with self.database.read() as session:
            return [entry.payload for entry in await read(session, after=0, topics=[topic])]


class CountingHasher(PasswordHasher):
    """Hashes cheaply and remembers how often it compared."""

    def __init__(self) -> None:
        super().__init__(at_once=2, memory_kib=8)
        self.compared = 0
        self.hashed = 0

    async def hash(self, password: str) -> str:
        self.hashed += 1
        return await super().hash(password)

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        self.compared += 1
        return await super().verify(password, stored)


@asynccontextmanager
async def auth_house(
    database: Database,
    *,
    key_file: MemoryFile | None = None,
    hasher: PasswordHasher | None = None,
    cache: Cache | None = None,
    run: Callable[[Service], AbstractAsyncContextManager[Node]] = local_node,
    **settings: Any,
) -> AsyncGenerator[House]:
    """Run an auth service on a database, with an administrator unless the settings say otherwise."""
    clock = database.clock
    assert isinstance(clock, ManualClock)
    given = {"admin_email": ADMIN_EMAIL, "admin_password": PASSWORD, "housekeeping_s": 3_600.0, **settings}
    hasher = hasher or CountingHasher()
    announced: list[str] = []
    forgotten: list[UserId | None] = []
    listeners: list[Forget] = [forgotten.append]
    service = AuthService(
        database=database,
        secret_box=AesGcmSecretBox(RING),
        settings=AuthSettings(**given),
        clock=clock,
        announce_setup=announced.append,
        local_key_file=key_file,
        forget=listeners,
        hasher=hasher,
        cache=cache,
    )
    async with run(service) as node:
        yield House(service, node, database, clock, hasher, announced, forgotten, listeners)


def auth_database(url: str) -> Database:
    """The database of the auth service, with a clock to move."""
    return Database(url, service="auth", migrations=MIGRATIONS, settings=QUICK, clock=ManualClock())


def everything_in(folder: Path) -> bytes:
    """The bytes of all files of a folder."""
    return b"".join(file.read_bytes() for file in folder.iterdir())
