"""The parts of a node: made from settings, or refused with the name of the variable that is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from fireside.bootstrap.data_folder import held_by_this_process, make_data_folder
from fireside.bootstrap.databases import make_database
from fireside.bootstrap.environment import SettingsError
from fireside.bootstrap.house import open_house
from fireside.bootstrap.parts import make_parts
from fireside.bootstrap.services import make_services
from fireside.bootstrap.settings import Settings
from fireside.core.errors import FiresideError

SECRET = "hunter2"


def parts_of(home: Path, **settings: str):
    return make_parts(Settings.model_validate({"home": home, **settings}), announce_setup=lambda _: None)


@pytest.mark.parametrize(
    ("field", "url", "said"),
    [
        ("event_stream_url", "foo://bob:hunter2@h", "FIRESIDE_EVENT_STREAM_URL: no event stream for scheme 'foo'"),
        ("transport_url", "foo://bob:hunter2@h", "FIRESIDE_TRANSPORT_URL: no transporter for scheme 'foo' ("),
        ("cache_url", "foo://bob:hunter2@h", "FIRESIDE_CACHE_URL: no cache for scheme 'foo' (memory, redis, "),
        ("database_url", "foo://bob:hunter2@h/d", "FIRESIDE_DATABASE_URL: no database for scheme 'foo' (sqlite, "),
        (
            "conversations_url",
            "foo://bob:hunter2@h",
            "FIRESIDE_CONVERSATIONS_URL: no conversation store for 'foo' (",
        ),
        (
            "conversations_url",
            "mongodb://bob:hunter2@:x/",
            "FIRESIDE_CONVERSATIONS_URL: not a MongoDB URL (",
        ),
        ("objects_url", "foo://bob:hunter2@h", "FIRESIDE_OBJECTS_URL: no object store for scheme 'foo' (file)"),
    ],
)
async def test_a_technology_that_there_is_no_adapter_for_is_named(
    tmp_path: Path, field: str, url: str, said: str
) -> None:
    with pytest.raises(FiresideError) as wrong:
        async with open_house(parts_of(tmp_path, **{field: url}), only=["documents", "chat"]):
            pass

    assert said in str(wrong.value)
    assert SECRET not in str(wrong.value)


def test_a_database_of_one_service_is_named_by_its_own_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESIDE_CHAT_DATABASE_URL", "foo://x")

    with pytest.raises(SettingsError, match=r"^FIRESIDE_CHAT_DATABASE_URL: "):
        make_database(Settings(home=tmp_path), "chat")
    make_database(Settings(home=tmp_path), "auth")


def test_conversations_live_in_the_chat_services_database_unless_a_url_says_where_else(tmp_path: Path) -> None:
    (without,) = make_services(parts_of(tmp_path), ["chat"])
    (with_url,) = make_services(parts_of(tmp_path, conversations_url="mongodb://127.0.0.1:1/chat"), ["chat"])

    assert len(with_url.attachments()) == len(without.attachments()) + 1


def test_a_driver_that_is_not_installed_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymongo.errors", None)

    with pytest.raises(SettingsError, match=r"pip install 'fireside-ai\[mongodb\]'"):
        make_services(parts_of(tmp_path, conversations_url="mongodb://h/chat"), ["chat"])


def test_a_service_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--only: there is no service 'chatt' \(auth, "):
        make_services(parts_of(tmp_path), ["chat", "chatt"])


def test_only_the_services_that_are_named_are_hosted(tmp_path: Path) -> None:
    assert [service.name for service in make_services(parts_of(tmp_path), ["think", "act"])] == ["think", "act"]


def test_a_data_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    make_data_folder(tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match=r"FIRESIDE_HOME: the data folder .* cannot be used"):
        make_data_folder(tmp_path / "file" / "home")


def test_a_data_folder_has_one_process_a_node_at_a_time(tmp_path: Path) -> None:
    assert _other_process_gets_in(tmp_path, "fireside")
    with held_by_this_process(tmp_path, "fireside"):
        assert not _other_process_gets_in(tmp_path, "fireside")
        assert _other_process_gets_in(tmp_path, "another-node")
    assert _other_process_gets_in(tmp_path, "fireside")


def _other_process_gets_in(folder: Path, node_id: str) -> bool:
    program = (
        "import sys; from pathlib import Path\n"
        "from fireside.bootstrap.data_folder import held_by_this_process\n"
        "from fireside.bootstrap.environment import SettingsError\n"
        "try:\n"
        "    with held_by_this_process(Path(sys.argv[1]), sys.argv[2]): pass\n"
        "except SettingsError: sys.exit(9)\n"
    )
    code = subprocess.run([sys.executable, "-c", program, str(folder), node_id], timeout=60, check=False).returncode
    assert code in {0, 9}
    return code == 0
