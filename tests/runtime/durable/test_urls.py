from pathlib import Path

import pytest

from fireside.runtime.durable.urls import InvalidDatabaseUrlError, database_address, database_url

HOME = Path("/home/fireside")


@pytest.mark.requirement("D1")
@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("sqlite://", "sqlite:////home/fireside/db/chat.sqlite"),
        ("sqlite:////var/data/", "sqlite:////var/data/chat.sqlite"),
        ("sqlite:///data/", "sqlite:///data/chat.sqlite"),
        ("sqlite:////var/data/all.sqlite", "sqlite:////var/data/all.sqlite"),
        ("postgresql://fireside@server/main", "postgresql://fireside@server/main"),
    ],
)
def test_one_setting_for_all_services_gives_each_its_own_place(setting: str, url: str) -> None:
    assert database_url(setting, service="chat", home=HOME) == url


def test_a_service_is_a_file_on_sqlite() -> None:
    address = database_address("sqlite:////var/data/chat.sqlite", service="chat")
    assert (address.path, address.schema) == (Path("/var/data/chat.sqlite"), None)
    assert address.url.drivername == "sqlite+aiosqlite"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_a_service_is_a_schema_on_postgresql(scheme: str) -> None:
    address = database_address(f"{scheme}://fireside:secret@server:5433/main", service="chat")
    assert (address.path, address.schema) == (None, "chat")
    assert address.url.drivername == "postgresql+asyncpg"
    assert (address.url.host, address.url.port, address.url.database) == ("server", 5433, "main")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://server/main", "no database for scheme 'mysql' \\(sqlite, postgresql\\)"),
        ("not a url", "not a database URL"),
        ("postgresql://server:port/main", "not a database URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///folder/", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file::memory:?uri=true", "names no file"),
    ],
)
def test_a_url_that_is_no_lasting_database_is_refused(url: str, message: str) -> None:
    with pytest.raises(InvalidDatabaseUrlError, match=message):
        database_address(url, service="chat")


def test_a_refused_url_does_not_repeat_the_password() -> None:
    with pytest.raises(InvalidDatabaseUrlError) as refused:
        database_url("postgresql//fireside:hunter2@server/main", service="chat", home=HOME)
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in str(refused.value.details)
