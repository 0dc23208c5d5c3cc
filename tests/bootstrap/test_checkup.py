"""What 'fireside doctor' finds on this machine."""

import socket
from pathlib import Path

import pytest

from fireside.bootstrap.checkup import Finding, look_over
from fireside.bootstrap.settings import Settings
from fireside.testing.cluster import free_port
from tests.servers import NatsServer, running


def look(home: Path, **settings: object) -> dict[str, Finding]:
    return {finding.name: finding for finding in look_over(Settings.model_validate({"home": home, **settings}))}


def test_a_new_machine_is_well(tmp_path: Path) -> None:
    found = look(tmp_path / "new")

    assert found["settings"].status == "ok"
    assert found["data folder"] == Finding("data folder", "ok", f"{tmp_path / 'new'} (will be made)")
    assert found["disk"].detail.endswith("GB free") or found["disk"].status == "degraded"


def test_a_data_folder_that_is_a_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o600)

    found = look(tmp_path / "file" / "home")["data folder"]

    assert found.status == "failed"
    assert "--data" in found.detail


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "is in use" in look(tmp_path, port=port)["port"].detail
    assert "is free" in look(tmp_path, port=port)["port"].detail


def test_settings_that_do_not_exist_are_told_with_what_may_be_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESIDE_PROT", "1")
    monkeypatch.setenv("FIRESIDE_ZZZZZZZZZZ", "1")
    monkeypatch.setenv("FIRESIDE_KEY", "fsk_x")

    told = [finding.detail for finding in look_over(Settings(home=tmp_path)) if finding.status == "degraded"]

    assert "FIRESIDE_PROT: there is no such setting; did you mean FIRESIDE_PORT?" in told
    assert "FIRESIDE_ZZZZZZZZZZ: there is no such setting; docs/reference/settings.md lists all" in told
    assert not any("FIRESIDE_KEY" in detail for detail in told)


def test_every_wrong_setting_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESIDE_LOG_FORMAT", "xml")
    monkeypatch.setenv("FIRESIDE_INFERENCE_ENGINE", "steam")

    found = [finding for finding in look_over(Settings(home=tmp_path)) if finding.status == "failed"]

    assert [finding.name for finding in found] == ["settings", "settings"]
    assert {finding.detail.split(":")[0] for finding in found} == {"FIRESIDE_LOG_FORMAT", "FIRESIDE_INFERENCE_ENGINE"}


def test_a_missing_model_is_told_with_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESIDE_INFERENCE_MODEL_PATH", str(tmp_path / "none.gguf"))

    found = look(tmp_path)["language model"]

    assert found.status == "degraded"
    assert "none.gguf" in found.detail
    assert "models.txt" in found.detail


def test_an_engine_that_is_off_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESIDE_INFERENCE_ENGINE", "off")

    assert look(tmp_path)["language model"] == Finding(
        "language model", "ok", "0 servers configured, embedded engine off"
    )


def test_what_weakens_the_safety_of_facts_is_told(tmp_path: Path) -> None:
    with running(NatsServer(tmp_path)) as server:
        found = look(tmp_path, event_stream_url=server.url)["event stream"]

    assert found.status == "degraded"
    assert "sync_interval: always" in found.detail
    assert look(tmp_path)["event stream"] == Finding("event stream", "ok", "outbox")


def test_a_broker_that_is_away_is_told(tmp_path: Path) -> None:
    found = look(tmp_path, event_stream_url=f"redis://:secret@127.0.0.1:{free_port()}")["event stream"]

    assert found.status == "failed"
    assert found.detail.startswith("Redis: ")
    assert "secret" not in found.detail
