"""ModelSwap: another model takes over while the node runs, or is refused and says why.

`ros2 param set /policy_node model new.onnx` checks the file beside the loop, in a child process
first, and swaps between two ticks; ~/rollback swaps back at once.
"""

from collections.abc import Callable

import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from sac_ros.control_loop import ControlLoop
from sac_ros.fault import Fault
from sac_ros.model_file import model_path
from sac_ros.model_gate import load_candidate
from sac_ros.policy import ModelError, OnnxPolicy


class ModelSwap:
    """Parameter changes of a configured node: its model above all."""

    def __init__(
        self,
        node: LifecycleNode,
        find_loop: Callable[[], ControlLoop | None],
        change_base: Callable[[OnnxPolicy], None],
    ) -> None:
        """Serve the parameters of `node`; `change_base` lets another model act."""
        self.refusal: Fault | None = None  # why the newest model was refused
        self._node = node
        self._find_loop = find_loop
        self._change_base = change_base
        self._base: tuple[str, OnnxPolicy] | None = None  # the model that was asked for
        self._previous: tuple[str, OnnxPolicy] | None = None  # the one before, with its path
        self._returning: OnnxPolicy | None = None  # has acted before: it needs no check
        self._candidate: OnnxPolicy | None = None  # checked, and about to take over
        if hasattr(node, 'add_post_set_parameters_callback'):
            node.add_on_set_parameters_callback(self._check)
            node.add_post_set_parameters_callback(self._apply)
        else:  # Humble
            node.add_on_set_parameters_callback(self._check_and_apply)
        node.create_service(Trigger, '~/rollback', self._answer_rollback)

    def begin(self, path: str, policy: OnnxPolicy) -> None:
        """Begin with the model that was read from `path`: the node is configured anew."""
        self._base = (path, policy)
        self._previous = self.refusal = None

    def end_exploration(self) -> None:
        """Let the parameter say that nothing is explored: after a stop, and in shadow mode."""
        loop = self._find_loop()
        if loop is None or loop.controller.noise is not None:
            return
        if self._node.get_parameter('exploration').value > 0.0:
            self._node.set_parameters([Parameter('exploration', value=0.0)])
            self._node.get_logger().warning(
                "exploration is off: parameter 'exploration' is 0.0 now, set it to explore again"
            )

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        """Check a change, and the model that it names, without changing anything."""
        values = {parameter.name: parameter.value for parameter in parameters}
        loop = self._find_loop()
        self._candidate = None
        if loop is not None and loop.options.is_shadow and values.get('exploration'):
            reason = "'exploration' stays 0 in shadow mode: there is nothing to be learned from it"
            return SetParametersResult(successful=False, reason=reason)
        for name in ('shadow', 'use_sim_time'):
            if loop is not None and name in values:
                reason = f"'{name}' is read by configure: deactivate, clean up first"
                return SetParametersResult(successful=False, reason=reason)
        if self._returning is not None:
            self._candidate = self._returning
        elif loop is not None and 'model' in values:
            try:
                self._candidate = load_candidate(
                    model_path(values['model']),
                    loop.policy,
                    recent_observations(loop),
                    float(self._node.get_parameter('max_action_change').value),
                    str(self._node.get_parameter('expected_sha256').value),
                )
            except ModelError as error:
                self.refusal = Fault(error.code, str(error))
                self._node.get_logger().error(f'model refused: {self.refusal}')
                return SetParametersResult(successful=False, reason=str(self.refusal))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter]) -> None:
        """Do what an accepted change asks for."""
        loop, candidate, self._candidate = self._find_loop(), self._candidate, None
        if loop is None:
            return
        for parameter in parameters:
            if parameter.name == 'speed_scale':
                loop.controller.speed_scale = parameter.value
            elif parameter.name == 'ramp_time':
                loop.controller.ramp_time = parameter.value
            elif parameter.name == 'exploration':
                loop.explore(parameter.value, self._node.get_parameter('exploration_time').value)
            elif parameter.name == 'model' and candidate is not None:
                self._take_over(candidate, parameter.value)

    def _check_and_apply(self, parameters: list[Parameter]) -> SetParametersResult:
        result = self._check(parameters)
        if result.successful:
            self._apply(parameters)
        return result

    def _answer_rollback(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        """Let the model act again that acted before the last change."""
        loop = self._find_loop()
        if loop is None or self._previous is None:
            answer.message = 'there is no earlier model to go back to'
            return answer
        path, self._returning = self._previous
        try:
            result = self._node.set_parameters([Parameter('model', value=path)])[0]
        finally:
            self._returning = None
        answer.success = result.successful
        acting = f'model {loop.policy.sha256[:12]} acts again'
        answer.message = acting if result.successful else result.reason
        return answer

    def _take_over(self, policy: OnnxPolicy, path: str) -> None:
        self._change_base(policy)
        self._previous, self._base = self._base, (path, policy)
        self.refusal = None
        self._node.get_logger().info(f'model {policy.sha256[:12]} has taken over')


def recent_observations(loop: ControlLoop) -> np.ndarray:
    """Return the newest observations of a loop, shape (k, observation_size)."""
    recent = list(loop.recent_observations)
    return np.array(recent, dtype=np.float32).reshape(len(recent), loop.spec.observation_size)
