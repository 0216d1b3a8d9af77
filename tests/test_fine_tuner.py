"""The fine-tuner: begins as the base model, learns from actions, is there again after a kill."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import export_model, make_spec

from sac_ros.errors import UserError
from sac_ros.exploration_noise import SmoothNoise
from sac_ros.policy import OnnxPolicy
from sim_training import fine_tuner
from sim_training.env import make_env
from sim_training.fine_tuner import CHECKPOINT, FineTuner
from sim_training.hindsight import GOALS, Hindsight
from sim_training.model_actor import actor_from_model
from sim_training.presets import find_preset
from sim_training.prior_data import play
from sim_training.sac_state import sac_arrays
from sim_training.tasks import load_task
from sim_training.transitions import Transition

SPEC = make_spec()
MODELS = Path(__file__).parents[1] / 'models'
CONFIG = dataclasses.replace(
    find_preset('robot'), batch_size=8, replay_capacity=500, utd_ratio=2.0
)
NEVER = bool  # should_stop: bool() is False


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_tuner, 'WARM_UP', 20)
    monkeypatch.setattr(fine_tuner, 'PATIENCE', 5)


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    export_model(tmp_path / 'base.onnx', SPEC)
    return (tmp_path / 'base.onnx').read_bytes()


def transition(number: int, **changes: object) -> Transition:
    random = np.random.default_rng(number)
    made = Transition(
        observation=random.normal(size=9).astype(np.float32),
        action=random.uniform(-1.0, 1.0, 2),
        command=np.zeros(2),
        reward=float(random.normal()),
        next_observation=random.normal(size=9).astype(np.float32),
        terminated=False,
        is_takeover=False,
    )
    return dataclasses.replace(made, **changes)


PRIOR = [transition(number) for number in range(1_000, 1_040)]


def weights(tuner: FineTuner) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in sac_arrays(tuner.agent).items()}


def changed(tuner: FineTuner, before: dict[str, np.ndarray]) -> set[str]:
    """Return the networks that are not as they were."""
    return {
        name.split('.')[0]
        for name, array in sac_arrays(tuner.agent).items()
        if not np.array_equal(array, before[name]) and name.startswith(('actor.', 'critic.'))
    }


def test_the_first_candidate_is_the_base_model(tmp_path: Path, model: bytes):
    tuner = FineTuner(tmp_path, model, CONFIG)
    candidate = OnnxPolicy(tuner.candidate(), 'candidate')
    observations = np.random.default_rng(0).normal(size=(50, 9)).astype(np.float32)
    base = OnnxPolicy(model, 'base').answers(observations)
    assert candidate.answers(observations) == pytest.approx(base, abs=2e-5)
    assert candidate.origin['base_sha256'] == tuner.base.sha256


def test_a_compiled_update_is_the_eager_one_and_compiling_it_teaches_nothing(
    tmp_path: Path, model: bytes
):
    eager, compiled = (
        FineTuner(tmp_path / name, model, CONFIG, PRIOR) for name in ('eager', 'compiled')
    )
    before = weights(compiled)
    compiled.compile()
    for name, array in weights(compiled).items():
        np.testing.assert_array_equal(array, before[name])
    for tuner in (eager, compiled):
        tuner.warm_up(NEVER)
        for number in range(6):  # beyond PATIENCE
            tuner.learn(transition(number))
        tuner.update(tuner.updates_due)
    assert changed(compiled, before) == {'actor', 'critic'}
    for name, array in weights(compiled).items():
        np.testing.assert_allclose(array, weights(eager)[name], rtol=1e-3, atol=1e-5)


def test_critics_learn_alone_from_prior_data_and_then_until_the_robot_has_moved(
    tmp_path: Path, model: bytes
):
    tuner = FineTuner(tmp_path, model, CONFIG, PRIOR)
    before = weights(tuner)
    tuner.warm_up(NEVER)
    assert (tuner.updates, changed(tuner, before)) == (20, {'critic'})
    tuner.warm_up(NEVER)  # once is enough
    assert tuner.updates == 20
    for number in range(4):
        tuner.learn(transition(number))
    tuner.update(tuner.updates_due)
    assert changed(tuner, before) == {'critic'}
    tuner.learn(transition(4))
    tuner.update(tuner.updates_due)
    assert (tuner.updates, changed(tuner, before)) == (30, {'actor', 'critic'})


def test_there_is_news_when_the_actor_has_learned_since_the_last_candidate(
    tmp_path: Path, model: bytes
):
    tuner = FineTuner(tmp_path, model, CONFIG, past=[transition(number) for number in range(3)])
    assert tuner.news == 0
    tuner.learn(transition(3))
    tuner.update(1)  # of the critics: the actor waits for five transitions
    assert tuner.news == 0
    tuner.learn(transition(4))
    assert tuner.news == 0
    tuner.update(1)
    assert tuner.news == 2  # those of the past were known before
    tuner.candidate()
    assert tuner.news == 0
    tuner.learn(transition(5))
    assert tuner.news == 0
    tuner.update(1)
    assert tuner.news == 1


def test_what_is_offered_is_the_average_of_the_actor(tmp_path: Path, model: bytes):
    tuner = FineTuner(tmp_path, model, CONFIG)
    for number in range(40):
        tuner.learn(transition(number))
        tuner.update(2)
    offered = actor_from_model(tuner.candidate(), 'candidate', 0.1).mean_head.bias
    torch.testing.assert_close(offered, tuner.agent.average.mean_head.bias, rtol=1e-4, atol=0.0)
    assert (offered - tuner.agent.actor.mean_head.bias).abs().min() > 1e-4


def test_prior_data_and_the_robots_are_learned_from_in_hindsight_each_in_its_place(
    tmp_path: Path,
):
    model = (MODELS / 'reach.onnx').read_bytes()
    policy, env = OnnxPolicy(model, 'reach'), make_env('reach')
    silent = SmoothNoise(policy.spec, 0.0, 0.2, np.random.default_rng(0))
    prior, past, newest = (play(policy, env, seed, silent) for seed in range(3))
    tuner = FineTuner(tmp_path, model, CONFIG, prior, past, 0, Hindsight(load_task('reach'), 0))
    assert tuner._prior.size == (1 + GOALS) * 150
    assert (tuner._replay.size, tuner.transitions) == (150, 150)  # the episode may still go on
    tuner.learn(newest[0])
    assert (tuner._replay.size, tuner.transitions) == ((1 + GOALS) * 150 + 1, 151)
    assert tuner._prior.size == (1 + GOALS) * 150


def test_updates_belong_to_what_has_been_seen(tmp_path: Path, model: bytes):
    tuner = FineTuner(tmp_path, model, CONFIG)  # utd_ratio 2
    assert tuner.updates_due == 0
    tuner.learn(transition(0))
    tuner.learn(transition(1))
    assert tuner.updates_due == 4
    tuner.update(3)
    assert (tuner.updates_due, tuner.updates, tuner.transitions) == (1, 3, 2)


def test_actions_are_stored_as_shares_of_their_range(tmp_path: Path):
    export_model(
        tmp_path / 'base.onnx', make_spec(lower=[-1.0, 2.0], upper=[1.0, 6.0], stop=[0.0, 3.0])
    )
    tuner = FineTuner(tmp_path, (tmp_path / 'base.onnx').read_bytes(), CONFIG)
    tuner.learn(transition(0, action=np.array([0.5, 2.0])))
    assert tuner._replay.newest(1)['unit_action'].tolist() == [[0.5, -1.0]]


def test_what_a_person_did_is_learned_from_as_prior_data_too(tmp_path: Path, model: bytes):
    tuner = FineTuner(tmp_path, model, CONFIG, PRIOR)
    tuner.learn(transition(0))
    tuner.learn(transition(1, is_takeover=True))
    assert (tuner._prior.size, tuner._replay.size) == (41, 2)
    assert tuner._prior.newest(1)['reward'][0] == np.float32(transition(1).reward)


@pytest.mark.parametrize('preset', ['flash', 'crossq'])
def test_a_preset_that_cannot_begin_from_a_model_is_refused(
    preset: str, tmp_path: Path, model: bytes
):
    with pytest.raises(UserError, match=r'sac\.norm batch.* allowed: none or layer'):
        FineTuner(tmp_path, model, find_preset(preset))


def test_what_a_person_did_is_no_prior_data_where_there_are_none(tmp_path: Path, model: bytes):
    tuner = FineTuner(tmp_path, model, CONFIG)
    tuner.learn(transition(0, is_takeover=True))
    for number in range(1, 9):
        tuner.learn(transition(number))
    tuner.warm_up(NEVER)
    assert tuner.updates == 0  # one transition is nothing to warm up by
    shares = []
    sample = fine_tuner.sample_shares

    def watched(parts: tuple, *others: object) -> object:
        shares.append([share for _, share in parts])
        return sample(parts, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fine_tuner, 'sample_shares', watched)
        tuner.update(1)
        tuner.learn(transition(9, is_takeover=True))
        tuner.update(1)
    assert shares == [[1, 7], [2, 6]]  # a quarter of a batch of 8 at most


@pytest.mark.fault('F01', 'resumed', '')
def test_after_a_kill_it_goes_on_with_all_that_the_robot_did_and_the_last_checkpoint(
    tmp_path: Path, model: bytes
):
    tuner = FineTuner(tmp_path, model, CONFIG, PRIOR)
    tuner.warm_up(NEVER)
    past = [transition(number) for number in range(9)]
    for number in range(8):
        tuner.learn(past[number])
    tuner.update(16)
    tuner.save()
    saved = weights(tuner)
    tuner.learn(past[8])  # behind the checkpoint; then it is killed
    resumed = FineTuner(tmp_path, model, CONFIG, PRIOR, past)
    assert (resumed.transitions, resumed.updates, resumed.updates_due) == (9, 36, 0)
    assert resumed.notes == []
    for name, array in weights(resumed).items():
        np.testing.assert_array_equal(array, saved[name])
    np.testing.assert_array_equal(
        resumed._replay.stored()['reward'], np.float32([found.reward for found in past])
    )


def test_a_resumed_learner_goes_on_bit_for_bit(tmp_path: Path, model: bytes):
    torch.set_num_threads(1)
    results = []
    for name, pauses in (('one', False), ('two', True)):
        tuner = FineTuner(tmp_path / name, model, CONFIG, PRIOR)
        for number in range(12):
            tuner.learn(transition(number))
            tuner.update(2)
            if pauses and number == 6:
                tuner.save()
                past = [transition(before) for before in range(7)]
                tuner = FineTuner(tmp_path / name, model, CONFIG, PRIOR, past)
        results.append(weights(tuner))
    for name, array in results[0].items():
        np.testing.assert_array_equal(array, results[1][name])


def test_a_damaged_checkpoint_is_told_and_what_the_robot_did_still_counts(
    tmp_path: Path, model: bytes
):
    tuner = FineTuner(tmp_path, model, CONFIG)
    tuner.learn(transition(0))
    tuner.update(2)
    tuner.save()
    data = bytearray((tmp_path / CHECKPOINT).read_bytes())
    data[-1] ^= 1
    (tmp_path / CHECKPOINT).write_bytes(data)
    resumed = FineTuner(tmp_path, model, CONFIG, past=[transition(0)])
    assert (resumed.transitions, resumed.updates) == (1, 0)
    assert 'is damaged' in resumed.notes[0]
    assert 'learning anew from the base model and the journal' in resumed.notes[0]


def test_another_base_model_or_preset_is_refused_in_the_same_folder(tmp_path: Path, model: bytes):
    FineTuner(tmp_path / 'learner', model, CONFIG).save()
    export_model(tmp_path / 'other.onnx', SPEC, seed=1)
    other = (tmp_path / 'other.onnx').read_bytes()
    with pytest.raises(UserError, match='another fine-tuning: its base_sha256 differs'):
        FineTuner(tmp_path / 'learner', other, CONFIG)
    with pytest.raises(UserError, match='another fine-tuning: its config differs'):
        FineTuner(tmp_path / 'learner', model, dataclasses.replace(CONFIG, gamma=0.9))
    with pytest.raises(UserError, match='another fine-tuning: its scored_by differs'):
        FineTuner(tmp_path / 'learner', model, CONFIG, scored_by='a topic')


def test_weights_that_are_no_numbers_are_never_saved(tmp_path: Path, model: bytes):
    tuner = FineTuner(tmp_path, model, CONFIG)
    tuner.save()
    before = (tmp_path / CHECKPOINT).read_bytes()
    sac_arrays(tuner.agent)['critic.body.weights.0'].flat[0] = np.nan  # a gradient overflowed
    with pytest.raises(UserError, match=r'diverged: critic.body.weights.0 holds NaN or infinity'):
        tuner.save()
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_learning_that_has_diverged_is_told_by_name(tmp_path: Path, model: bytes):
    tuner = FineTuner(tmp_path, model, CONFIG)
    tuner.learn(transition(0, reward=1e38))
    with pytest.raises(UserError, match='learning has diverged: critic is inf'):
        tuner.update(2)
