import pytest
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from fireside.runtime.durable import Database
from fireside.services.gateway.request_frame import RequestFrame
from fireside.services.gateway.settings import GatewaySettings
from tests.services.gateway.door import BROWSER, Door, open_door


@pytest.mark.requirement("P1")
async def test_a_request_id_is_made_echoed_and_given_to_the_services(door: Door) -> None:
    one, two = await door.get("/who"), await door.get("/who")

    assert one.headers["x-request-id"] == one.json()["request_id"]
    assert one.json()["request_id"] != two.json()["request_id"]


async def test_anthropics_clients_find_the_request_id_by_their_own_name_too(door: Door) -> None:
    theirs, others = await door.get("/v1/messages/nowhere"), await door.get("/who")

    assert theirs.headers["request-id"] == theirs.headers["x-request-id"]
    assert "request-id" not in others.headers


async def test_a_clients_own_request_id_is_kept_when_it_is_harmless(door: Door) -> None:
    assert (await door.get("/who", {"x-request-id": "trace-0a1b.2_c"})).headers["x-request-id"] == "trace-0a1b.2_c"


@pytest.mark.parametrize("given", ["short", "x" * 101, "has space", "line\\nbreak;rm", "<script>alert(1)</script>", ""])
async def test_any_other_request_id_is_replaced(door: Door, given: str) -> None:
    assert (await door.get("/who", {"x-request-id": given})).headers["x-request-id"] != given


async def test_nobody_is_believed_about_addresses_or_https_unless_the_settings_name_them(door: Door) -> None:
    forged = {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https", "x-real-ip": "1.2.3.4", "host": "evil.test"}
    reply = await door.get("/who", forged)

    assert (reply.json()["address"], reply.json()["scheme"]) == ("10.0.0.1", "http")
    assert "strict-transport-security" not in reply.headers


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("nonsense, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, nonsense", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("", "10.0.0.1"),
        ("10.0.0.3", "10.0.0.3"),
    ],
)
async def test_a_trusted_proxy_is_believed_about_the_last_hop_it_did_not_know(
    database: Database, forwarded: str, address: str
) -> None:
    async with open_door(database, trusted_proxies=("10.0.0.0/8",)) as door:
        reply = await door.get("/who", {"x-forwarded-for": forwarded, "x-forwarded-proto": "https"})

    assert (reply.json()["address"], reply.json()["scheme"]) == (address, "https")
    assert reply.headers["strict-transport-security"] == "max-age=31536000"


async def test_forged_hops_do_not_escape_a_limit(database: Database) -> None:
    async with open_door(database, trusted_proxies=("10.0.0.0/8",), anonymous_rate="3/minute") as door:
        replies = [await door.get("/who", {"x-forwarded-for": f"9.9.9.{n}, 203.0.113.7"}) for n in range(4)]

    assert [reply.status_code for reply in replies] == [200, 200, 200, 429]


async def test_https_is_not_believed_of_a_proxy_that_was_spoken_to_over_http(database: Database) -> None:
    async with open_door(database, trusted_proxies=("10.0.0.1",)) as door:
        reply = await door.get("/who", {"x-forwarded-proto": "https, http"})

    assert reply.json()["scheme"] == "http"


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        GatewaySettings(trusted_proxies=("proxy.example.org",))


async def test_browsers_are_told_from_programs_by_what_only_browsers_send(door: Door) -> None:
    assert (await door.get("/who", BROWSER)).json()["browser"] is True
    assert (await door.get("/who", {"user-agent": "Mozilla/5.0"})).json()["browser"] is False


async def test_links_lead_to_where_people_reach_the_page_when_the_settings_say_so() -> None:
    seen: list[str] = []

    async def behind(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["state"]["site"])

    scope = {"type": "http", "scheme": "http", "headers": [], "client": ("10.0.0.1", 1)}
    for site in ("", "https://ask.example.org"):
        await RequestFrame(behind, trusted_proxies=(), site=site)(dict(scope), None, None)  # pyright: ignore[reportArgumentType]

    assert seen == ["", "https://ask.example.org"]


@pytest.mark.parametrize("wrong", ["ask.example.org", "ftp://x", "https://x/", "https://x y"])
def test_the_address_of_the_page_is_a_web_address_without_a_slash_at_the_end(wrong: str) -> None:
    with pytest.raises(ValidationError):
        GatewaySettings(public_url=wrong)
