"""LearnerNode: learns from what a policy node does and offers it candidates.  No control.

<policy node>/control_step -> journal -> transitions -> updates -> <policy node>/candidate
"""

import contextlib
import json
import time
from array import array
from collections.abc import Iterator

import numpy as np
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Float64MultiArray, String, UInt8MultiArray
from std_srvs.srv import SetBool, Trigger

from sac_ros.control_step import ControlStep, Mode
from sac_ros.errors import UserError, WriteError
from sac_ros.fault import Fault
from sac_ros.messages import LATCHED, RECORD, RESULTS
from sac_ros.own_thread import OwnThread, Reader
from sac_ros.run_node import steady_clock
from sac_ros.step_message import step_from_message
from sim_training.episode_record import result_from_json
from sim_training.fine_tuner import FineTuner
from sim_training.learner_options import learner_options
from sim_training.learner_report import LearnerReport
from sim_training.learner_start import LearnerStart
from sim_training.transitions import LARGEST_REWARD, EpisodeReturn

BACKLOG = QoSProfile(depth=5000)  # 100 s at 50 Hz: what comes in the beginning is kept
WORK_PERIOD = 0.01  # [s] from one look at what has come to the next
LONGEST_WORK = 0.1  # [s] after which services are answered
REPORT_PERIOD = 1.0  # [s], as REP 107 asks for
PAUSED = 'paused; the robot is not: to stop it, ~/enable false of the policy node'
VERDICTS = {'success': 1.0, 'failure': -1.0}  # what a person adds to the last reward


class LearnerNode(Node):
    """One thread: take all that has come, update once, again.  Nobody waits for it."""

    def __init__(
        self, *, context: Context | None = None, arguments: list[str] | None = None
    ) -> None:
        """Join the topics; the learning begins when the node is spun.  Raises UserError."""
        super().__init__('learner_node', context=context, cli_args=arguments)
        self.crash: BaseException | None = None
        self.is_finished = False
        self._options = options = learner_options(self)
        self._start = LearnerStart(options, self.get_logger().warning)
        self._spec, self._experience = self._start.spec, self._start.experience
        self._tuner: FineTuner | None = None
        self._newest: ControlStep | None = None
        self._has_acted = False  # since the last verdict
        self._is_ending = self._is_paused = self._has_failed = False
        self._saved_at = time.monotonic()
        self._report = LearnerReport(self, options.folder, self._spec.dt)
        self._join()

    def prepare_end(self) -> None:
        """Cut short what takes long; `close` saves."""
        self._is_ending = True

    def close(self) -> None:
        """Save what was learned, unless learning has failed."""
        with contextlib.closing(self._start), contextlib.closing(self._report):
            if self._tuner is not None and not self._has_failed:
                self._save(self._tuner)

    def _join(self) -> None:
        """Subscribe, advertise, and begin to work."""
        options, group = self._options, OwnThread()
        topics = {f'{options.policy_node}/control_step': 'step'}
        if options.reward_topic:
            topics[options.reward_topic] = 'reward'
        # Read past the executor, which needs longer for a message than the policy for a tick.
        self._reader = Reader(
            self,
            group,
            {
                self.create_subscription(
                    Float64MultiArray, topic, lambda message: None, BACKLOG, callback_group=group
                ): name
                for topic, name in topics.items()
            },
        )
        self.create_subscription(
            String, f'{options.policy_node}/decisions', self._report.take_decision, RESULTS
        )
        if options.episode_topic:
            # Not the latched ones of before, which ended episodes that we have not seen.
            self.create_subscription(String, options.episode_topic, self._end_episode, RECORD)
        self._candidates = self.create_publisher(
            UInt8MultiArray, f'{options.policy_node}/candidate', LATCHED
        )
        self._returns = self.create_publisher(
            String, f'{options.policy_node}/episode_return', RECORD
        )
        self.create_service(Trigger, '~/success', self._answer_success)
        self.create_service(Trigger, '~/failure', self._answer_failure)
        self.create_service(SetBool, '~/pause', self._answer_pause)
        steady = steady_clock()
        self.create_timer(WORK_PERIOD, self._work, clock=steady)
        self.create_timer(REPORT_PERIOD, self._tell, clock=steady)

    def _work(self) -> None:
        """Learn for a moment from what has come."""
        self._has_failed = True  # until all has gone well
        tuner = self._tuner = self._tuner or self._begin()
        end = time.monotonic() + LONGEST_WORK

        def is_enough() -> bool:
            return self._is_ending or self._is_paused or time.monotonic() > end

        self._read(tuner)
        tuner.warm_up(is_enough)
        while tuner.updates_due > 0 and not is_enough():
            tuner.update(1)
            self._read(tuner)
        self._offer(tuner)
        if time.monotonic() > self._saved_at + self._options.save_period:
            self._saved_at = time.monotonic()
            self._save(tuner)
        self._has_failed = False

    def _begin(self) -> FineTuner:
        """Return what learns; this takes a while."""
        tuner = self._start.begin(self._report.publish, lambda: self._is_ending)
        self.get_logger().info(
            f"learning '{self._start.task}' from {tuner.transitions} transitions of the robot and "
            f'{tuner.simulated} of the simulation'
        )
        return tuner

    def _read(self, tuner: FineTuner) -> None:
        """Take all that has come, and the transitions that are settled by it."""
        while messages := self._reader.wait(0.0):
            for name, message in messages:
                assert isinstance(message, Float64MultiArray)
                try:
                    self._hear(name, message)
                except UserError as error:
                    self.get_logger().warning(f'refused: {error}', throttle_duration_sec=1.0)
        transitions, returns = self._experience.take()
        if (refused := self._start.maker.refused) is not None:
            self.get_logger().warning(
                f'not learned from: a reward of the task is {refused:g}; -{LARGEST_REWARD:g} to '
                f'{LARGEST_REWARD:g} is allowed',
                once=True,
            )
        for transition in transitions:
            tuner.learn(transition)
        for episode in returns:
            self._tell_return(episode)

    def _hear(self, name: str, message: Float64MultiArray) -> None:
        """Take a message, unless paused.  Raises UserError for one that makes no sense."""
        if self._is_paused:
            return
        with self._warned_of_disk():
            if name == 'reward':
                self._experience.add_reward(np.array(message.data))
                return
            self._newest = step_from_message(self._spec, message)
            self._has_acted |= self._newest.mode is Mode.ACTIVE
            self._experience.add_tick(self._newest)

    def _end_episode(self, message: String) -> None:
        try:
            result = result_from_json(message.data)
        except UserError as error:
            self.get_logger().warning(f'refused: {error}', throttle_duration_sec=1.0)
            return
        with self._warned_of_disk():
            self._experience.add_end(result.ended_at)

    def _tell_return(self, episode: EpisodeReturn) -> None:
        self._report.add_episode(episode)
        if episode.is_whole or episode.is_interrupted:
            facts: dict[str, object] = {
                'model': episode.model,
                'return': episode.reward_sum,
                'length': episode.length,
            }
            if episode.is_interrupted:
                facts['interrupted'] = True
            self._returns.publish(String(data=json.dumps(facts)))

    def _offer(self, tuner: FineTuner) -> None:
        """Offer what was learned when there is enough that is new."""
        if tuner.news >= max(1.0, self._options.candidate_period * self._spec.control_rate):
            try:
                candidate = tuner.candidate()
            except UserError as error:  # such as weights so steep that two libraries disagree
                self._report.failed += 1
                self.get_logger().warning(f'no candidate: {error}; learning goes on')
                return
            self._candidates.publish(UInt8MultiArray(data=array('B', candidate)))
            self._report.offered += 1

    def _save(self, tuner: FineTuner) -> None:
        with self._warned_of_disk():
            self._experience.sync()
            tuner.save()
            if not self._experience.is_full:
                self._report.warning = None

    @contextlib.contextmanager
    def _warned_of_disk(self) -> Iterator[None]:
        """Tell of what cannot be written, and go on."""
        try:
            yield
        except WriteError as error:
            self._report.warning = Fault('W_DISK', str(error))
            self.get_logger().warning(f'{self._report.warning}; learning goes on')

    def _tell(self) -> None:
        """Tell what the learner is doing."""
        if self._is_paused:
            state = 'paused'
        elif self._tuner is not None and self._tuner.is_warming_up:
            state = 'warming up'
        else:
            state = 'waiting for control steps' if self._newest is None else 'learning'
        self._report.publish(state, self._tuner)

    def _answer_success(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        return self._judge('success', answer)

    def _answer_failure(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        return self._judge('failure', answer)

    def _judge(self, verdict: str, answer: Trigger.Response) -> Trigger.Response:
        """End the episode with the newest tick, or with the last one before a stop."""
        if self._newest is None or self._is_paused or not self._has_acted:
            answer.message = 'nothing is being learned from that could be judged'
            return answer
        with self._warned_of_disk():
            self._experience.add_end(self._newest.stamp, VERDICTS[verdict])
        self._has_acted = False
        answer.success, answer.message = True, f'{verdict}: the episode has ended'
        self.get_logger().info(answer.message)
        return answer

    def _answer_pause(
        self, request: SetBool.Request, answer: SetBool.Response
    ) -> SetBool.Response:
        """Learn nothing for a while; what happens meanwhile is not recorded either."""
        if request.data and not self._is_paused and self._newest is not None:
            with self._warned_of_disk():
                self._experience.add_break(self._newest.stamp)
        self._is_paused = request.data
        answer.success, answer.message = True, PAUSED if request.data else 'learning'
        return answer
