"""The event stream that a URL names."""

import sys

import pytest

from fireside.bootstrap.environment import SettingsError
from fireside.bootstrap.event_streams import make_event_stream


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("amqp://guest:guest@h:5672/", "amqp:fireside-east.facts"),
        ("nats://h1:4222,nats://h2:4222", "nats:fireside-east-facts"),
        ("nats://h?replicas=3&take_over_s=2.5", "nats:fireside-east-facts"),
        ("redis://h:6379/2?replicas=1", "redis:{fireside-east.facts}"),
        ("rediss://h", "redis:{fireside-east.facts}"),
        ("redis+sentinel://h1,h2:26380/mymaster/1", "redis:{fireside-east.facts}"),
        ("redis+cluster://user:p%40ss@h1:7000,h2:7000", "redis:{fireside-east.facts}"),
    ],
)
async def test_each_scheme_has_its_stream_and_each_namespace_its_place(url: str, destination: str) -> None:
    stream = make_event_stream(url, namespace="east")
    assert dict(stream.destinations()) == {destination: None}
    await stream.close()


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("amqp://h", "aio_pika", "amqp"), ("nats://h", "nats", "nats"), ("redis://h", "redis", "redis")],
)
def test_a_driver_that_is_not_installed_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, extra: str
) -> None:
    for name in [name for name in sys.modules if name.startswith("fireside.adapters.event_stream.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(SettingsError, match=rf"pip install 'fireside-ai\[{extra}\]'"):
        make_event_stream(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nats://h?replicas=many", "replicas is a number, not 'many'"),
        ("redis+sentinel://h:26379", "name the service"),
        ("kafka://h", "no event stream for scheme 'kafka' \\(outbox, amqp, amqps, nats, redis"),
    ],
)
def test_a_url_that_names_no_stream_says_what_is_wrong(url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"FIRESIDE_EVENT_STREAM_URL: .*{said}"):
        make_event_stream(url)
