"""show.py: the table of a model has all that its contract has."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from builders import make_spec, onnx_model, topic

from sac_ros.policy import OnnxPolicy
from sac_ros.show import ShowCommand, contract_table, describe, main, run
from sac_ros.spec import TaskSpec, load_spec, spec_from_dict
from sim_training.tasks import FOLDER

TASKS = sorted(FOLDER.glob('*.yaml'))


def test_the_table_of_a_small_contract_reads_like_this() -> None:
    spec = make_spec(
        lower=[-0.5, -1.0],
        max_rate=[5.0, math.inf],
        topics={
            'joint_states': topic('joint_states', frozen_timeout=0.5),
            'tool_pose': topic('tool_pose', frame='base'),
            'goal': topic('goal'),
            'command': topic('command'),
        },
        limits={
            'joint_position': {'lower': [-3.0, -2.0], 'upper': [3.0, 2.0]},
            'tool_position': {'lower': -1.5, 'upper': 1.5, 'max_rate': 2.5},
        },
    )
    policy = _policy(spec)

    expected = f"""\
  task          tiny
  control rate  50 Hz, one command every 20 ms
  joints        shoulder, elbow
  sha256        {policy.sha256}

OBSERVATION
  index  term             unit          from
  0..1   joint_position   rad or m      joint_states
  2..3   joint_velocity   rad/s or m/s  joint_states
  4..6   goal_from_tool   m             tool_pose, goal
  7..8   previous_action  the action's  the controller

ACTION (velocity, in rad/s or m/s)
  index  name      lower  upper  max rate [1/s]  stop
  0      shoulder  -0.5   1      5               zero
  1      elbow     -1     1      inf             zero

TOPICS
  use           name          type                        timeout      frozen after  frame
  joint_states  joint_states  sensor_msgs/JointState      0.1 s        0.5 s         any
  tool_pose     tool_pose     geometry_msgs/PoseStamped   0.1 s        never         base
  goal          goal          geometry_msgs/PointStamped  never stale  never         any
  command       arm/commands  std_msgs/Float64MultiArray

LIMITS of what is measured
  quantity        of        lower  upper  max rate [1/s]  unit
  joint_position  shoulder  -3     3      inf             rad or m
  joint_position  elbow     -2     2      inf             rad or m
  tool_position   each      -1.5   1.5    2.5             m

ORIGIN
  (none)"""
    assert contract_table(policy) == expected


@pytest.mark.parametrize('path', TASKS, ids=lambda path: path.stem)
def test_the_table_has_every_joint_unit_limit_topic_and_rate(path: Path) -> None:
    spec = load_spec(path)
    table = contract_table(_policy(spec))
    rows = [line.split() for line in table.splitlines()]

    for joint in spec.joints:
        assert joint in table
    for term in spec.observation:
        assert any(term.term in row[1:2] for row in rows)
    lower, upper, rate = (
        spec.per_action(value)
        for value in (spec.action.lower, spec.action.upper, spec.action.max_rate)
    )
    for i, name in enumerate(spec.action_names):
        stop = 'zero'
        assert [str(i), name, f'{lower[i]:g}', f'{upper[i]:g}', f'{rate[i]:g}', stop] in rows
    for name, limits in spec.limits.items():
        for element, bound in enumerate(limits.lower if isinstance(limits.lower, tuple) else ()):
            of = spec.joints[element] if name.startswith('joint_') else str(element)
            assert any(row[:3] == [name, of, f'{bound:g}'] for row in rows)
    for each in spec.topics.values():
        assert any(each.name in row for row in rows)
    assert f'{spec.control_rate:g} Hz' in table


def test_a_stop_that_is_a_vector_is_shown_element_by_element() -> None:
    table = contract_table(_policy(make_spec(stop=[0.25, -0.5])))

    assert _row(table, 'shoulder')[-1] == '0.25'
    assert _row(table, 'elbow')[-1] == '-0.5'


def test_what_the_origin_says_is_shown_but_not_its_tables() -> None:
    golden = {'observation': [[0.0] * 9], 'action': [[0.0] * 2]}
    metadata = {
        'sac_ros.spec': make_spec().to_json(),
        'sac_ros.origin': json.dumps(
            {'golden': golden, 'seed': 3, 'evaluation': {'return_mean': 5.5}}
        ),
    }
    table = contract_table(OnnxPolicy(onnx_model(make_spec(), metadata=metadata), 'm'))

    assert table.endswith('ORIGIN\n  seed                    3\n  evaluation.return_mean  5.5')


def test_the_command_returns_plain_data_from_which_the_contract_can_be_made_again(
    tmp_path: Path,
) -> None:
    spec = make_spec(max_rate=math.inf)
    path = tmp_path / 'tiny.onnx'
    path.write_bytes(onnx_model(spec))

    result = main(ShowCommand(path))

    assert result['model'] == str(path)
    assert describe(result).startswith('  task          tiny\n')
    again = json.loads(json.dumps(result, allow_nan=False))  # JSON has no infinity
    assert again == result
    assert spec_from_dict(again['spec']) == spec


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / 'tiny.onnx'
    path.write_bytes(onnx_model(make_spec()))
    return path


def test_the_executable_prints_the_table(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, 'argv', ['show', str(model)])

    assert run() == 0
    assert capsys.readouterr().out == contract_table(_policy(make_spec())) + '\n'


@pytest.mark.parametrize(
    ('arguments', 'status'), [([], 2), (['a', 'b'], 2), (['--json'], 2), (['--help'], 0)]
)
def test_the_executable_says_how_it_is_used(
    arguments: list[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, 'argv', ['show', *arguments])

    assert run() == status
    assert capsys.readouterr().err == 'usage: show MODEL.onnx\n'


def test_the_executable_fails_with_one_line() -> None:
    child = subprocess.run(
        [sys.executable, '-m', 'sac_ros.show', 'none.onnx'],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )

    assert child.returncode == 1
    assert child.stdout == ''
    assert child.stderr == (
        'show: model none.onnx: nothing found; a model file (.onnx) is needed\n'
    )


def _policy(spec: TaskSpec) -> OnnxPolicy:
    return OnnxPolicy(onnx_model(spec), 'model')


def _row(table: str, name: str) -> list[str]:
    rows = [line.split() for line in table.splitlines()]
    return next(row for row in rows if row[1:2] == [name])
