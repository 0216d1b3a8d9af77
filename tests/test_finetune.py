"""`sac-ros finetune`: three processes that learn on a robot that differs, and what is left."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import export_model

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from node_process import running
from ros import ROOT, Peer, wait_for
from std_msgs.msg import Float64MultiArray, String
from test_run import processes_with

from sac_ros.accepted_model import Acceptance, keep_accepted
from sac_ros.errors import UserError
from sac_ros.messages import LATCHED, RESULTS
from sac_ros.policy import load_policy
from sim_training import finetune
from sim_training.episode_record import EpisodeResult, result_to_json
from sim_training.finetune import FinetuneCommand, describe, main
from sim_training.finetune_listener import FinetuneListener
from sim_training.finetune_report import EPISODES, PICTURE, FinetuneReport
from sim_training.physics import Physics
from sim_training.tasks import load_task

pytestmark = pytest.mark.ros

BALANCE = ROOT / 'models' / 'balance.onnx'
HOPPER = ROOT / 'models' / 'Hopper-v5.onnx'
COMMANDS = 'forward_effort_controller/commands'
LONG = Physics(urdf='cartpole_long.urdf')


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


def tiny(out: Path, **options: object) -> FinetuneCommand:
    """Return a rehearsal of a few seconds, on a pole that falls soon."""
    values: dict[str, object] = {
        'model': BALANCE,
        'out': out,
        'minutes': 0.05,  # three falls or more
        'prior_steps': 0,
        'compile': False,
        'episodes': 1,
        'physics': LONG,
    }
    return FinetuneCommand(**{**values, **options})


def test_a_rehearsal_runs_goes_on_and_reports(
    tmp_path: Path, peer: Peer, capfd: pytest.CaptureFixture
):
    folder = tmp_path / 'run'
    told = peer.listen(String, '/simulation/policy_node/episode_return')
    first = main(tiny(folder, minutes=0.15))  # the learner may need a third of it to begin
    assert 'base acts; learner: ' in capfd.readouterr().err
    assert (first['task'], first['physics']) == ('balance', {'urdf': 'cartpole_long.urdf'})
    assert (first['tuned'], first['model']) == (None, None)
    assert 'no candidate has stayed' in describe(first)
    assert (folder / PICTURE).read_bytes().startswith(b'\x89PNG')
    with FinetuneReport(folder) as report:
        rows = report.episodes
    assert len(rows) == first['episodes']
    # 0.15 min are 450 periods of 20 ms; the last episode may be longer.
    assert 450 <= sum(row.length for row in rows) == round(rows[-1].minutes * 60.0 * 50.0)
    assert first['periods'] == sum(row.length for row in rows)
    assert first['missed'] == sum(row.missed for row in rows)
    # How soon the commands are found on the network is up to the machine.
    assert first['commands'] == sum(row.commands for row in rows) > 0
    assert first['violations'] == 0
    assert 0.0 < first['latency_ms']['p50'] <= first['latency_ms']['p99']
    assert f'{first["missed"]} of {first["periods"]} periods without' in describe(first)
    assert {(row.acting, row.model) for row in rows} == {('base', load_policy(BALANCE).sha256)}
    # The learner knows from the ticks what the simulation has counted; on a busy machine a command
    # may come too late for its period, which costs some tenths.
    assert told
    for message in told:
        value = json.loads(message.data)['return']
        assert min(abs(value - row.reward_sum) for row in rows) < 1.0

    # As if the node had accepted a model meanwhile: it is scored, and put where it is found.
    policy = export_model(tmp_path / 'other.onnx', load_task('balance').spec)
    acceptance = Acceptance(
        policy.sha256, load_policy(BALANCE).sha256, 'now', (1.0, 2.0, 3.0), (1.0, 2.0, 3.0)
    )
    keep_accepted(folder / 'policy', (tmp_path / 'other.onnx').read_bytes(), acceptance)
    second = main(tiny(folder, resume=True))
    assert second['episodes'] > first['episodes']
    assert second['minutes'] >= first['minutes'] + 0.05
    assert second['model'] == str(folder / 'model.onnx')
    assert load_policy(folder / 'model.onnx').sha256 == policy.sha256
    assert isinstance(second['tuned'], dict)
    with FinetuneReport(folder) as report:
        assert report.episodes[: len(rows)] == rows
        assert report.episodes[-1].acting == 'accepted'
    assert processes_with(tmp_path) == []


def test_an_episode_is_told_when_it_is_known_which_model_acts(peer: Peer):
    info = peer.node.create_publisher(String, '/robot/policy_node/policy_info', LATCHED)
    results = peer.node.create_publisher(String, '/robot/sim_node/episode', RESULTS)
    early = EpisodeResult(1, 0.0, 3, True, False, {}, 0, ended_at=1.0)
    results.publish(String(data=result_to_json(early)))
    domain_id = peer.context.get_domain_id()
    spec = load_task('balance').spec
    with FinetuneListener('/robot', domain_id, spec, real_time_factor=1.0) as listener:
        wait_for(lambda: listener.wait(0.01) or listener._early, 'an episode')
        assert [listener.wait(0.01) for _ in range(3)] == [[], [], []]
        info.publish(String(data='{"sha256": "abc"}'))
        told: list[EpisodeResult] = []
        wait_for(lambda: told.extend(listener.wait(0.01)) or told, 'the episode')
        assert told == [early]
        assert listener.acting == 'abc'
        assert listener.wait(0.01) == []


def test_commands_are_judged_by_the_time_of_the_robot(peer: Peer):
    spec = load_task('balance').spec  # 10 N in a period of 20 ms
    commands = peer.node.create_publisher(Float64MultiArray, f'/robot/{COMMANDS}', 10)
    domain_id = peer.context.get_domain_id()
    with FinetuneListener('/robot', domain_id, spec, real_time_factor=0.01) as listener:
        wait_for(lambda: commands.get_subscription_count() == 1, 'the listener')
        commands.publish(Float64MultiArray(data=[-10.0]))
        wait_for(lambda: listener.wait(0.01) or listener.watch.commands == 1, 'a command')
        time.sleep(0.3)  # 3 ms for the robot
        commands.publish(Float64MultiArray(data=[10.0]))
        wait_for(lambda: listener.wait(0.01) or listener.watch.commands == 2, 'another one')
        assert listener.watch.violations == 1


def test_a_model_that_was_rolled_back_since_is_not_left_as_the_accepted_one(tmp_path: Path):
    command = tiny(tmp_path)
    (tmp_path / finetune.MODEL).write_bytes(b'accepted by an earlier part of the run')
    scores = finetune._score(command, 'balance', tmp_path, load_policy(BALANCE))
    assert scores['model'] is None
    assert not (tmp_path / finetune.MODEL).exists()


def test_ctrl_c_keeps_what_there_is_and_leaves_no_process_behind(tmp_path: Path):
    code = (
        'import sys; from pathlib import Path; from sim_training.finetune import *\n'
        f'main(FinetuneCommand(Path({str(BALANCE)!r}), out=Path(sys.argv[1]), prior_steps=0, '
        "compile=False, physics=Physics(urdf='cartpole_long.urdf')))"
    )
    with running('-c', code, str(tmp_path / 'run')) as process:
        for stage in ('ROS domain', 'the learner is ', 'base acts; learner: '):
            process.wait_for_log(stage)  # each may take a while
        assert process.end(signal.SIGINT) == 130
        assert 'Traceback' not in process.log()
        last = process.log().splitlines()[-1]
        assert last.endswith('min of the robot; the same command with --resume goes on')
    wait_for(
        lambda: processes_with(tmp_path / 'run' / 'learner') == [], 'the end of all processes', 5.0
    )
    assert len((tmp_path / 'run' / EPISODES).read_text().splitlines()) >= 2
    assert (tmp_path / 'run' / PICTURE).exists()


def test_the_end_of_the_learner_is_told_at_once(tmp_path: Path):
    folder = tmp_path / 'run'
    finetune._open_folder(tiny(folder), folder)
    (folder / 'learner').mkdir()
    (folder / 'learner' / 'journal').write_text('of somebody else\n')
    with pytest.raises(UserError) as error:
        main(tiny(folder, resume=True))
    assert str(error.value).startswith(
        'learner_node ended with status 1; it last said: learner_node: '
    )
    assert "is no journal of this contract: it begins with 'of somebody else'" in str(error.value)
    assert processes_with(tmp_path) == []


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'minutes': 0.0}, '--minutes is 0.0; above 0 to 10000 is needed'),
        ({'exploration': 2.0}, '--exploration is 2.0; 0 to 1 is needed'),
        ({'max_action_change': -0.1}, '--max-action-change is -0.1; 0 to 1 is needed'),
        ({'prior_steps': -1}, '--prior-steps is -1; 0 to 1000000 is needed'),
        ({'candidate_period': float('nan')}, '--candidate-period is nan; above 0 to 3600'),
        ({'preset': 'robots'}, "preset 'robots' is unknown; did you mean 'robot'"),
        (
            {'preset': 'crossq'},
            'fine-tuning with sac.norm batch_renorm cannot begin from a model',
        ),
        ({'preset': 'flash'}, 'fine-tuning with sac.norm batch cannot begin from a model; '),
        (
            {'model': HOPPER, 'physics': Physics()},
            "'Hopper-v5' is no task, so nobody could score the robot by what it observes",
        ),
        (
            {'task': 'reach', 'physics': Physics()},
            "the model's contract 'balance' is not that of 'reach'",
        ),
        ({'resume': True}, r'.* holds no fine-tuning: finetune.json is missing or damaged'),
    ],
)
def test_bad_options_are_told_before_anything_starts(
    options: dict[str, object], text: str, tmp_path: Path
):
    with pytest.raises(UserError, match=f'^{text}'):
        main(tiny(tmp_path / 'run', **options))
    assert not (tmp_path / 'run').exists()


def test_it_goes_on_only_as_it_was_begun(tmp_path: Path):
    folder = tmp_path / 'run'
    finetune._open_folder(tiny(folder), folder)
    with pytest.raises(UserError, match='is not an empty folder; name a new one, or --resume'):
        main(tiny(folder))
    finetune._open_folder(tiny(folder, resume=True, minutes=2.0, episodes=7), folder)
    with pytest.raises(UserError, match=r'--exploration is 0.2; the fine-tuning in .* with 0.1'):
        main(tiny(folder, resume=True, exploration=0.2))
    with pytest.raises(UserError, match=r"--physics is {'payload': 1.0, "):
        main(tiny(folder, resume=True, physics=Physics(payload=1.0)))
