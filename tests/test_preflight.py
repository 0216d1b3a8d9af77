"""preflight.py: its report, and all that keeps a robot from moving but the ends of topics."""

import math

import numpy as np
import pytest
from builders import make_spec, make_state
from ready_robot import FACTS, SPEC, changed_facts, detail, named, only_fault, published

from sac_ros.controller import PolicyController
from sac_ros.fault import Fault
from sac_ros.preflight import first_obstacle, preflight, report


def test_the_report_of_a_robot_that_is_ready_reads_like_this() -> None:
    assert report(preflight(SPEC, FACTS, is_shadow=False)) == (
        '[ok  ] clock                    system time\n'
        '[ok  ] discovery                whoever is on the topics is known\n'
        '[ok  ] joint_states: publisher  '
        '/arm/joint_states from /robot_driver, sensor_msgs/JointState, 125 Hz\n'
        '[ok  ] joint_states: rate       '
        '/arm/joint_states comes at 125 Hz, at least 40 Hz is needed\n'
        '[ok  ] tool_pose: publisher     '
        '/arm/tool_pose from /broadcaster, geometry_msgs/PoseStamped, 10 Hz\n'
        '[ok  ] goal: publisher          '
        '/arm/goal from /operator, geometry_msgs/PointStamped\n'
        '[ok  ] state                    complete, finite, fresh and plausible\n'
        '[ok  ] command: listener        '
        '/arm/commands to /controller, std_msgs/Float64MultiArray\n'
        '[ok  ] command: rivals          nobody else publishes /arm/commands\n'
        'ready to activate'
    )


def test_the_report_of_a_robot_that_is_not_ready_reads_like_this() -> None:
    facts = changed_facts(
        published('tool_pose'),
        intervals={'joint_states': 0.1},
        state_fault=Fault('E_OBS_MISSING', 'no message on tool_pose yet'),
        rivals=['/old_controller'],
    )

    assert report(preflight(SPEC, facts, is_shadow=False)) == (
        '[ok  ] clock                    system time\n'
        '[ok  ] discovery                whoever is on the topics is known\n'
        '[ok  ] joint_states: publisher  '
        '/arm/joint_states from /robot_driver, sensor_msgs/JointState, 10 Hz\n'
        '[warn] joint_states: rate       '
        'W_OBS_RATE: /arm/joint_states comes at 10 Hz, at least 40 Hz is needed\n'
        '[FAIL] tool_pose: publisher     '
        'W_WAITING_FOR: nobody publishes /arm/tool_pose (geometry_msgs/PoseStamped)\n'
        '[ok  ] goal: publisher          '
        '/arm/goal from /operator, geometry_msgs/PointStamped\n'
        '[FAIL] state                    E_OBS_MISSING: no message on tool_pose yet\n'
        '[ok  ] command: listener        '
        '/arm/commands to /controller, std_msgs/Float64MultiArray\n'
        '[FAIL] command: rivals          '
        'E_CMD_CONFLICT: /arm/commands is also published by /old_controller\n'
        'not ready: 3 of 9 checks failed'
    )


def test_nothing_speaks_against_a_robot_that_is_ready() -> None:
    checks = preflight(SPEC, FACTS, is_shadow=False)

    assert first_obstacle(checks) is None
    assert [check.fault for check in checks] == [None] * 9


@pytest.mark.fault('G09', 'INACTIVE', 'E_CLOCK_ABSENT')
def test_simulated_time_that_does_not_run_forbids_activation() -> None:
    assert only_fault(changed_facts(clock='absent'), 'clock') == (
        'E_CLOCK_ABSENT: use_sim_time is true, and /clock has said nothing yet'
    )
    assert detail(changed_facts(clock='simulated'), 'clock') == 'simulated time'


def test_as_long_as_a_rival_may_be_unknown_nothing_is_activated() -> None:
    assert only_fault(changed_facts(discovery_rest=2.04), 'discovery') == (
        'W_WAITING_FOR: other nodes may be unknown for 2.0 s more (parameter discovery_time)'
    )


@pytest.mark.parametrize('interval', [0.025, 0.02, 0.0])
def test_a_source_as_fast_as_needed_gives_no_warning(interval: float) -> None:
    checks = preflight(SPEC, changed_facts(intervals={'joint_states': interval}), is_shadow=False)

    assert all(check.fault is None for check in checks)


@pytest.mark.parametrize(
    ('intervals', 'rate'),
    [
        ({'joint_states': 0.026}, 'at 38.46 Hz'),  # 1 / 0.026 s
        ({'joint_states': 2.0}, 'at 0.5 Hz'),
        ({'joint_states': math.nan}, 'at nan Hz'),
        ({'joint_states': None}, 'at a rate not known yet'),
        ({}, 'at a rate not known yet'),
    ],
)
def test_a_slow_source_is_a_warning_that_does_not_forbid_activation(
    intervals: dict[str, float | None], rate: str
) -> None:
    checks = preflight(SPEC, changed_facts(intervals=intervals), is_shadow=False)

    assert str(named(checks, 'joint_states: rate').fault) == (
        f'W_OBS_RATE: /arm/joint_states comes {rate}, at least 40 Hz is needed'
    )
    assert first_obstacle(checks) is None
    assert report(checks).splitlines()[-1] == 'ready to activate'


def test_only_the_source_that_makes_the_ticks_must_be_fast() -> None:
    checks = preflight(
        SPEC, changed_facts(intervals={'joint_states': 0.02, 'goal': 9.0}), is_shadow=False
    )

    assert [check.name for check in checks if 'rate' in check.name] == ['joint_states: rate']
    assert all(check.fault is None for check in checks)


def test_a_source_that_never_goes_stale_may_be_slow() -> None:
    spec = make_spec(observation=[{'term': 'goal'}])
    checks = preflight(spec, changed_facts(intervals={'goal': 9.0}), is_shadow=False)

    assert 'goal: rate' not in [check.name for check in checks]
    assert all(check.fault is None for check in checks)


def test_what_the_guard_says_forbids_activation() -> None:
    fault = Fault('E_OBS_RANGE', 'joint_position of elbow 2.5 is outside [-2.0, 2.0]')

    assert only_fault(changed_facts(state_fault=fault), 'state') == str(fault)


def test_a_position_that_would_begin_with_a_jump_forbids_activation() -> None:
    spec = make_spec(interface='position', stop='hold')
    controller = PolicyController(spec, lambda _: np.zeros(2, dtype=np.float32))

    fault = controller.find_fault(make_state(joint_position=(1.5, 0.0)), 0.0)

    assert only_fault(changed_facts(state_fault=fault), 'state') == (
        'E_OBS_RANGE: joint_position of shoulder 1.5 is 0.5 outside the bounds of the action '
        '[-1.0, 1.0]; 0.1 is allowed, the step of a period at max_rate'
    )


def test_in_shadow_mode_others_may_command_and_nobody_must_listen() -> None:
    facts = changed_facts(listeners=[], rivals=['/old_controller'])
    checks = preflight(SPEC, facts, is_shadow=True)

    assert report(checks).splitlines()[-3:] == [
        '[ok  ] command: listener        shadow mode: no command is sent',
        '[ok  ] command: rivals          shadow mode: /old_controller commands the robot',
        'ready to activate',
    ]


def test_in_shadow_mode_all_else_is_checked_as_ever() -> None:
    facts = changed_facts(published('joint_states'), clock='absent', rivals=[])
    checks = preflight(SPEC, facts, is_shadow=True)

    assert [check.fault.code for check in checks if check.fault is not None] == [
        'E_CLOCK_ABSENT',
        'W_WAITING_FOR',
    ]
    assert checks[-1].detail == 'shadow mode: nobody commands the robot'


def test_the_first_obstacle_is_told_and_no_warning_stands_before_it() -> None:
    facts = changed_facts(
        intervals={'joint_states': 1.0}, listeners=[], rivals=['/old_controller']
    )
    fault = first_obstacle(preflight(SPEC, facts, is_shadow=False))

    assert fault is not None
    assert fault.code == 'W_NO_SINK'


def test_a_contract_without_sources_needs_only_its_listener() -> None:
    spec = make_spec(observation=[{'term': 'previous_action'}])
    checks = preflight(spec, FACTS, is_shadow=False)

    assert [check.name for check in checks] == [
        'clock',
        'discovery',
        'state',
        'command: listener',
        'command: rivals',
    ]
