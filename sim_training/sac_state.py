"""Everything that SAC remembers as named arrays, and back: what a checkpoint keeps of it."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sac_ros.errors import UserError
from sim_training.adam import Adam
from sim_training.sac import SAC, Losses
from sim_training.sac_config import SACConfig

# Of SAC.networks.  Arrays are named <network>.<name in the state_dict>, in best.safetensors too.
ACTORS = ACTOR, AVERAGE = 'actor', 'average'


def exported_actor(config: SACConfig) -> str:
    """Return the name of the actor that is evaluated and exported."""
    return AVERAGE if config.average_actor else ACTOR


def sac_arrays(agent: SAC) -> dict[str, np.ndarray]:
    """Return weights, Adam's moments, temperature and generator; without a copy on a processor."""
    arrays = {name: tensor.cpu().numpy() for name, tensor in _tensors(agent).items()}
    arrays['generator'] = agent.generator.get_state().numpy()
    arrays['updates'] = np.array(agent.updates)
    arrays['losses'] = torch.stack(agent.losses).cpu().numpy()
    return arrays


def check_losses(agent: SAC) -> None:
    """Raise UserError if a loss is not finite any more: that costs next to nothing."""
    for name, value in agent.losses._asdict().items():
        if not np.isfinite(float(value)):
            raise UserError(f'learning has diverged: {name} is {float(value)}')


def check_learning(agent: SAC) -> None:
    """Raise UserError if learning has diverged: a loss or a weight is not finite any more."""
    check_losses(agent)
    for name, array in sac_arrays(agent).items():
        if not np.isfinite(array).all():
            raise UserError(f'learning has diverged: {name} holds NaN or infinity')


def restore_sac(agent: SAC, arrays: Mapping[str, np.ndarray]) -> None:
    """Undo `sac_arrays` on an agent of the same configuration.  Raises UserError."""
    for name, needed in sac_arrays(agent).items():
        found = arrays[name].shape if name in arrays else 'nothing'
        if found != needed.shape:
            raise UserError(f'{name} needs shape {needed.shape}, found {found}')
    for name, tensor in _tensors(agent).items():
        tensor.copy_(torch.from_numpy(arrays[name].copy()))
    agent.generator.set_state(torch.from_numpy(arrays['generator'].copy()))
    agent.updates = int(arrays['updates'])
    agent.losses = Losses(*torch.from_numpy(arrays['losses'].copy()).to(agent.device))
    agent.follow_actor()


def _tensors(agent: SAC) -> dict[str, Tensor]:
    """Return every number that the optimisers or the normalisation change, the live tensors."""
    tensors = {'log_alpha': agent.log_alpha.detach()}
    parts = {name: network.state_dict() for name, network in agent.networks().items()}
    parts |= {name: adam.state() for name, adam in _optimisers(agent).items()}
    for name, part in parts.items():
        tensors |= {f'{name}.{key}': tensor for key, tensor in part.items()}
    return tensors


def _optimisers(agent: SAC) -> dict[str, Adam]:
    return {
        'actor_adam': agent.actor_adam,
        'critic_adam': agent.critic_adam,
        'alpha_adam': agent.alpha_adam,
    }
