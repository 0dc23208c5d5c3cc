"""`fireside providers`: servers of models, and which models answer for which role."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from fireside.cli.connection import CommandError, Connection
from fireside.cli.output import AsJson, print_done, print_json, print_table
from fireside.cli.session import session_of

_PROVIDERS = "/api/v1/providers"
_ROLES = "/api/v1/roles-to-models"
Name = Annotated[str, typer.Argument(help="The provider's name.")]
Kind = Annotated[
    str | None,
    typer.Option(help="openai, azure, gemini, anthropic, ollama, groq, mistral, vllm, llama-server or compatible."),
]


def commands() -> typer.Typer:
    """The commands about providers."""
    app = typer.Typer(no_args_is_help=True)
    app.command("list")(list_providers)
    app.command("set")(set_provider)
    app.command("test")(try_out)
    app.command("remove")(remove)
    app.command("roles")(roles)
    return app


def list_providers(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List providers with how they do on every node that asks them; those of the settings are fixed."""

    async def work(connection: Connection) -> dict[str, Any]:
        return dict(await connection.json("GET", _PROVIDERS))

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found["items"])
        return
    rows = [
        (
            item["name"] + (" (fixed)" if item["fixed"] else ""),
            item["kind"],
            _state(item),
            ", ".join(item["urls"]),
            ", ".join(item["models"]),
            ("…" + item["key_end"] if item["key_end"] else "yes") if item["has_key"] else "",
            "; ".join(_each(item, "last_error")),
        )
        for item in found["items"]
    ]
    print_table(("name", "kind", "state", "urls", "models", "key", "last error"), rows)
    for node in found["silent"]:
        typer.echo(f"the node {node} does not tell how it finds them", err=True)


def _state(item: dict[str, Any]) -> str:
    """Its state, for each node where they differ."""
    if not item["enabled"]:
        return "off"
    same = len({health["state"] for health in item["health"]}) <= 1
    state = item["state"] if same else ", ".join(_each(item, "state"))
    return (state or "not asked yet").replace("_", " ")


def _each(item: dict[str, Any], fact: str) -> list[str]:
    """What each node that knows a fact of a provider says of it; who says so where several ask it."""
    several = len(item["health"]) > 1
    told = [health for health in item["health"] if health[fact]]
    return [f"{health[fact]} on {health['node_id']}" if several else str(health[fact]) for health in told]


def set_provider(  # noqa: PLR0913 - the options of a command
    ctx: typer.Context,
    name: Name,
    kind: Kind = None,
    url: Annotated[list[str] | None, typer.Option(help="Where it is; repeatable, for equals.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model of it; repeatable. All that it lists, without.")
    ] = None,
    key: Annotated[bool, typer.Option("--key", help="Ask for its key; it is not shown.")] = False,
    enabled: Annotated[bool | None, typer.Option("--on/--off", help="Whether it is asked.")] = None,
    parallel: Annotated[int | None, typer.Option(help="Most requests at once on each node.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make or change a provider; what is left out stays. The key is read from the keyboard or from standard input."""
    said = {"kind": kind, "urls": url, "models": model, "enabled": enabled, "parallel": parallel}
    changes = {option: value for option, value in said.items() if value is not None}
    if key:
        changes["key"] = typer.prompt("Key", hide_input=True, err=True)

    async def work(connection: Connection) -> dict[str, Any]:
        body = await _as_it_is(connection, name) | changes
        if "kind" not in body:
            raise CommandError(f"there is no provider {name!r}: a new one needs --kind")
        return dict(await connection.json("PUT", _PROVIDERS, body))

    saved = session_of(ctx).call(work)
    print_done(saved, f"{saved['name']} offers {', '.join(saved['models'])}", as_json=as_json)


async def _as_it_is(connection: Connection, name: str) -> dict[str, Any]:
    """The body that would change nothing about a provider; its name alone when there is none."""
    found = (await connection.json("GET", _PROVIDERS))["items"]
    there = next((item for item in found if item["name"].lower() == name.lower()), None)
    if there is None:
        return {"name": name}
    shown = {"fixed", "has_key", "key_end", "health", "state"}
    return {field: value for field, value in there.items() if field not in shown}


def try_out(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Ask a provider for its models, and say what is wrong; ends with 1 when something is."""

    async def work(connection: Connection) -> dict[str, Any]:
        body = await _as_it_is(connection, name)
        if "kind" not in body:
            raise CommandError(f"there is no provider {name!r}")
        return dict(await connection.json("POST", f"{_PROVIDERS}/test", body))

    found = session_of(ctx).call(work)
    if as_json:
        print_json(found)
    elif found["ok"]:
        typer.echo(f"{name} answers in {found['elapsed_ms']:.0f} ms: {', '.join(found['models'])}. {found['problem']}")
    if not found["ok"]:
        raise CommandError(found["problem"])


def remove(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Remove a provider with its key."""

    async def work(connection: Connection) -> None:
        await connection.json("DELETE", f"{_PROVIDERS}/{quote(name, safe='')}")

    session_of(ctx).call(work)
    print_done({"removed": name}, f"{name} is removed", as_json=as_json)


def roles(
    ctx: typer.Context,
    role: Annotated[str | None, typer.Argument(help="answer; all are shown without.")] = None,
    models: Annotated[list[str] | None, typer.Argument(help="Its models, the first that can answers.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take the role's chain away.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show or set which models answer for a role, in order."""

    async def work(connection: Connection) -> dict[str, Any]:
        if role and (models or clear):
            return dict(await connection.json("PUT", _ROLES, {"roles": {role: models or []}}))
        return dict(await connection.json("GET", _ROLES))

    found = session_of(ctx).call(work)["roles"]
    if as_json:
        print_json(found)
        return
    print_table(("role", "models, in order"), [(name, " > ".join(chain)) for name, chain in sorted(found.items())])
