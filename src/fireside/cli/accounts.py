"""`fireside users` and `fireside keys`."""

from typing import Annotated, Any

import typer

from fireside.cli.connection import CommandError, Connection
from fireside.cli.output import AsJson, moment, print_done, print_json, print_table
from fireside.cli.session import session_of

_USERS = "/api/v1/admin/users"
_KEYS = "/api/v1/auth/api-keys"
Person = Annotated[str, typer.Argument(help="Their e-mail address, or the id of the account.")]


def user_commands() -> typer.Typer:
    """The commands about people."""
    app = typer.Typer(no_args_is_help=True)
    app.command("list")(list_users)
    app.command("add")(add_user)
    app.command("role")(change_role)
    app.command("lock")(lock)
    app.command("unlock")(unlock)
    app.command("remove")(remove)
    return app


def key_commands() -> typer.Typer:
    """The commands about API keys."""
    app = typer.Typer(no_args_is_help=True)
    app.command("list")(list_keys)
    app.command("create")(create_key)
    app.command("revoke")(revoke_key)
    return app


def list_users(
    ctx: typer.Context,
    query: Annotated[str | None, typer.Option(help="Part of a name or address.")] = None,
    as_json: AsJson = False,
) -> None:
    """List people."""

    async def work(connection: Connection) -> list[dict[str, Any]]:
        return [user async for user in connection.items(_USERS, query=query, limit=100)]

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
        return
    rows = [
        (user["email"], user["name"], user["role"], user["state"], moment(user["last_sign_in_at"]), user["id"])
        for user in found
    ]
    print_table(("e-mail", "name", "role", "state", "last signed in", "id"), rows)


def add_user(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="E-mail address.")],
    name: Annotated[str, typer.Option(prompt=True, help="What people call them.")],
    password: Annotated[
        str,
        typer.Option(
            prompt=True, hide_input=True, confirmation_prompt=True, envvar="FIRESIDE_NEW_PASSWORD",
            help="Asked for unless FIRESIDE_NEW_PASSWORD has it; other people of this machine can see options.",
        ),
    ],
    role: Annotated[str, typer.Option(help="admin, editor, user, viewer, or a role of your own.")] = "user",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Add a person; asks for name and password."""
    body = {"email": email, "name": name, "role": role, "password": password}
    user = _send(ctx, "POST", _USERS, body)
    print_done(user, f"added {user['email']} as {user['role']}", as_json=as_json)


def change_role(
    ctx: typer.Context,
    person: Person,
    role: Annotated[str, typer.Argument(help="admin, editor, user, viewer, or a role of your own.")],
    as_json: AsJson = False,
) -> None:
    """Give a person another role; it holds at once."""
    user = _about(ctx, "PATCH", person, body={"role": role})
    print_done(user, f"{user['email']} is now {user['role']}", as_json=as_json)


def lock(ctx: typer.Context, person: Person, as_json: AsJson = False) -> None:
    """Keep a person out and end their sessions."""
    user = _about(ctx, "POST", person, "/lock")
    print_done(user, f"{user['email']} is locked out", as_json=as_json)


def unlock(ctx: typer.Context, person: Person, as_json: AsJson = False) -> None:
    """Let a person in again."""
    user = _about(ctx, "POST", person, "/unlock")
    print_done(user, f"{user['email']} may come in again", as_json=as_json)


def remove(
    ctx: typer.Context,
    person: Person,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a person's account and what belongs to it."""
    if not yes:
        typer.confirm(f"Delete the account {person} and everything that belongs to it?", abort=True)
    _about(ctx, "DELETE", person)
    print_done({"removed": person}, f"removed {person}", as_json=as_json)


def list_keys(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List your API keys; the keys themselves are never shown again."""

    async def work(connection: Connection) -> list[dict[str, Any]]:
        return [key async for key in connection.items(_KEYS)]

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
        return
    rows = [
        (key["id"], key["name"], key["prefix"], moment(key["expires_at"]), moment(key["last_used_at"])) for key in found
    ]
    print_table(("id", "name", "begins with", "expires", "last used"), rows)


def create_key(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="A permission it keeps, such as chat:write; repeat for more.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends: 2027-01-31T00:00:00Z. Never, if left out.")] = None,
    email: Annotated[
        str | None, typer.Option(help="Your address, to make a key of your own with your password; no key is needed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key; it is shown this once."""
    body: dict[str, Any] = {"name": name, "scopes": scope or [], "expires_at": expires}
    session = session_of(ctx)
    if email:
        session = session.signed_in(email, typer.prompt("Password", hide_input=True, err=True))
    created = session.call(lambda connection: connection.json("POST", _KEYS, body))
    print_done(created, created["key"], as_json=as_json)


def revoke_key(
    ctx: typer.Context, key_id: Annotated[str, typer.Argument(help="The key's id.")], as_json: AsJson = False
) -> None:
    """End an API key at once."""
    _send(ctx, "DELETE", f"{_KEYS}/{key_id}", None)
    print_done({"revoked": key_id}, f"revoked {key_id}", as_json=as_json)


def _send(ctx: typer.Context, method: str, path: str, body: Any) -> Any:
    async def work(connection: Connection) -> Any:
        return await connection.json(method, path, body)

    return session_of(ctx).call(work)


def _about(ctx: typer.Context, method: str, person: str, what: str = "", *, body: Any = None) -> Any:
    """Do something with a person's account."""

    async def work(connection: Connection) -> Any:
        return await connection.json(method, f"{_USERS}/{await _id_of(connection, person)}{what}", body)

    return session_of(ctx).call(work)


async def _id_of(connection: Connection, person: str) -> str:
    if "@" not in person:
        return person
    async for user in connection.items(_USERS, query=person, limit=100):
        if user["email"].lower() == person.lower():
            return str(user["id"])
    raise CommandError(f"nobody here has the address {person}: 'fireside users list' shows everyone")
