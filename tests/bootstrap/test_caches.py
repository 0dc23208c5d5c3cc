"""The cache and the rate limits from their URLs."""

import sys
from pathlib import Path
from uuid import uuid4

import pytest

from fireside.bootstrap.environment import SettingsError
from fireside.bootstrap.house import open_house
from fireside.bootstrap.parts import Parts, make_parts
from fireside.bootstrap.settings import Settings
from fireside.testing.mesh import eventually
from tests.redis_servers import need_redis

SECRET = "hunter2"


def parts_of(home: Path, **settings: str) -> Parts:
    return make_parts(Settings.model_validate({"home": home, **settings}), announce_setup=lambda _: None)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinel://:hunter2@h:26379", "redis+sentinel: name the service"),
        ("redis+sentinel://:hunter2@h:26379/main/x", "redis+sentinel: 'x' is not the number of a database"),
        ("redis+cluster://:hunter2@h:7000/3", "redis+cluster: a cluster has only database 0"),
        ("redis://:hunter2@h:port", "redis: a host reads name:port"),
        ("redis://:hunter2@h/0?retries=3", "there is no option 'retries' (sentinel_password, "),
        ("memcached://bob:hunter2@h", "for scheme 'memcached' (memory, redis, rediss, redis+sentinel, "),
    ],
)
@pytest.mark.parametrize("field", ["cache_url", "limits_url"])
def test_a_url_that_is_wrong_is_named_by_its_variable_without_its_password(
    tmp_path: Path, field: str, url: str, said: str
) -> None:
    with pytest.raises(SettingsError) as wrong:
        parts_of(tmp_path, **{field: url})

    assert str(wrong.value).startswith(f"FIRESIDE_{field.upper()}: ")
    assert said in str(wrong.value)
    assert SECRET not in str(wrong.value)


def test_without_the_extra_its_installation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(SettingsError, match=r"^FIRESIDE_CACHE_URL needs .* pip install 'fireside-ai\[redis\]'$"):
        parts_of(tmp_path, cache_url="redis://127.0.0.1/0")


def test_limits_are_counted_where_the_cache_is_unless_they_have_a_url_of_their_own(tmp_path: Path) -> None:
    redis = "redis://127.0.0.1:1/0"

    assert parts_of(tmp_path).windows is None
    assert parts_of(tmp_path, cache_url=redis).windows is not None
    assert parts_of(tmp_path, limits_url=redis).windows is not None
    assert parts_of(tmp_path, cache_url=redis, limits_url="memory://").windows is None


@pytest.mark.requirement("C6", "P9")
async def test_a_node_starts_without_redis_and_says_what_that_means(tmp_path: Path) -> None:
    async with open_house(parts_of(tmp_path, cache_url="redis://127.0.0.1:1/0"), only=["think", "gateway"]) as node:
        health = await node.health()

    assert (health.status, health.is_ready) == ("degraded", True)
    assert "every answer comes from its source" in health.checks["cache.store"].detail
    assert "this node counts alone" in health.checks["gateway.rate limits"].detail


@pytest.mark.requirement("C3")
async def test_two_nodes_on_one_redis_forget_together_and_other_clusters_keep_theirs(tmp_path: Path) -> None:
    namespace, told = uuid4().hex, list[str]()
    parts = [parts_of(tmp_path, cache_url=need_redis(), namespace=name) for name in (namespace, namespace, "other")]
    for name, each in zip(("one", "two", "other"), parts, strict=True):
        each.cache.listen(lambda forgotten, name=name: told.append(name) if "red" in forgotten.tags else None)
        await each.cache.open()
        assert (await each.cache.check()).status == "ok"

    await parts[0].cache.invalidate("red")

    await eventually(lambda: {"one", "two"} <= set(told), timeout_s=10)
    assert "other" not in told
    for each in parts:
        await each.cache.aclose()
