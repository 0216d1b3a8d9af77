"""Everything that SAC remembers as named arrays, and back: what a checkpoint keeps of it."""

from collections.abc import Mapping

import numpy as np
import torch

from sac_ros.errors import UserError
from sim_training.adam import Adam
from sim_training.sac import SAC, Losses

# Of SAC.networks: its arrays are named actor.<name in the state_dict>, also in best.safetensors.
ACTOR = 'actor'


def sac_arrays(agent: SAC) -> dict[str, np.ndarray]:
    """Return weights, Adam's moments, temperature and generator, as views of the live ones."""
    arrays = _weights(agent)
    for name, adam in _optimisers(agent).items():
        arrays |= {f'{name}.{key}': value.numpy() for key, value in adam.state().items()}
    arrays['generator'] = agent.generator.get_state().numpy()
    arrays['updates'] = np.array(agent.updates)
    arrays['losses'] = torch.stack(agent.losses).numpy()
    return arrays


def restore_sac(agent: SAC, arrays: Mapping[str, np.ndarray]) -> None:
    """Undo `sac_arrays` on an agent of the same configuration.  Raises UserError."""
    for name, live in sac_arrays(agent).items():
        found = arrays[name].shape if name in arrays else 'nothing'
        if found != live.shape:
            raise UserError(f'{name} needs shape {live.shape}, found {found}')
        live[...] = arrays[name]
    agent.generator.set_state(torch.from_numpy(arrays['generator'].copy()))
    agent.updates = int(arrays['updates'])
    agent.losses = Losses(*torch.from_numpy(arrays['losses'].copy()))


def _weights(agent: SAC) -> dict[str, np.ndarray]:
    """Return every number that the optimisers or the normalisation change, sharing memory."""
    arrays = {
        f'{name}.{key}': value.numpy()
        for name, network in agent.networks().items()
        for key, value in network.state_dict().items()
    }
    return {**arrays, 'log_alpha': agent.log_alpha.detach().numpy()}


def _optimisers(agent: SAC) -> dict[str, Adam]:
    return {
        'actor_adam': agent.actor_adam,
        'critic_adam': agent.critic_adam,
        'alpha_adam': agent.alpha_adam,
    }
