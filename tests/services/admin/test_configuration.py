"""The configuration: shown without secrets, changed in versions, refused by name, rolled back."""

import asyncio

import pytest

from fireside.contracts import admin
from fireside.contracts.base import Nothing
from fireside.core.errors import ConflictError, FiresideError, ForbiddenError, InvalidInputError, NotFoundError
from fireside.runtime.durable import event_log
from fireside.services.admin.model import configuration_in
from fireside.services.chat.settings import ChatSettings
from fireside.services.gateway.settings import GatewaySettings
from tests.databases import on_both_databases
from tests.services.admin.conftest import ANSWERS, RATE, Office, open_office

pytestmark = on_both_databases


@pytest.mark.requirement("P5")
async def test_every_setting_is_shown_with_where_its_value_comes_from_and_secrets_are_hidden(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await office.manager.call(admin.CONFIG, Nothing())
    servers, rate = await office.setting("FIRESIDE_INFERENCE_SERVERS"), await office.setting(RATE)

    assert len(view.items) > 100
    assert "hunter2" not in view.model_dump_json()
    assert (servers.source, servers.live) == ("environment", False)
    assert '"api_key":"***"' in servers.model_dump_json()
    assert (rate.value, rate.default, rate.source, rate.live) == ("6000/minute", "6000/minute", "default", True)
    assert (await office.setting("FIRESIDE_CHAT_LEASE_S")).unit == "seconds"


@pytest.mark.requirement("P5", "P6")
async def test_a_change_holds_at_once_and_is_a_version_with_author_time_and_differences(office: Office) -> None:
    before = office.database.clock.now()
    made = await office.change({RATE: "5/minute", ANSWERS: "7"}, comment="quieter")

    assert office.book.of(GatewaySettings).user_rate == "5/minute"
    assert office.book.of(ChatSettings).max_answers == 7
    assert (await office.setting(RATE)).source == "live"
    assert made.version == 1
    assert made.by is not None
    assert made.at is not None
    assert made.at >= before
    assert made.comment == "quieter"
    assert [(change.name, change.before, change.after) for change in made.changes] == [
        (ANSWERS, None, 7),
        (RATE, None, "5/minute"),
    ]
    assert len(await office.log("admin.config_changed")) == 1


@pytest.mark.requirement("P5")
async def test_a_wrong_value_is_refused_by_name_with_what_is_allowed_and_nothing_changes(office: Office) -> None:
    await office.change({ANSWERS: 7})

    with pytest.raises(InvalidInputError) as wrong:
        await office.change({RATE: "lots", ANSWERS: 8, "FIRESIDE_CLUSTER_KEY": "hunter2"})

    assert f"{RATE}: " in wrong.value.message
    assert "600/minute" in wrong.value.message
    assert "(value: 'lots')" in wrong.value.message
    assert "hunter2" not in wrong.value.message
    assert [item["field"] for item in wrong.value.details["errors"]] == [RATE, "FIRESIDE_CLUSTER_KEY"]
    assert office.book.of(ChatSettings).max_answers == 7
    assert (await office.setting(RATE)).source == "default"
    (event,) = await office.log("admin.config_refused")
    refusal = admin.ConfigRefused.model_validate_json(event.payload)
    assert sorted(refusal.reasons) == ["FIRESIDE_CLUSTER_KEY", RATE]
    assert event.actor_id is not None


@pytest.mark.requirement("P6")
async def test_a_roll_back_is_a_version_of_its_own_and_takes_effect(office: Office) -> None:
    await office.change({RATE: "5/minute"})
    await office.change({RATE: "9/minute", ANSWERS: 7})

    back = await office.roll_back(1)

    assert (back.version, back.rolled_back_to) == (3, 1)
    assert office.book.of(GatewaySettings).user_rate == "5/minute"
    assert office.book.of(ChatSettings).max_answers == 200
    await office.roll_back(0)
    assert office.book.of(GatewaySettings).user_rate == "6000/minute"
    with pytest.raises(NotFoundError, match="no such version"):
        await office.roll_back(9)


@pytest.mark.requirement("P6")
async def test_the_history_goes_back_to_the_first_version_page_by_page(office: Office) -> None:
    for number in range(1, 6):
        await office.change({ANSWERS: number})

    first = await office.manager.call(admin.CONFIG_HISTORY, admin.ListVersions(limit=3))
    second = await office.manager.call(
        admin.CONFIG_HISTORY, admin.ListVersions(limit=3, cursor=int(first.next_cursor or 0))
    )

    assert [item.version for item in (*first.items, *second.items)] == [5, 4, 3, 2, 1]
    assert second.next_cursor is None
    assert (first.items[0].changes[0].before, first.items[0].changes[0].after) == (4, 5)


@pytest.mark.requirement("P5", "P14")
async def test_of_two_writers_who_saw_the_same_version_one_gets_a_conflict(office: Office) -> None:
    outcomes = await asyncio.gather(
        office.change({ANSWERS: 7}, expected_version=0),
        office.change({ANSWERS: 8}, expected_version=0),
        return_exceptions=True,
    )

    (won,) = [outcome for outcome in outcomes if isinstance(outcome, admin.ConfigVersion)]
    (lost,) = [outcome for outcome in outcomes if isinstance(outcome, FiresideError)]
    assert isinstance(lost, ConflictError)
    assert lost.status == 409
    assert office.book.of(ChatSettings).max_answers == won.changes[0].after
    with pytest.raises(ConflictError):
        await office.change({ANSWERS: 9}, expected_version=0)


async def test_what_changes_nothing_makes_no_version_and_null_takes_a_live_value_away(office: Office) -> None:
    await office.change({ANSWERS: 7})

    same = await office.change({ANSWERS: "7"})

    assert (same.version, same.changes) == (1, ())
    away = await office.change({ANSWERS: None})
    assert (away.version, away.changes[0].after) == (2, None)
    assert (await office.setting(ANSWERS)).source == "default"


@pytest.mark.requirement("P5")
async def test_a_restart_keeps_live_settings(database_url: str) -> None:
    async with open_office(database_url) as office:
        await office.change({ANSWERS: 7})

    async with open_office(database_url) as again:
        assert again.book.of(ChatSettings).max_answers == 7
        assert (await again.change({ANSWERS: 8})).version == 2


async def test_reading_and_changing_need_their_permissions(office: Office) -> None:
    reader = office.someone("admin:read")

    with pytest.raises(ForbiddenError):
        await reader.call(admin.CHANGE_CONFIG, admin.ChangeConfig(values={ANSWERS: 7}))
    with pytest.raises(ForbiddenError):
        await reader.call(admin.ROLL_BACK_CONFIG, admin.RollBackConfig(version=0))
    with pytest.raises(ForbiddenError):
        await office.someone("chat:write").call(admin.CONFIG, Nothing())
    with pytest.raises(ForbiddenError):
        await office.manager.call(admin.LIVE_SETTINGS, Nothing())


@pytest.mark.requirement("P14")
async def test_the_log_tells_how_the_settings_were_at_any_moment_and_each_entry_holds_them_whole(
    office: Office,
) -> None:
    moments = [office.database.clock.now()]
    for values in ({RATE: "5/minute"}, {ANSWERS: 7}, {RATE: None}):
        await office.change(values)
        moments.append(office.database.clock.now())

    seen = list[dict[str, object]]()
    for moment in moments:
        async with office.database.read() as session:
            entries = await event_log.history(session, admin.CONFIGURATION, until=moment)
        seen.append(dict(configuration_in(entries[-1]).values) if entries else {})

    assert seen == [{}, {RATE: "5/minute"}, {RATE: "5/minute", ANSWERS: 7}, {ANSWERS: 7}]
