"""Decisions: each one about a candidate is published, counted, and written for people to read."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import String

from sac_ros.decision_log import Decision, Word, append_decision, time_now
from sac_ros.errors import UserError
from sac_ros.fault import Fault
from sac_ros.messages import RESULTS

BAD_NEWS = ('refused', 'rolled back', 'base model')


class Decisions:
    """The topic ~/decisions, the log of the node, and decisions.log in the learning folder."""

    def __init__(
        self, node: LifecycleNode, folder: Path | None, warn: Callable[[Fault], None]
    ) -> None:
        """Advertise the topic; write to `folder`, if there is one; `warn` of a full disk."""
        self.counts: Counter[str] = Counter()  # decision -> how often
        self.last: Decision | None = None
        self._logger = node.get_logger()
        self._folder = folder
        self._warn = warn
        self._publisher = node.create_publisher(String, '~/decisions', RESULTS)

    def tell(
        self,
        word: Word,
        sha256: str,
        code: str = '',
        text: str = '',
        returns: Iterable[float] = (),
        before: Iterable[float] = (),
    ) -> None:
        """Tell everywhere what was decided about a model; see Decision."""
        decision = Decision(time_now(), sha256, word, code, text, tuple(returns), tuple(before))
        try:
            if self._folder is not None:
                append_decision(self._folder, decision)
        except UserError as error:
            self._warn(Fault('W_DISK', str(error)))
        self.last = decision
        self.counts[word] += 1
        self._publisher.publish(String(data=decision.to_json()))
        if word in BAD_NEWS:
            self._logger.warning(str(decision))
        else:
            self._logger.info(str(decision))
