"""What a node sees of the others on its topics: the facts of the pre-flight report.

A topic is named as in the contract, because rclpy expands and remaps what it is asked for: a name
that is remapped already could be remapped twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

from sac_ros.fault import Fault
from sac_ros.preflight import Endpoint, Facts
from sac_ros.spec import TaskSpec

if TYPE_CHECKING:
    from rclpy.publisher import Publisher
    from rclpy.subscription import Subscription
    from rclpy.topic_endpoint_info import TopicEndpointInfo

POLICIES = ('reliability', 'durability', 'deadline', 'liveliness', 'liveliness_lease_duration')
INFINITE = 2**63 - 1  # [ns]: how the middleware says that a duration has no limit


def collect_facts(
    node: Node,
    spec: TaskSpec,
    *,
    arrived: Collection[str],
    intervals: Mapping[str, float | None],
    state_fault: Fault | None,
    discovery_rest: float,
) -> Facts:
    """Return what can be known by `node`, which is on the topics of `spec`.

    What its measurements say is brought by the caller; see Facts.
    """
    command = spec.topics['command'].name
    return Facts(
        topics={key: node.resolve_topic_name(topic.name) for key, topic in spec.topics.items()},
        publishers={key: _publishers(node, spec.topics[key].name) for key in spec.sources},
        listeners=_listeners(node, command),
        rivals=command_rivals(node, command),
        arrived=arrived,
        intervals=intervals,
        state_fault=state_fault,
        clock=_clock(node),
        discovery_rest=discovery_rest,
    )


def command_rivals(node: Node, topic: str) -> list[str]:
    """Return the names of the other nodes that publish on a topic.  Cheap enough to ask often."""
    own_name = node.get_fully_qualified_name()
    names = dict.fromkeys(map(node_name, _publishers_on(node, topic).others))
    return [f'another {name}' if name == own_name else name for name in names]


def count_listeners(node: Node, topic: str) -> int:
    """Return how many subscriptions are on a topic, ours among them.  Cheap, too."""
    return node.count_subscribers(node.resolve_topic_name(topic))  # which does not remap


def qos_problem(offered: QoSProfile, requested: QoSProfile) -> str | None:
    """Return which policies keep a publisher from a subscription, or None.

    The middleware judges one policy at a time, so that the one at fault can be named.
    """
    problems = []
    for policy in POLICIES:
        values = getattr(offered, policy), getattr(requested, policy)
        profiles = [QoSProfile(depth=1, **{policy: value}) for value in values]
        if qos_check_compatible(*profiles)[0] == QoSCompatibility.ERROR:
            offer, request = map(_shown, values)
            problems.append(f'{policy} {offer} offered, {request} requested')
    return '; '.join(problems) or None


def node_name(info: TopicEndpointInfo) -> str:
    """Return the full name of a node, as far as DDS can tell it yet."""
    if info.node_name == '_NODE_NAME_UNKNOWN_':
        return 'a node of unknown name'
    return f'{info.node_namespace.rstrip("/")}/{info.node_name}'


def _publishers(node: Node, topic: str) -> list[Endpoint]:
    publishers, subscriptions = _publishers_on(node, topic), _subscriptions_on(node, topic)
    return [
        _endpoint(
            one, [qos_problem(one.qos_profile, ours.qos_profile) for ours in subscriptions.ours]
        )
        for one in publishers.others
    ]


def _listeners(node: Node, topic: str) -> list[Endpoint]:
    publishers, subscriptions = _publishers_on(node, topic), _subscriptions_on(node, topic)
    return [
        _endpoint(
            one, [qos_problem(ours.qos_profile, one.qos_profile) for ours in publishers.ours]
        )
        for one in subscriptions.others
    ]


def _endpoint(info: TopicEndpointInfo, problems: Sequence[str | None]) -> Endpoint:
    """Return an endpoint and its problems with each of ours on the topic: one match is enough."""
    problem = None if None in problems else next(iter(problems), None)
    return Endpoint(node_name(info), info.topic_type.replace('/msg/', '/'), problem)


def _publishers_on(node: Node, topic: str) -> _Sides:
    return _sides(node, topic, node.publishers, node.get_publishers_info_by_topic(topic))


def _subscriptions_on(node: Node, topic: str) -> _Sides:
    return _sides(node, topic, node.subscriptions, node.get_subscriptions_info_by_topic(topic))


def _sides(
    node: Node,
    topic: str,
    own: Iterable[Publisher | Subscription],
    infos: Sequence[TopicEndpointInfo],
) -> _Sides:
    """Take as many of our name for ours as we have: one more is of another node of our name."""
    full_topic, own_name = node.resolve_topic_name(topic), node.get_fully_qualified_name()
    count = sum(endpoint.topic_name == full_topic for endpoint in own)
    ours = [info for info in infos if node_name(info) == own_name][:count]
    gids = [info.endpoint_gid for info in ours]
    return _Sides(ours, [info for info in infos if info.endpoint_gid not in gids])


class _Sides(NamedTuple):
    """Everybody on a topic, with the quality of service that DDS settled: no defaults are left."""

    ours: list[TopicEndpointInfo]
    others: list[TopicEndpointInfo]


def _clock(node: Node) -> Literal['system', 'simulated', 'absent']:
    if not node.get_parameter('use_sim_time').value:
        return 'system'
    return 'simulated' if node.get_clock().now().nanoseconds > 0 else 'absent'


def _shown(value: Duration | IntEnum) -> str:
    if not isinstance(value, Duration):
        return value.name
    nanoseconds = value.nanoseconds
    return f'{nanoseconds * 1e-9:g} s' if 0 < nanoseconds < INFINITE else 'unlimited'
