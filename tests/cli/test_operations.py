"""`fireside --help`, `models`, `doctor`, `migrate` and `up`: what is said when things are well and when not."""

import socket
from pathlib import Path

import pytest

from fireside import __version__
from fireside.testing.process import FiresideProcess
from tests.cli.conftest import CommandLine


def test_the_version_and_the_help_need_no_server(tmp_path: Path) -> None:
    fireside = CommandLine(tmp_path)

    assert fireside("--version").out == f"{__version__}\n"
    shown = fireside("--help")
    assert shown.code == 0
    for name in ("up", "ask", "ingest", "search", "models", "users", "keys", "jobs", "doctor", "migrate"):
        assert f" {name} " in shown.out


def test_without_a_server_it_is_said_how_to_start_one(tmp_path: Path) -> None:
    listed = CommandLine(tmp_path)("models", "list")

    assert (listed.code, listed.out) == (1, "")
    assert "fireside up" in listed.err


def test_a_server_that_does_not_answer_is_named(fireside: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        listed = fireside("--server", address, "--key", "fsk_x", "models", "list")

    assert listed.code == 1
    assert f"http://{address}" in listed.err


def test_models_are_listed(fireside: CommandLine) -> None:
    assert "smollm2-135m-instruct" in fireside("models", "list").out
    listed = fireside("models", "list", "--json").json
    assert listed[0]["name"] == "smollm2-135m-instruct"


def test_doctor_looks_at_this_machine_and_at_the_server(fireside: CommandLine) -> None:
    looked = fireside("doctor", "--json")

    assert looked.code == 0
    names = {finding["name"] for finding in looked.json}
    assert {"settings", "data folder", "disk", "language model", "server: chat.database"} <= names
    assert "ok       data folder" in fireside("doctor").out


def test_doctor_finds_wrong_and_misspelt_settings_without_a_server(tmp_path: Path) -> None:
    wrong = {"FIRESIDE_LOG_FORMAT": "xml", "FIRESIDE_PROT": "80"}
    looked = CommandLine(tmp_path)("doctor", env=wrong)

    assert looked.code == 1
    assert "FIRESIDE_LOG_FORMAT: Input should be 'json' or 'console'" in looked.out
    assert "FIRESIDE_PROT: there is no such setting; did you mean FIRESIDE_PORT?" in looked.out


def test_databases_are_migrated_without_a_server(tmp_path: Path) -> None:
    migrated = CommandLine(tmp_path / "new")("migrate", "--json")

    assert migrated.code == 0, migrated.err
    assert migrated.json == {"migrated": ["auth", "admin", "chat", "documents", "explore", "usage"]}


@pytest.mark.requirement("P5")
def test_a_wrong_setting_stops_the_start_and_no_secret_is_shown(tmp_path: Path) -> None:
    started = CommandLine(tmp_path).alone(
        "up", "--port", "0", env={"FIRESIDE_DATABASE_URL": "mysql://bob:hunter2@host/db"}
    )

    assert (started.code, started.out) == (1, "")
    assert started.err == "error: FIRESIDE_DATABASE_URL: no database for scheme 'mysql' (sqlite, postgresql)\n"


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        started = CommandLine(tmp_path).alone("up", "--port", str(port))

    assert started.code == 1
    assert f"FIRESIDE_PORT: cannot listen on 127.0.0.1:{port} (Address already in use)" in started.err


def test_a_data_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    started = CommandLine(tmp_path / "file" / "home").alone("up", "--port", "0")

    assert started.code == 1
    assert f"FIRESIDE_HOME: the data folder {tmp_path / 'file' / 'home'} cannot be used" in started.err


def test_the_data_folder_may_be_named_after_the_command(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    started = CommandLine(tmp_path).alone("up", "--port", "0", "--data", str(tmp_path / "file" / "later"))

    assert f"FIRESIDE_HOME: the data folder {tmp_path / 'file' / 'later'} cannot be used" in started.err


def test_a_service_that_is_not_there_is_named(tmp_path: Path) -> None:
    started = CommandLine(tmp_path).alone("up", "--port", "0", "--only", "chat, chatt")

    assert started.code == 1
    assert "--only: there is no service 'chatt' (auth, " in started.err


def test_a_second_server_on_the_same_data_is_refused(fireside: CommandLine) -> None:
    started = fireside.alone("up", "--port", "0")

    assert started.code == 1
    assert "runs with the data folder" in started.err


def test_a_server_that_is_told_to_stop_stops_in_order(server: FiresideProcess, tmp_path: Path) -> None:
    stopped = FiresideProcess(tmp_path / "home", {"FIRESIDE_INFERENCE_ENGINE": "off"})
    stopped.start()
    stopped.stop()

    assert not (tmp_path / "home" / "server.json").exists()
    assert "Finished server process" in stopped.log
    assert "fireside up" in CommandLine(tmp_path / "home")("models", "list").err
