"""From a trained actor to one ONNX file: normalise, MLP, tanh, scale, clip; and its contract.

The graph is built node by node rather than traced, so that the same weights give the same bytes.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sac_ros.errors import UserError
from sac_ros.files import check_writable, write_atomic
from sac_ros.model_metadata import NO_DIGEST, ORIGIN_KEY, SPEC_KEY, with_digest
from sac_ros.policy import OnnxPolicy
from sac_ros.spec import TaskSpec
from sim_training.checkpoint import BEST, CURRENT, Facts, check_contract, read_actor
from sim_training.env import make_env
from sim_training.evaluate import evaluate_policy, summary
from sim_training.networks import Actor
from sim_training.parity import check_parity, mean_actions, plausible_observations, rounding
from sim_training.run_file import read_run_file, why_unfinished
from sim_training.tasks import is_file

OPSET, IR_VERSION = 17, 8  # old enough for the onnxruntime of a robot's Ubuntu 22.04
GOLDEN_PAIRS = 16
CALM = 1e-6  # rounding error of a golden pair, as a fraction of the action range

Origin = Mapping[str, object]


class ExportError(UserError):
    """A model that must not be written, and why, in one line."""


@dataclass(frozen=True)
class ExportCommand:
    """Write the policy of a training run as a model: one ONNX file with its whole contract.

    The file is scored before it is written, and refused when it does not compute what torch does.
    """

    run: Path
    """Folder of the training run."""

    out: Path
    """The model file to write (.onnx)."""

    weights: Literal['best', 'final'] = 'best'
    """The actor that scored best in the evaluations during training, or the last one."""

    episodes: int = 20
    """Episodes by which the file is scored; the scores are written into it."""

    task: str | None = None
    """Where the files of a task of your own are now; by default where they were in training."""

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        if self.out.suffix != '.onnx':
            raise UserError(f'--out {self.out} must end in .onnx')
        if self.episodes < 1:
            raise UserError(f'--episodes is {self.episodes}; 1 or more is needed')


def main(command: ExportCommand) -> dict[str, object]:
    """Export as `command` says; returns the scores, the parity and the file's hash."""
    weights = command.run / (BEST if command.weights == 'best' else CURRENT)
    run = read_run_file(command.run)
    actor, facts = read_actor(weights)
    origin = _origin(command, run, facts)
    if (reason := why_unfinished(run)) is not None:
        origin['unfinished'] = True  # without the reason, in which there may be a path
        print(f'{command.run} has not come to its end: {reason}', file=sys.stderr)
    env = make_env(command.task or facts.command.task)
    try:
        check_contract(facts, env.contract, str(weights))
        check_writable(command.out)
        policy, _ = build_policy(actor, env.contract, origin, f'model {command.out}')
        scores = summary(evaluate_policy(policy, env, command.episodes))
        del scores['each']
        policy = export_policy(actor, env.contract, {**origin, 'evaluation': scores}, command.out)
    finally:
        env.close()
    return {
        'model': str(command.out),
        'sha256': policy.sha256,
        'bytes': command.out.stat().st_size,
        'parity': check_parity(actor, policy, f'model {command.out}'),
        'weights': command.weights,
        'steps': origin['steps'],
        'evaluation': scores,
    }


def _origin(command: ExportCommand, run: Mapping[str, object], facts: Facts) -> dict[str, object]:
    """Return where the actor of a run comes from."""
    task = facts.command.task
    return {
        'env': Path(task).name if is_file(task) else task,  # no path of this machine in a model
        'seed': facts.command.seed,
        'steps': facts.counters.step,
        'weights': command.weights,
        'commit': run['commit'],
        'versions': run['versions'],
    }


def export_policy(actor: Actor, spec: TaskSpec, origin: Origin, path: Path) -> OnnxPolicy:
    """Write `actor` with its contract to `path`, checked; returns what was written, loaded.

    Raises ParityError, and writes nothing, when onnxruntime and torch differ by more than 1e-5 of
    the action range on 10,000 observations, random and extreme; see parity.py for steep policies.
    """
    policy, data = build_policy(actor, spec, origin, f'model {path}')
    write_atomic(path, data)
    return policy


def build_policy(
    actor: Actor, spec: TaskSpec, origin: Origin, where: str
) -> tuple[OnnxPolicy, bytes]:
    """Return the model of `actor`, loaded and checked against it, and its bytes."""
    _check_sizes(actor, spec)
    facts = {**origin, 'golden': _golden_pairs(actor, spec), 'digest': NO_DIGEST}
    metadata = {
        SPEC_KEY: spec.to_json(),
        ORIGIN_KEY: json.dumps(facts, sort_keys=True, allow_nan=False),
    }
    data = with_digest(_build_model(actor, spec, metadata))
    policy = OnnxPolicy(data, where)
    check_parity(actor, policy, where)
    return policy, data


def _check_sizes(actor: Actor, spec: TaskSpec) -> None:
    found = (len(actor.observation_mean), len(actor.action_middle))
    needed = (spec.observation_size, spec.action_size)
    if found != needed:
        raise ExportError(
            f'the actor maps {found[0]} observations to {found[1]} actions; the contract '
            f"'{spec.name}' has {needed[0]} and {needed[1]}"
        )


def _golden_pairs(actor: Actor, spec: TaskSpec) -> dict[str, object]:
    """Return observation/action pairs by which a robot checks that it computes the same.

    Not those where a steep policy shows how another machine rounds.
    """
    observations = plausible_observations(actor, spec, 10 * GOLDEN_PAIRS)
    actions = mean_actions(actor, observations)
    if not np.isfinite(actions).all():
        raise ExportError(f"the actor for '{spec.name}' answers with NaN or infinity")
    is_rough = rounding(actor, spec, observations, actions) > CALM
    calm_first = np.argsort(is_rough, kind='stable')[:GOLDEN_PAIRS]
    return {
        'observation': observations[calm_first].tolist(),
        'action': actions[calm_first].tolist(),
    }


def _build_model(actor: Actor, spec: TaskSpec, metadata: Mapping[str, str]) -> bytes:
    """Return the ONNX file: observation [1, n] in SI -> action [1, m] inside [lower, upper]."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def add(operator: str, *inputs: str) -> str:
        output = f'{operator.lower()}_{len(nodes)}'
        nodes.append(helper.make_node(operator, list(inputs), [output]))
        return output

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    mean, scale = actor.input_norm()
    features = add('Sub', 'observation', constant('mean', mean))
    features = add('Mul', features, constant('scale', scale))
    *hidden, (weight, bias) = actor.body.plain(0)
    for i, (hidden_weight, hidden_bias) in enumerate(hidden):
        layer = f'body.{i}'
        parts = constant(f'{layer}.weight', hidden_weight), constant(f'{layer}.bias', hidden_bias)
        features = add('Relu', add('Gemm', features, *parts))
    size = spec.action_size  # the other half of the outputs is log sigma
    parts = constant('mean_head.weight', weight[:, :size]), constant('mean_head.bias', bias[:size])
    action = add('Tanh', add('Gemm', features, *parts))
    action = add('Mul', action, constant('half_range', actor.action_half_range.numpy()))
    action = add('Add', action, constant('middle', actor.action_middle.numpy()))
    # Min and Max rather than Clip: each element has bounds of its own.
    lower, upper = _inner_bounds(spec)
    action = add('Max', action, constant('lower', lower))
    nodes.append(helper.make_node('Min', [action, constant('upper', upper)], ['action']))
    graph = helper.make_graph(
        nodes,
        spec.name,
        [_tensor('observation', spec.observation_size)],
        [_tensor('action', spec.action_size)],
        constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid('', OPSET)],
        ir_version=IR_VERSION,
        producer_name='sac_ros',
    )
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _inner_bounds(spec: TaskSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds as float32, rounded inwards: the nearest float32 may lie outside."""
    lower, upper = spec.per_action(spec.action.lower), spec.per_action(spec.action.upper)
    low, high = lower.astype(np.float32), upper.astype(np.float32)
    low = np.where(low < lower, np.nextafter(low, np.float32(np.inf)), low)
    high = np.where(high > upper, np.nextafter(high, np.float32(-np.inf)), high)
    return low, high


def _tensor(name: str, size: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
