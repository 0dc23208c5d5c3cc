from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireside.runtime.mesh import MeshSettings
from fireside.runtime.mesh.balancing import Balancer, shard_owner
from fireside.runtime.mesh.packets import Info, Offer, ServiceInfo
from fireside.runtime.mesh.registry import Registry

from .clocks import HandClock
from .parts import Note


def info(node: str, *actions: str, seq: int | None = 1, instance: str = "i", events: tuple[str, ...] = ()) -> Info:
    service = ServiceInfo(
        name="notes",
        actions={name: Offer(name=name) for name in actions},
        events={name: Offer(name=name) for name in events},
    )
    return Info(sender=node, ver="4", services=[service], instance_id=instance, seq=seq)


def ids(nodes: Any) -> list[str]:
    return [node.node_id for node in nodes]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def registry(clock: HandClock) -> Registry:
    return Registry(clock, foreign_actions=["js.*"], foreign_events=["js.*"])


def test_a_node_is_known_by_what_it_announced(registry: Registry) -> None:
    assert registry.learn(info("b", "notes.echo"), trusted=True) == "new"
    assert registry.learn(info("a", "notes.echo", "notes.where"), trusted=True) == "new"

    assert ids(registry.offering("notes.echo")) == ["a", "b"]
    assert ids(registry.offering("notes.where")) == ["a"]
    assert ids(registry.offering("notes.nothing")) == []


def test_a_newer_announcement_replaces_an_older_one_but_not_the_other_way_round(registry: Registry) -> None:
    registry.learn(info("a", "notes.echo", seq=2), trusted=True)

    assert registry.learn(info("a", "notes.old", seq=1), trusted=True) == "same"
    assert registry.learn(info("a", "notes.new", seq=3), trusted=True) == "updated"
    assert list(registry.actions) == ["notes.new"]


def test_a_new_instance_of_a_node_counts_whatever_its_sequence(registry: Registry) -> None:
    registry.learn(info("a", "notes.echo", seq=9), trusted=True)

    assert registry.learn(info("a", "notes.new", seq=1, instance="j"), trusted=True) == "restarted"
    assert list(registry.actions) == ["notes.new"]


def test_a_node_without_sequence_numbers_is_taken_as_it_is(registry: Registry) -> None:
    assert registry.learn(info("a", "notes.echo", seq=None), trusted=True) == "new"
    assert registry.learn(info("a", "notes.echo", seq=None), trusted=True) == "same"


def test_a_node_is_silent_after_the_timeout_and_not_before(registry: Registry, clock: HandClock) -> None:
    registry.learn(info("a"), trusted=True)
    registry.learn(info("b"), trusted=True)
    clock.move(10)
    assert registry.seen("b", cpu=5.0)
    clock.move(5.5)

    assert registry.silent_for(15) == ["a"]
    assert registry.forget("a")
    assert not registry.forget("a")
    assert not registry.seen("a")
    assert ids(registry.nodes) == ["b"]
    assert registry.nodes[0].cpu == 5.0


def test_nodes_without_the_key_offer_only_what_may_be_foreign(registry: Registry) -> None:
    registry.learn(info("f", "notes.echo", "js.add", "$node.list", events=("notes.told", "js.told")), trusted=False)

    assert list(registry.actions) == ["js.add"]
    assert dict(registry.listening("notes.told")) == {}
    assert {group: ids(nodes) for group, nodes in registry.listening("js.told").items()} == {"notes": ["f"]}


def test_actions_of_the_node_service_are_never_offered_to_others(registry: Registry) -> None:
    registry.learn(info("a", "$node.list"), trusted=True)

    assert dict(registry.actions) == {}


@pytest.mark.parametrize(
    ("pattern", "event", "matches"),
    [
        ("user.created", "user.created", True),
        ("user.created", "user.created.twice", False),
        ("user.*", "user.created", True),
        ("user.*", "user.created.twice", False),
        ("user.**", "user.created.twice", True),
        ("**", "anything.at.all", True),
        ("*.created", "user.created", True),
        ("user.?", "user.x", True),
        ("user.?", "user.xy", False),
        ("user+", "userr", False),
    ],
)
def test_events_match_moleculers_wildcards(registry: Registry, pattern: str, event: str, matches: bool) -> None:
    registry.learn(info("a", events=(pattern,)), trusted=True)

    assert bool(registry.listening(event)) is matches


def balancer(settings: MeshSettings, **latencies: float) -> Balancer:
    return Balancer(settings, latency_s=latencies.get, random=Random(7))


def test_nodes_take_turns_for_each_action_by_itself() -> None:
    chooser = balancer(MeshSettings())

    first = [chooser.choose("a", ["x", "y", "z"]) for _ in range(6)]
    second = [chooser.choose("b", ["x", "y", "z"]) for _ in range(3)]

    assert first == ["x", "y", "z"] * 2
    assert second == ["x", "y", "z"]


def test_the_nearer_node_gets_most_calls_and_the_farthest_none() -> None:
    chooser = balancer(MeshSettings(balancing="latency"), near=0.001, middle=0.01, far=0.1)

    chosen = [chooser.choose("a", ["far", "middle", "near"]) for _ in range(300)]

    assert chosen.count("near") > chosen.count("middle") > 0
    assert "far" not in chosen
    assert chooser.choose("a", ["far"]) == "far"


def test_a_node_whose_distance_is_unknown_is_tried() -> None:
    chooser = balancer(MeshSettings(balancing="latency"), near=0.001)

    assert "new" in {chooser.choose("a", ["near", "new"]) for _ in range(10)}


nodes = st.lists(st.sampled_from([f"n{number}" for number in range(8)]), min_size=2, max_size=8, unique=True)


@settings(deadline=None)
@given(key=st.text(max_size=20), present=nodes)
def test_the_owner_of_a_key_changes_only_when_it_leaves(key: str, present: list[str]) -> None:
    owner = shard_owner(key, present)

    assert shard_owner(key, sorted(present, reverse=True)) == owner
    for gone in present:
        if gone != owner:
            assert shard_owner(key, [node for node in present if node != gone]) == owner


def test_a_sharded_action_follows_its_key() -> None:
    chooser = balancer(MeshSettings(shard_keys={"notes.echo": "text"}))
    names = [f"n{number}" for number in range(4)]

    owners = {text: chooser.choose("notes.echo", names, Note(text=text)) for text in "abcdefghijkl"}

    assert chooser.is_sharded("notes.echo")
    assert not chooser.is_sharded("notes.where")
    assert all(chooser.choose("notes.echo", names, Note(text=text)) == owner for text, owner in owners.items())
    assert len(set(owners.values())) > 1
