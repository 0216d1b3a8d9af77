"""What `SAC.target` samples is the soft backup that the proofs are about."""

import numpy as np
import torch
from tiny_agents import make_agent, make_batch

from sim_training.sac import SAC
from sim_training.soft_policy_iteration import FiniteMDP, soft_backup

STATES = 4  # the last of them ends the episode
DRAWS = 8_192  # for each state
CELLS = 120  # of the range of each action
GAMMA, ALPHA = 0.9, 0.5


def tabulated(agent: SAC, states: torch.Tensor) -> tuple[np.ndarray, np.ndarray, float]:
    """Return policy and Q, (S, A), of the actions in the middle of cells, and a cell's area."""
    edges = torch.linspace(-1.0, 1.0, CELLS + 1, dtype=torch.float32)
    middles = (edges[1:] + edges[:-1]) / 2.0
    actions = torch.cartesian_prod(middles, middles)
    area = (2.0 / CELLS) ** 2
    policy, values = [], []
    with torch.no_grad():
        for state in states:
            rows = state.expand(len(actions), -1)
            # u = tanh(mean + deviation n): two noises give mean and deviation, and each u its n.
            at = [
                torch.atanh(agent.actor.draw(state[None], torch.full((1, 2), noise))[0])
                for noise in (0.0, 1.0)
            ]
            noise = (torch.atanh(actions) - at[0]) / (at[1] - at[0])
            unit_actions, log_pi = agent.actor.draw(rows, noise)
            torch.testing.assert_close(unit_actions, actions, rtol=1e-3, atol=1e-3)
            policy.append((log_pi.exp() * area).double().numpy())
            q = agent.target_critic(rows, actions)[..., 0].amin(dim=0)
            values.append(q.double().numpy())
    return np.array(policy), np.array(values), area


def test_the_mean_of_the_targets_is_the_soft_backup_of_tabulated_policy_and_critics():
    rows = STATES * DRAWS
    agent = make_agent(initial_alpha=ALPHA, gamma=GAMMA, batch_size=rows, learning_starts=rows)
    with torch.no_grad():
        for parameter in agent.target_critic.parameters():
            parameter.mul_(3.0)  # so that actions differ in what they are worth
    states = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.0, 0.5], [-1.0, -1.0, 1.0], [0.5] * 3])
    policy, q, area = tabulated(agent, states)
    np.testing.assert_allclose(policy.sum(axis=1), 1.0, atol=1e-2)  # all of it is in the cells
    policy /= policy.sum(axis=1, keepdims=True)

    reward = np.array([0.3, -1.0, 0.0, 2.0])
    follows = np.roll(np.eye(STATES), 1, axis=1)  # from each state to the next, whatever is done
    mdp = FiniteMDP(
        transition=np.repeat(follows[:, None], q.shape[1], axis=1),
        reward=np.repeat(reward[:, None], q.shape[1], axis=1),
        gamma=GAMMA,
        alpha=ALPHA,
        terminated=np.arange(STATES) == STATES - 1,
    )
    is_over = np.arange(STATES) == STATES - 2  # the next state ends it
    # -log p of a cell is -log pi - log(area): the entropy of the policy is that of cells and this.
    expected = soft_backup(mdp, policy, q)[:, 0] + GAMMA * ALPHA * np.log(area) * ~is_over

    batch = make_batch(
        rows,
        reward=torch.tensor(reward, dtype=torch.float32).repeat_interleave(DRAWS),
        next_observation=states.roll(-1, 0).repeat_interleave(DRAWS, dim=0),
        discount=torch.tensor(GAMMA * ~is_over, dtype=torch.float32).repeat_interleave(DRAWS),
    )
    targets = agent.target(batch, agent.draws()).reshape(STATES, DRAWS)
    error = targets.std(dim=1) / DRAWS**0.5
    found = targets.mean(dim=1).numpy()
    assert np.ptp(expected) > 1.0
    np.testing.assert_array_less(np.abs(found - expected), 4.0 * error.numpy() + 5e-3)
    assert error.max() < 0.02  # a wrong sign of the entropy would show
