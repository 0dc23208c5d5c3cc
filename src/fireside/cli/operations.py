"""`fireside doctor`, `fireside nodes` and `fireside migrate`."""

from typing import Any

import typer
from rich.markup import escape

from fireside.bootstrap.environment import fold_files, read_settings
from fireside.bootstrap.settings import Settings
from fireside.cli.connection import CommandError, Connection, run
from fireside.cli.output import AsJson, console, print_done, print_json, print_table
from fireside.cli.session import Session, session_of

_MARKS = {"ok": "[green]ok[/green]      ", "degraded": "[yellow]degraded[/yellow]", "failed": "[red]failed[/red]  "}


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(doctor)
    app.command()(nodes)
    app.command()(migrate)


def _settings(session: Session) -> Settings:
    fold_files(session.home)
    return read_settings(Settings, home=session.data)


def doctor(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Look over this machine, the settings and the running server; says what is wrong and what to do."""
    from fireside.bootstrap.checkup import look_over  # noqa: PLC0415 - the server takes a second to import; other commands do not wait for it

    session = session_of(ctx)
    found = [] if session.server else [vars_of(check) for check in look_over(_settings(session))]
    found += _server_checks(session)
    found += _checks_of_other_nodes(session)
    if as_json:
        print_json(found)
    for check in [] if as_json else found:
        console.print(f"{_MARKS[check['status']]} {escape(check['name'])} [dim]{escape(check['detail'])}[/dim]")
    if any(check["status"] == "failed" for check in found):
        raise typer.Exit(1)


def vars_of(check: object) -> dict[str, str]:
    """A check's name, status and detail."""
    return {name: str(getattr(check, name)) for name in ("name", "status", "detail")}


def _server_checks(session: Session) -> list[dict[str, str]]:
    async def work(connection: Connection) -> dict[str, dict[str, str]]:
        async with connection.request("GET", "/health/ready", also=503) as reply:
            return dict((await reply.json())["checks"])

    try:
        checks = session.call(work)
    except CommandError as error:
        return [{"name": "server", "status": "degraded", "detail": str(error)}]
    return [
        {"name": f"server: {name}", "status": check["status"], "detail": check["detail"]}
        for name, check in checks.items()
    ]


def _checks_of_other_nodes(session: Session) -> list[dict[str, str]]:
    """What the other nodes of a cluster say of themselves; nothing when there is no server to ask."""
    try:
        found = _nodes(session)
    except CommandError:
        return []
    return [
        {"name": f"{node['id']}: {check['name']}", "status": check["status"], "detail": check["detail"]}
        for node in found
        if not node["local"]
        for check in node["checks"]
    ]


def nodes(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the nodes of the cluster: what each hosts, how it is, when it was last heard of."""
    found = _nodes(session_of(ctx))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            node["id"],
            node["status"],
            f"{node['last_seen_s']:.1f} s ago",
            f"{node['client']}{'' if node['trusted'] else ', without the cluster key'}",
            ", ".join(service for service in node["services"] if not service.startswith("$")),
        )
        for node in found
    ]
    print_table(("node", "status", "heard of", "runs", "services"), rows)
    print_actions_of_others(found)


def print_actions_of_others(found: list[dict[str, Any]]) -> None:
    """What nodes that are not Fireside's own offer to it."""
    for node in found:
        if node["actions"]:
            console.print(f"{node['id']} offers: {', '.join(node['actions'])}", markup=False)


def _nodes(session: Session) -> list[dict[str, Any]]:
    async def work(connection: Connection) -> list[dict[str, Any]]:
        return list((await connection.json("GET", "/api/v1/nodes"))["items"])

    return session.call(work)


def migrate(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Bring every database up to date; 'fireside up' does the same by itself."""
    from fireside.bootstrap.databases import migrate_all  # noqa: PLC0415 - the server takes a second to import; other commands do not wait for it

    names = run(migrate_all(_settings(session_of(ctx))))
    print_done({"migrated": names}, "\n".join(f"{name}: up to date" for name in names), as_json=as_json)
