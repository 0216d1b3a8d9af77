"""OnnxPolicy: a model file that carries its contract, checked, and called as a function."""

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from sac_ros.model_content import read_content, read_entries
from sac_ros.model_error import ModelError, about
from sac_ros.model_file import model_name, read_model
from sac_ros.model_graph import check_graph
from sac_ros.model_metadata import (
    ORIGIN_KEY,
    SPEC_KEY,
    Origin,
    read_golden,
    read_metadata,
)
from sac_ros.onnx_fields import parse_model
from sac_ros.spec import TaskSpec

__all__ = ['ORIGIN_KEY', 'PARITY', 'SPEC_KEY', 'ModelError', 'OnnxPolicy', 'action_range',
           'load_policy']  # fmt: skip

PARITY = 1e-5  # largest difference from the golden actions, as a fraction of the action range

# Everything that onnxruntime raises has Exception as its only common base.
_RUNTIME_ERRORS = (
    runtime_errors.EngineError,
    runtime_errors.EPFail,
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.InvalidProtobuf,
    runtime_errors.NoSuchFile,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
)


class OnnxPolicy:
    """Deterministic policy: observation [SI units] -> action in the contract's own units."""

    def __init__(self, data: bytes, where: str) -> None:
        """Load a model from its bytes; `where` names it in errors.  Raises ModelError.

        onnxruntime sees them last: a model that is damaged or made to harm has been refused then.
        """
        with about(where):
            model = parse_model(data)
            spec, origin = read_metadata(read_entries(model), data)
            check_graph(read_content(model), spec)
            self.spec: TaskSpec = spec
            self.origin: Origin = origin
            self._session = _open_session(data)
            self._check_golden()
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._input = np.zeros((1, spec.observation_size), dtype=np.float32)
        self._output = np.zeros((1, spec.action_size), dtype=np.float32)
        self._binding = _bind(self._session, self._input, self._output)

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """Return the action, float32 (action_size,), for an observation (observation_size,).

        For one thread: the control loop's.  Others ask by `answers`.
        """
        self._input[0] = observation
        self._session.run_with_iobinding(self._binding)
        return self._output[0].copy()

    def answers(self, observations: np.ndarray) -> np.ndarray:
        """Return the actions, float32 (k, m), for observations (k, n); from any thread.

        Raises ModelError when onnxruntime fails.
        """
        rows = np.asarray(observations, dtype=np.float32)[:, np.newaxis]
        actions = np.empty((len(rows), self.spec.action_size), dtype=np.float32)
        for i, row in enumerate(rows):
            try:
                actions[i] = self._session.run(None, {'observation': row})[0][0]
            except _RUNTIME_ERRORS as error:
                raise ModelError(
                    f'fails when it is run ({type(error).__name__})', 'E_MODEL_PARSE'
                ) from error
        return actions

    def _check_golden(self) -> None:
        """Repeat the recorded observation/action pairs: is this machine the exporter's equal?"""
        observations, actions = read_golden(self.origin, self.spec)
        answers = self.answers(observations)
        worst = np.abs(answers - actions) / action_range(self.spec)
        if not worst.max() <= PARITY:
            pair, element = np.unravel_index(np.argmax(worst), worst.shape)
            raise ModelError(
                f'fails golden pair {pair}, {self.spec.action_names[element]}: this machine '
                f'answers {answers[pair, element]:g}, recorded is {actions[pair, element]:g}',
                'E_MODEL_PARITY',
            )


def load_policy(path: Path, expected_sha256: str = '') -> OnnxPolicy:
    """Read a model file once, and load it from what was read.  Raises ModelError.

    When a sha256 is given, a file with any other content is refused.
    """
    return OnnxPolicy(read_model(path, expected_sha256), model_name(path))


def action_range(spec: TaskSpec) -> np.ndarray:
    """Return upper - lower of each action element, shape (action_size,)."""
    return spec.per_action(spec.action.upper) - spec.per_action(spec.action.lower)


def _open_session(data: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a small network gains nothing from a second thread, and
    options.inter_op_num_threads = 1  # a spinning pool would take the other core from the robot
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            data,
            options,
            providers=['CPUExecutionProvider'],
            enable_fallback=0,  # it would print, and try the same again
        )
    except _RUNTIME_ERRORS as error:
        raise ModelError(
            f'cannot be run by onnxruntime ({type(error).__name__})', 'E_MODEL_PARSE'
        ) from error


def _bind(
    session: onnxruntime.InferenceSession, observation: np.ndarray, action: np.ndarray
) -> 'onnxruntime.IOBinding':
    """Let a session read and write these arrays, [1, n] and [1, m], so that none is made anew."""
    binding = session.io_binding()
    for bind, name, array in (
        (binding.bind_input, 'observation', observation),
        (binding.bind_output, 'action', action),
    ):
        bind(name, 'cpu', 0, array.dtype.type, array.shape, array.ctypes.data)
    return binding
