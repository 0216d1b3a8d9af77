"""Our side of the benchmark of learning: stopped, gone on with, exported, scored, skipped."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sac_ros.errors import UserError
from sac_ros.policy import load_policy
from sim_training.env import make_env
from sim_training.evaluate import evaluate_policy, summary
from sim_training.progress import ProgressLog
from sim_training.progress_table import CSV
from sim_training.rollout import FIRST_EVALUATION_SEED
from sim_training.run_file import RUN_FILE, read_run_file
from sim_training.sac_config import SACConfig
from sim_training.stop_signals import StopSignals

BENCHMARK = Path(__file__).parents[1] / 'benchmarks' / 'learning.py'
sys.path.insert(0, str(BENCHMARK.parent))  # where its parts find each other

import learning  # noqa: E402
from learning_ours import read_progress, run_sac_ros  # noqa: E402
from learning_results import Job, read_curve, read_facts  # noqa: E402

PENDULUM = 'Pendulum-v1'


def words_of(job: Job, steps: int) -> list[str]:
    words = (
        'train', '--env', PENDULUM, '--side', 'sac_ros', '--preset', job.preset,
        '--seeds', job.seed, '--steps', steps, '--evaluate-every', 100, '--episodes', 1,
        '--runs', job.runs, '--results', job.results,
    )  # fmt: skip
    return [str(word) for word in words]


def test_a_training_that_was_stopped_goes_on_and_its_file_is_scored_then_it_is_skipped(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    runs, results = tmp_path / 'runs', tmp_path / 'results'
    job = Job(
        PENDULUM, 'sac_ros', 'sac_v1+tau=0.01+target_entropy=-2', 3, runs=runs, results=results
    )
    words = [sys.executable, str(BENCHMARK), *words_of(job, steps=40_000)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as benchmark:
        deadline = time.monotonic() + 200.0
        while not read_progress(job.run / CSV):
            assert benchmark.poll() is None, benchmark.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        benchmark.send_signal(signal.SIGTERM)
        assert benchmark.wait(60.0) == 128 + signal.SIGTERM
    assert not list(job.run.glob('.lock'))  # whoever trained there has ended
    run = read_run_file(job.run)
    assert run['seed'] == 3
    assert isinstance(run['command'], dict)
    assert run['command']['preset'] == 'sac_v1'
    sac = run['command']['sac']
    assert (sac['tau'], sac['target_entropy']) == (0.01, -2.0)
    assert run['result'] is None
    (job.run / RUN_FILE).unlink()  # as if killed after its first checkpoint and before this
    begun = read_curve(job.curve)
    assert begun[0].step == 100
    assert read_facts(job) is None

    # Where it was stopped depends on the machine; a run must go beyond its random steps.
    steps = max(begun[-1].step, SACConfig().learning_starts) + 150
    assert learning.main(words_of(job, steps)) == 0
    curve = read_curve(job.curve)
    assert curve[: len(begun)] == begun
    assert curve[-1].step == steps
    facts = read_facts(job)
    assert facts is not None
    assert (facts.steps, facts.episodes, facts.first_seed) == (steps, 1, FIRST_EVALUATION_SEED)
    assert facts.settings == '--preset sac_v1 --sac.tau=0.01 --sac.target-entropy=-2'
    env = make_env(PENDULUM)
    policy = load_policy(job.run / 'final.onnx', facts.sha256 or '')
    scores = summary(evaluate_policy(policy, env, 1, FIRST_EVALUATION_SEED))
    env.close()
    assert facts.exported == scores['return_mean']
    # The same actor on the same reset, in torch.
    assert facts.exported == pytest.approx(curve[-1].score, rel=0.01)

    written = job.curve.stat().st_mtime_ns
    capfd.readouterr()
    assert learning.main(words_of(job, steps)) == 0
    told = f'learning: {job.curve} is finished: {steps} steps, 1 episodes every 100, 1 thread(s)\n'
    assert capfd.readouterr().err == told
    assert job.curve.stat().st_mtime_ns == written


def test_a_finished_training_is_not_made_longer_where_its_length_has_decided_how_it_learns(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kind = 'sac+hidden_sizes=8+batch_size=8+learning_starts=50+final_learning_rate=0'
    job = Job(PENDULUM, 'sac_ros', kind, 0, runs=tmp_path / 'runs', results=tmp_path / 'results')
    assert learning.main([*words_of(job, 100), '--threads', '2']) == 0
    facts = read_facts(job)
    assert facts is not None
    assert (facts.steps, facts.threads) == (100, 2)
    capfd.readouterr()
    assert learning.main(words_of(job, 200)) == 1
    (told,) = capfd.readouterr().err.splitlines()
    assert 'was trained for 100 steps, over which sac.final_learning_rate was approached' in told
    assert read_facts(job) == facts


def test_what_sac_ros_refuses_is_told_in_its_words() -> None:
    with (
        StopSignals() as signals,
        pytest.raises(UserError, match="sac-ros trian ended with status 2: unknown command 't"),
    ):
        run_sac_ros(['trian', '--json'], signals)


def test_evaluations_of_a_run_that_was_never_begun_are_none(tmp_path: Path) -> None:
    assert read_progress(tmp_path / CSV) == []


def test_seconds_are_those_of_all_rows_of_a_run_and_a_cut_line_is_left_out(tmp_path: Path) -> None:
    (tmp_path / CSV).write_text(
        'step,evaluation/return,steps_per_second\n'
        '500,,100\n'  # 5 s
        '1000,-3.5,50\n'  # 10 s more
        '1500,,250\n'  # 2 s more
        '2000,-2.5,500\n'  # 1 s more
        '2500,-1.,5'
    )
    assert read_progress(tmp_path / CSV) == [(1000, -3.5, 15.0), (2000, -2.5, 18.0)]


def test_a_run_that_was_resumed_at_an_evaluation_has_a_row_without_a_rate(tmp_path: Path) -> None:
    with ProgressLog(tmp_path, 'a run', first_step=200, last_step=300) as log:
        log.add_row({'step': 200, 'evaluation/return': -3.5})
        log.add_row({'step': 300, 'evaluation/return': -2.5})
    (at_200, _, before), (at_300, _, after) = read_progress(tmp_path / CSV)
    assert (at_200, before, at_300) == (200, 0.0, 300)
    assert after > 0.0
