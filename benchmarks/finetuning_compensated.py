"""What a model would do that knew how weak the motors are: a measure for what can be learned."""

from pathlib import Path

import numpy as np

from sac_ros.model_file import read_model
from sac_ros.policy import OnnxPolicy
from sim_training.physics import Physics


class CompensatedPolicy(OnnxPolicy):
    """A model whose action is divided by what the motors answer of it, as far as its bounds go."""

    def __init__(self, path: Path, physics: Physics) -> None:
        """Load a model with one action per joint.  Raises ModelError."""
        super().__init__(read_model(path, ''), str(path))
        spec = self.spec
        self._shares = physics.motor_shares(spec.action_names)
        self._lower = spec.per_action(spec.action.lower)
        self._upper = spec.per_action(spec.action.upper)
        terms = [term.term for term in spec.observation for _ in range(spec.term_size(term))]
        self._previous = np.array([term == 'previous_action' for term in terms])
        self.actions = 0
        self.at_bound = 0

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """Return the action; the model is shown what the motors did of the one before."""
        seen = np.array(observation)
        seen[self._previous] *= self._shares
        wanted = super().__call__(seen) / self._shares
        action = np.clip(wanted, self._lower, self._upper)
        self.actions += 1
        self.at_bound += bool(np.any(wanted != action))
        return action
