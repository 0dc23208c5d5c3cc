"""Where servers of models may be: anywhere but where clouds hand out secrets."""

import pytest

from fireside.bootstrap.environment import SettingsError, read_settings
from fireside.services.inference.settings import InferenceSettings


def server_at(url: str) -> InferenceSettings:
    return read_settings(InferenceSettings, servers=[{"url": url, "models": ["m"]}])


@pytest.mark.requirement("P4", "S7")
@pytest.mark.parametrize(
    "url",
    [
        "ftp://host",
        "host:11434",
        "http://",
        "",
        "http://169.254.169.254",
        "http://2852039166/",
        "http://0xA9FEA9FE",
        "http://[::ffff:169.254.169.254]:80",
        "http://[64:ff9b::a9fe:a9fe]",
        "http://[fe80::1]",
        "http://[fd00:ec2::254]",
        "http://100.100.100.200",
        "http://168.63.129.16",
        "http://metadata.google.internal./computeMetadata",
        "http://METADATA",
        "http://user:pass@host",
        "http://host/?key=1",
        "http://host/#part",
    ],
)
def test_an_address_that_requests_must_not_go_to_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"FIRESIDE_INFERENCE_SERVERS\[0\]\.url: "):
        server_at(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:11434", "https://models.example.org/base", "http://[fd12::1]:8000"])
def test_servers_of_ones_own_network_are_allowed(url: str) -> None:
    assert str(server_at(url).servers[0].url).startswith(url)


def test_an_address_belongs_to_a_server_that_there_is() -> None:
    with pytest.raises(SettingsError, match=r"FIRESIDE_INFERENCE_URLS: .*no server .* is or has 'n' \(m\)"):
        read_settings(InferenceSettings, servers=[{"url": "http://h", "models": ["m"]}], urls={"n": "http://x"})
