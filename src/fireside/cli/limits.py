"""`fireside usage` and `fireside limits`: what was used of models, what may be used, and what it costs."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from fireside.cli.connection import CommandError, Connection
from fireside.cli.output import AsJson, moment, print_done, print_json, print_table
from fireside.cli.session import session_of

_CONFIG = "/api/v1/admin/config"
_LIMITS, _PRICES, _CURRENCY = "FIRESIDE_USAGE_LIMITS", "FIRESIDE_USAGE_PRICES", "FIRESIDE_USAGE_CURRENCY"
_SLASHES = 4
_COUNTS = ("requests", "prompt_tokens", "completion_tokens", "cached_tokens")

Name = Annotated[
    str, typer.Argument(help="SCOPE/WHO/MODEL/UNIT/WINDOW such as user/*/*/tokens/day; see 'fireside limits list'.")
]


def add_commands(app: typer.Typer) -> None:
    """Add what stands by itself."""
    app.command("usage")(show_usage)
    app.command("usage-opt-out")(opt_out)


def commands() -> typer.Typer:
    """The commands about limits and prices."""
    app = typer.Typer(no_args_is_help=True)
    app.command("list")(list_limits)
    app.command("set")(set_limit)
    app.command("remove")(remove_limit)
    app.command("price")(set_price)
    app.command("forget-price")(forget_price)
    return app


def show_usage(
    ctx: typer.Context,
    by: Annotated[str, typer.Option(help="user, model, day or key.")] = "model",
    since: Annotated[str | None, typer.Option("--from", help="2026-03-01T00:00Z; 30 days before the end.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Now otherwise.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Everybody's; for administrators.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what was used of models, and what is left of each limit."""

    async def work(connection: Connection) -> dict[str, Any]:
        path = "/api/v1/admin/usage" if everyone else "/api/v1/usage"
        asked = {"group_by": by, "from": since, "to": until}
        return dict(await connection.json("GET", path, **{name: value for name, value in asked.items() if value}))

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
        return
    heads = (by, "requests", "prompt", "answer", "cached", f"cost ({found['currency']})", "")
    print_table(heads, [_line(item) for item in [*found["items"], found["total"] | {"group": "total"}]])
    if found.get("limits"):
        rows = [
            (limit["name"], f"{limit['remaining']:g} of {limit['limit']:g}", moment(limit["resets_at"]))
            for limit in found["limits"]
        ]
        print_table(("limit", "left", "begins anew"), rows)


def opt_out(
    ctx: typer.Context,
    undo: Annotated[bool, typer.Option("--undo", help="Have it shown with your name again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have your usage shown to administrators without your name; it counts all the same."""

    async def work(connection: Connection) -> Any:
        return await connection.json("PUT", "/api/v1/usage/opt-out", {"opted_out": not undo})

    shown = "with your name" if undo else "without your name, together with all who opted out"
    print_done(session_of(ctx).call(work), f"administrators see your usage {shown}", as_json=as_json)


def list_limits(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List limits and prices as they hold."""
    found = session_of(ctx).call(_settings)
    limits, prices = found[_LIMITS], found[_PRICES]
    if as_json:
        print_json({"limits": limits, "prices": prices, "currency": found[_CURRENCY]})
        return
    print_table(("limit", "amount"), [(_name(limit), f"{float(limit['amount']):g}") for limit in limits])
    rows = [
        (model, price["prompt"], price["completion"], price["cached"] or price["prompt"])
        for model, price in sorted(prices.items())
    ]
    print_table(("model", f"prompt ({found[_CURRENCY]} a million)", "answer", "cached"), rows)


def set_limit(
    ctx: typer.Context,
    name: Name,
    amount: Annotated[float, typer.Argument(min=0, help="Requests, tokens, or money.")],
    as_json: AsJson = False,
) -> None:
    """Make a limit, or change how much it allows; it holds at once, and counts what was used before.

    SCOPE/WHO: user/* each user, user/ID one, member/ROLE each who has the role, role/ROLE all of them together, key/*
    each API key, key/ID one, all/* everybody together. MODEL is a name, or * for all together. UNIT is requests, tokens
    or cost. WINDOW is hour, day or month (UTC).
    """
    wanted = _limit(name) | {"amount": amount}

    def change(limits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*(limit for limit in limits if _name(limit) != name), wanted]

    _change(ctx, _LIMITS, change, f"{name}: {amount:g}", as_json=as_json)


def remove_limit(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Take a limit away."""

    def change(limits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rest = [limit for limit in limits if _name(limit) != name]
        if len(rest) == len(limits):
            raise CommandError(f"there is no limit {name}; 'fireside limits list' shows all")
        return rest

    _change(ctx, _LIMITS, change, f"{name}: no limit", as_json=as_json)


def set_price(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="The model's name.")],
    prompt: Annotated[float, typer.Argument(min=0, help="Of a million tokens of prompts.")],
    completion: Annotated[float, typer.Argument(min=0, help="Of a million tokens of answers.")],
    cached: Annotated[float | None, typer.Option(min=0, help="Of a million cached tokens of prompts.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a model costs, in the currency of FIRESIDE_USAGE_CURRENCY, from now on."""
    price = {"prompt": prompt, "completion": completion, "cached": cached}

    def change(prices: dict[str, Any]) -> dict[str, Any]:
        return prices | {model: price}

    _change(ctx, _PRICES, change, f"{model}: {prompt:g} and {completion:g} a million tokens", as_json=as_json)


def forget_price(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="The model's name.")],
    as_json: AsJson = False,
) -> None:
    """Have a model cost nothing from now on; what it has cost stays counted."""

    def change(prices: dict[str, Any]) -> dict[str, Any]:
        if model not in prices:
            raise CommandError(f"{model} has no price; 'fireside limits list' shows all")
        return {name: price for name, price in prices.items() if name != model}

    _change(ctx, _PRICES, change, f"{model}: no price", as_json=as_json)


def _change(ctx: typer.Context, setting: str, change: Callable[[Any], Any], done: str, *, as_json: bool) -> None:
    async def work(connection: Connection) -> Any:
        found = await _settings(connection)
        return await _patch(connection, found, {setting: change(found[setting])})

    print_done(session_of(ctx).call(work), done, as_json=as_json)


async def _settings(connection: Connection) -> dict[str, Any]:
    """The settings of usage by name, and the version of the configuration as `version`."""
    found = await connection.json("GET", _CONFIG)
    wanted = {_LIMITS, _PRICES, _CURRENCY}
    values = {item["name"]: item["value"] for item in found["items"] if item["name"] in wanted}
    return values | {"version": found["version"]}


async def _patch(connection: Connection, found: dict[str, Any], values: dict[str, Any]) -> Any:
    """Change settings, unless somebody else has done so since they were read."""
    return await connection.json("PATCH", _CONFIG, {"values": values, "expected_version": found["version"]})


def _limit(name: str) -> dict[str, Any]:
    if name.count("/") < _SLASHES:
        raise CommandError(f"{name}: write SCOPE/WHO/MODEL/UNIT/WINDOW, such as user/*/*/tokens/day")
    scope, who, rest = name.split("/", 2)
    model, unit, window = rest.rsplit("/", 2)  # names of models may hold slashes
    return {"scope": scope, "who": who, "model": None if model == "*" else model, "unit": unit, "window": window}


def _name(limit: dict[str, Any]) -> str:
    return "/".join((limit["scope"], limit["who"], limit["model"] or "*", limit["unit"], limit["window"]))


def _line(item: dict[str, Any]) -> tuple[Any, ...]:
    said = [
        f"{item[count]} {word}"
        for count, word in (("estimated_requests", "estimated"), ("unpriced_requests", "without a price"))
        if item[count]
    ]
    return (item["group"] or "-", *(item[name] for name in _COUNTS), f"{item['cost']:.4f}", ", ".join(said))
