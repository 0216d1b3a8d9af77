"""OnnxPolicy: a model file that carries its contract, checked, and called as a function."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from sac_ros.errors import UserError
from sac_ros.spec import SpecError, TaskSpec, spec_from_json

SPEC_KEY, ORIGIN_KEY = 'sac_ros.spec', 'sac_ros.origin'  # the two keys of the file's metadata
MAX_BYTES = 16 * 2**20  # an actor of 2 x 256 units has 0.3 MB
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


class ModelError(UserError):
    """A model file that cannot be used, and why, in one line."""


class OnnxPolicy:
    """Deterministic policy: observation [SI units] -> action in the contract's own units."""

    def __init__(self, data: bytes, where: str) -> None:
        """Load a model from its bytes; `where` names it in errors.  Raises ModelError."""
        try:
            self._session = _open_session(data, where)
            metadata = _read_metadata(self._session, where)
            self.spec: TaskSpec = _read_spec(metadata[SPEC_KEY], where)
            self.origin: dict[str, object] = _read_origin(metadata[ORIGIN_KEY], where)
            _check_signature(self._session, self.spec, where)
            self._check_golden(where)
        except UnicodeDecodeError as error:  # by onnxruntime, in whatever it reads or complains of
            raise ModelError(f'{where} is damaged: a name in it is not UTF-8 text') from error
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._input = np.zeros((1, self.spec.observation_size), dtype=np.float32)

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """Return the action, float32 (action_size,), for an observation (observation_size,)."""
        self._input[0] = observation
        action: np.ndarray = self._session.run(None, {'observation': self._input})[0][0]
        return action

    def _check_golden(self, where: str) -> None:
        """Repeat the recorded observation/action pairs: is this machine the exporter's equal?"""
        observations, actions = _read_golden(self.origin, self.spec, where)
        answers = np.empty_like(actions)
        for i, observation in enumerate(observations):
            try:
                answer = self._session.run(None, {'observation': observation[np.newaxis]})[0]
            except _RUNTIME_ERRORS as error:
                raise ModelError(f'{where} fails when run ({type(error).__name__})') from error
            if answer.shape != (1, self.spec.action_size):
                raise ModelError(
                    f'{where}: the answer has shape {answer.shape}; '
                    f'(1, {self.spec.action_size}) is needed'
                )
            answers[i] = answer[0]
        worst = np.abs(answers - actions) / action_range(self.spec)
        if not worst.max() <= PARITY:
            pair, element = np.unravel_index(np.argmax(worst), worst.shape)
            raise ModelError(
                f'{where}: golden pair {pair}, {self.spec.action_names[element]}: this machine '
                f'answers {answers[pair, element]:g}, recorded is {actions[pair, element]:g}'
            )


def load_policy(path: Path) -> OnnxPolicy:
    """Read a model file once, and load it from what was read.  Raises ModelError."""
    path = Path(path)
    try:
        if not path.is_file():
            found = 'a folder or device' if path.exists() else 'nothing'
            raise ModelError(f'model {path}: {found} found; a model file (.onnx) is needed')
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ModelError(f'model {path} has {size} bytes; at most {MAX_BYTES} are allowed')
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f'cannot read model {path}: {error.strerror}') from error
    return OnnxPolicy(data, f'model {path}')


def action_range(spec: TaskSpec) -> np.ndarray:
    """Return upper - lower of each action element, shape (action_size,)."""
    return spec.per_action(spec.action.upper) - spec.per_action(spec.action.lower)


def _open_session(data: bytes, where: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a small network gains nothing from a second thread, and
    options.inter_op_num_threads = 1  # a spinning pool would take the other core from the robot
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 4
    if not data:
        raise ModelError(f'{where} is empty')
    try:
        return onnxruntime.InferenceSession(
            data,
            options,
            providers=['CPUExecutionProvider'],
            enable_fallback=0,  # it would print, and try the same again
        )
    except _RUNTIME_ERRORS as error:
        raise ModelError(
            f'{where} is not an ONNX model that can be run: it is cut, damaged or of another kind '
            f'({type(error).__name__})'
        ) from error


def _read_metadata(session: onnxruntime.InferenceSession, where: str) -> dict[str, str]:
    metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
    if SPEC_KEY not in metadata or ORIGIN_KEY not in metadata:
        raise ModelError(f"{where} carries no sac_ros contract; write it with 'sac-ros export'")
    return metadata


def _read_spec(text: str, where: str) -> TaskSpec:
    try:
        return spec_from_json(text, f'{where}, {SPEC_KEY}')
    except SpecError as error:
        raise ModelError(str(error)) from error


def _read_origin(text: str, where: str) -> dict[str, object]:
    try:
        origin = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f'{where}, {ORIGIN_KEY}: not JSON ({error})') from error
    if not isinstance(origin, dict):
        found = type(origin).__name__
        raise ModelError(f'{where}, {ORIGIN_KEY}: {found} found; an object is needed')
    return origin


def _read_golden(
    origin: dict[str, object], spec: TaskSpec, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the recorded observations (pairs, n) and actions (pairs, m)."""
    golden = origin.get('golden')
    if not isinstance(golden, dict):
        raise ModelError(f'{where} carries no golden observation/action pairs')
    arrays = []
    for key, size in (('observation', spec.observation_size), ('action', spec.action_size)):
        try:
            array = np.asarray(golden.get(key), dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelError(f'{where}: golden {key} is not a table of numbers') from error
        if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] != size:
            raise ModelError(
                f'{where}: golden {key} has shape {array.shape}; (pairs, {size}) is needed'
            )
        if not (np.abs(array) <= np.finfo(np.float32).max).all():
            raise ModelError(f'{where}: golden {key} holds a number that float32 does not')
        arrays.append(array.astype(np.float32))
    if len(arrays[0]) != len(arrays[1]):
        raise ModelError(
            f'{where}: {len(arrays[0])} golden observations and {len(arrays[1])} actions'
        )
    return arrays[0], arrays[1]


def _check_signature(session: onnxruntime.InferenceSession, spec: TaskSpec, where: str) -> None:
    """Demand exactly observation float32 [1, n] -> action float32 [1, m]."""
    wanted = (
        ('input', session.get_inputs(), 'observation', spec.observation_size),
        ('output', session.get_outputs(), 'action', spec.action_size),
    )
    for kind, found, name, size in wanted:
        signature = [(node.name, node.type, node.shape) for node in found]
        if signature != [(name, 'tensor(float)', [1, size])]:
            raise ModelError(
                f"{where}: {kind} is {signature}; '{name}' float32 [1, {size}] is needed"
            )
