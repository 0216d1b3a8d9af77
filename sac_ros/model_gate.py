"""The gate: another model may take over from the running one only when it passes here.

Read once, tried in a child process, loaded from the same bytes, of the same contract, and not too
far from what the running model does.  Nothing here touches the running model's own memory, so the
control loop goes on meanwhile.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sac_ros.model_check import check_in_child
from sac_ros.model_error import ModelError, about
from sac_ros.model_file import model_name, read_model
from sac_ros.policy import OnnxPolicy, action_range
from sac_ros.spec import differing_keys

Trial = Callable[[bytes, str], None]  # a model's bytes and name; raises ModelError


def load_tried(path: Path, expected_sha256: str = '') -> OnnxPolicy:
    """Return the model in a file, after a child process has tried it.  Raises ModelError."""
    data = read_model(path, expected_sha256)
    check_in_child(data, model_name(path))
    return OnnxPolicy(data, model_name(path))


def load_candidate(
    path: Path,
    running: OnnxPolicy,
    recent_observations: np.ndarray,
    max_action_change: float,
    expected_sha256: str = '',
) -> OnnxPolicy:
    """Return the model in a file when it may take over from `running`.  Raises ModelError.

    recent_observations: (k, n), as the running model has seen them; k = 0 compares nothing, as
    when a node is configured.  max_action_change: fraction of the action range.
    """
    data = read_model(path, expected_sha256)
    return check_candidate(data, model_name(path), running, recent_observations, max_action_change)


def check_candidate(
    data: bytes,
    where: str,
    running: OnnxPolicy,
    recent_observations: np.ndarray,
    max_action_change: float,
    try_model: Trial = check_in_child,
) -> OnnxPolicy:
    """Return the model in `data` when it may take over from `running`, as above."""
    try_model(data, where)
    candidate = OnnxPolicy(data, where)
    check_contract(candidate, running, where)
    check_action_change(candidate, running, recent_observations, max_action_change, where)
    return candidate


def check_contract(candidate: OnnxPolicy, running: OnnxPolicy, where: str) -> None:
    """Raise ModelError unless both models have the same contract."""
    if candidate.spec != running.spec:
        keys = ', '.join(differing_keys(running.spec, candidate.spec))
        raise ModelError(
            f'{where} has another contract than the running model: they differ in {keys}',
            'E_SPEC_MISMATCH',
        )


def check_action_change(
    candidate: OnnxPolicy,
    running: OnnxPolicy,
    observations: np.ndarray,
    max_action_change: float,
    where: str,
) -> None:
    """Raise ModelError when a candidate acts too differently on observations (k, n).

    change = |candidate - running| / (upper - lower), of the worst element of the worst action.
    """
    if len(observations) == 0:
        return
    with about(where):
        new = candidate.answers(observations)
    old = running.answers(observations)
    names = candidate.spec.action_names
    if not np.isfinite(new).all():
        _, element = np.unravel_index(np.argmin(np.isfinite(new)), new.shape)
        raise ModelError(
            f'{where} answers {names[element]} with NaN or infinity on a recent observation',
            'E_ACT_NONFINITE',
        )
    change = np.abs(new.astype(np.float64) - old) / action_range(candidate.spec)
    worst = np.where(np.isnan(change), np.inf, change)  # the running model answered NaN
    if not worst.max() <= max_action_change:
        case, element = np.unravel_index(np.argmax(worst), worst.shape)
        raise ModelError(
            f'{where} changes {names[element]} from {old[case, element]:g} to '
            f'{new[case, element]:g} on a recent observation: {worst[case, element]:.3g} of its '
            f'range, {max_action_change:g} is allowed',
            'E_MODEL_CHANGE',
        )
