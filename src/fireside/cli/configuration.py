"""`fireside config`: the settings of every service, and those that change while Fireside runs."""

from typing import Annotated, Any

import orjson
import typer

from fireside.cli.connection import CommandError, Connection
from fireside.cli.output import AsJson, moment, print_done, print_json, print_table
from fireside.cli.session import session_of

_PATH = "/api/v1/admin/config"
Comment = Annotated[str, typer.Option(help="Why; kept in the history.")]


def commands() -> typer.Typer:
    """The commands about the configuration."""
    app = typer.Typer(no_args_is_help=True)
    app.command("show")(show)
    app.command("set")(set_values)
    app.command("history")(history)
    app.command("rollback")(roll_back)
    return app


def show(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(help="Parts of names, such as RATE; all settings without.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Only those that can be changed while Fireside runs.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Only those that are not as in the code.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show settings with value, where it comes from, default and meaning; secrets are ***."""

    async def work(connection: Connection) -> list[dict[str, Any]]:
        return [item async for item in connection.items(_PATH)]

    found = [
        item
        for item in session_of(ctx).call(work)
        if (not words or any(word.upper() in item["name"] for word in words))
        and (item["live"] or not live)
        and (item["source"] != "default" or not changed)
    ]
    if as_json:
        print_json(found)
        return
    rows = [
        (
            item["name"],
            _plain(item["value"]),
            item["source"],
            _plain(item["default"]),
            "live" if item["live"] else "",
            item["description"],
        )
        for item in found
    ]
    print_table(("setting", "value", "from", "default", "", "meaning"), rows)


def set_values(
    ctx: typer.Context,
    changes: Annotated[list[str] | None, typer.Argument(help="NAME=VALUE; objects and lists as JSON.")] = None,
    unset: Annotated[list[str] | None, typer.Option(help="A name whose live value is taken away; repeatable.")] = None,
    comment: Comment = "",
    expect: Annotated[int | None, typer.Option(help="Only if this is still the version.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change live settings on every node at once, all or none."""
    values: dict[str, Any] = dict.fromkeys(unset or ())
    values |= dict(_pair(change) for change in changes or ())
    if not values:
        raise CommandError("nothing to change: fireside config set NAME=VALUE, or --unset NAME")
    _make_version(
        ctx, "PATCH", _PATH, {"values": values, "comment": comment, "expected_version": expect}, as_json=as_json
    )


def history(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the versions of the live settings, newest first, with what changed."""

    async def work(connection: Connection) -> list[dict[str, Any]]:
        page = await connection.json("GET", f"{_PATH}/history", limit=limit)
        return list(page["items"])

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
        return
    rows = [
        (item["version"], moment(item["at"]), item["by"] or "a message", _differences(item), item["comment"])
        for item in found
    ]
    print_table(("version", "when", "by", "changes", "comment"), rows)


def roll_back(
    ctx: typer.Context,
    version: Annotated[int, typer.Argument(min=0, help="The version to return to; 0 for no live settings at all.")],
    comment: Comment = "",
    as_json: AsJson = False,
) -> None:
    """Make the live settings of an earlier version hold again, as a new version."""
    _make_version(ctx, "POST", f"{_PATH}/rollback", {"version": version, "comment": comment}, as_json=as_json)


def _make_version(ctx: typer.Context, method: str, path: str, body: dict[str, Any], *, as_json: bool) -> None:
    async def work(connection: Connection) -> Any:
        return await connection.json(method, path, body)

    made = session_of(ctx).call(work)
    done = _differences(made) or "nothing was different"
    print_done(made, f"version {made['version']}: {done}", as_json=as_json)


def _pair(change: str) -> tuple[str, Any]:
    name, equals, text = change.partition("=")
    if not equals:
        raise CommandError(f"{change}: write NAME=VALUE, or --unset NAME for the value below")
    if not text.startswith(("{", "[")):
        return name.upper(), text
    try:
        return name.upper(), orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"{name}: not valid JSON: {error}") from None


def _differences(version: dict[str, Any]) -> str:
    return "; ".join(
        f"{change['name']}: {_plain(change['before']) or '-'} -> {_plain(change['after']) or '-'}"
        for change in version["changes"]
    )


def _plain(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value).decode()
