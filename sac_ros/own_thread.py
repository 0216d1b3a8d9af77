"""Topics and services that a thread of ours serves, past the executor of the node.

An executor serves everything in turn, parameters and timers too, and prepares anew for each
message: that costs milliseconds, and a callback that blocks would block control.  So the control
thread waits for its own subscriptions and for nothing else, and so does the operators' thread.
"""

import contextlib
from collections.abc import Mapping, Sequence

from rclpy.callback_groups import CallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.service import Service
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ModuleNotFoundError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


class OwnThread(CallbackGroup):
    """The group of what no executor may touch, because a thread of ours serves it."""

    def can_execute(self, entity: object) -> bool:
        """Keep the executor away."""
        return False

    def beginning_execution(self, entity: object) -> bool:
        """Keep the executor away."""
        return False

    def ending_execution(self, entity: object) -> None:
        """Do nothing: nothing has begun."""


def subscribe(
    node: Node,
    group: OwnThread,
    kind: type,
    topic: str,
    qos: QoSProfile,
    overriding: QoSOverridingOptions | None = None,
) -> Subscription:
    """Return a subscription for a Reader, which takes its messages."""
    return node.create_subscription(
        kind,
        topic,
        lambda message: None,
        qos,
        callback_group=group,
        # No warnings of publishers that do not match: of several readers of a topic one never
        # does, and the pre-flight report tells of all others.
        event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        qos_overriding_options=overriding,
    )


class Reader:
    """Waits for messages and requests.  One thread at a time may wait."""

    def __init__(
        self,
        node: Node,
        group: OwnThread,
        subscriptions: Mapping[Subscription, str],
        services: Sequence[Service] = (),
        first: str = '',
    ) -> None:
        """Serve `subscriptions` (-> name), in this order when several are ready, and `services`.

        All of them must be in `group`.  The one that is called `first` is looked at in any case,
        so that what was sent on it before another message is never returned after that.
        """
        self._node = node
        self._subscriptions = dict(subscriptions)
        self._services = list(services)
        self._first = first
        self._alarm = node.create_guard_condition(lambda: None, group)
        context = node.context.handle
        if context is None:
            raise RuntimeError('the ROS context of the node has ended')
        self._wait_set = rclpy_implementation.WaitSet(
            len(self._subscriptions), 1, 0, 0, len(self._services), 0, context
        )

    def wait(self, timeout: float) -> list[tuple[str, object]]:
        """Return the messages that have come, by name; empty after `timeout` [s] and `wake`.

        Requests are answered on the way, by the callbacks of their services.
        """
        wait_set = self._wait_set
        wait_set.clear_entities()
        for subscription in self._subscriptions:
            wait_set.add_subscription(subscription.handle)
        for service in self._services:
            wait_set.add_service(service.handle)
        wait_set.add_guard_condition(self._alarm.handle)
        wait_set.wait(int(timeout * 1e9))
        if self._services:
            self._answer(set(wait_set.get_ready_entities('service')))
        return self._take(set(wait_set.get_ready_entities('subscription')))

    def wake(self) -> None:
        """Let the present `wait`, or the next one, return at once."""
        self._alarm.trigger()

    def destroy(self) -> None:
        """Leave the topics and services.  Nobody may be waiting."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for service in self._services:
            self._node.destroy_service(service)
        self._node.destroy_guard_condition(self._alarm)

    def _take(self, ready: set[int]) -> list[tuple[str, object]]:
        arrived = []
        for subscription, name in self._subscriptions.items() if ready else ():
            if subscription.handle.pointer in ready or name == self._first:
                taken = subscription.handle.take_message(subscription.msg_type, False)
                if taken is not None:
                    arrived.append((name, taken[0]))
        return arrived

    def _answer(self, ready: set[int]) -> None:
        for service in self._services:
            if service.handle.pointer in ready:
                request, header = service.handle.service_take_request(service.srv_type.Request)
                if header is not None:
                    answer = service.callback(request, service.srv_type.Response())
                    # Whoever asked may have gone; what was asked for is done all the same.
                    with contextlib.suppress(rclpy_implementation.RCLError):
                        service.send_response(answer, header)
