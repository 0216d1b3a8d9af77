"""preflight.py: each fact that keeps a robot from moving, by its code and its words."""

import dataclasses
import math

import pytest
from builders import make_spec, topic

from sac_ros.fault import Fault
from sac_ros.preflight import Check, Endpoint, Facts, first_obstacle, preflight, report

# 50 Hz: the first source, joint_states, must come at 0.8 * 50 = 40 Hz at least: every 25 ms.
SPEC = make_spec()
JOINT_STATES = Endpoint('/robot_driver', 'sensor_msgs/JointState')
TOOL_POSE = Endpoint('/broadcaster', 'geometry_msgs/PoseStamped')
GOAL = Endpoint('/operator', 'geometry_msgs/PointStamped')
CONTROLLER = Endpoint('/controller', 'std_msgs/Float64MultiArray')
FACTS = Facts(
    topics={
        'joint_states': '/arm/joint_states',
        'tool_pose': '/arm/tool_pose',
        'goal': '/arm/goal',
        'command': '/arm/commands',
    },
    publishers={'joint_states': [JOINT_STATES], 'tool_pose': [TOOL_POSE], 'goal': [GOAL]},
    listeners=[CONTROLLER],
    rivals=[],
    arrived={'joint_states', 'tool_pose', 'goal'},
    intervals={'joint_states': 0.008, 'tool_pose': 0.1, 'goal': None},
    state_fault=None,
    clock='system',
    discovery_rest=0.0,
)


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
    facts = _facts(
        _published('tool_pose'),
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
    assert _only_fault(_facts(clock='absent'), 'clock') == (
        'E_CLOCK_ABSENT: use_sim_time is true, and /clock has said nothing yet'
    )
    assert _detail(_facts(clock='simulated'), 'clock') == 'simulated time'


def test_as_long_as_a_rival_may_be_unknown_nothing_is_activated() -> None:
    assert _only_fault(_facts(discovery_rest=2.04), 'discovery') == (
        'W_WAITING_FOR: other nodes may be unknown for 2.0 s more (parameter discovery_time)'
    )


@pytest.mark.fault('G13', 'INACTIVE', 'W_WAITING_FOR')
@pytest.mark.parametrize(
    ('source', 'kind'),
    [
        ('joint_states', 'sensor_msgs/JointState'),
        ('tool_pose', 'geometry_msgs/PoseStamped'),
    ],
)
def test_a_source_that_nobody_publishes_forbids_activation(source: str, kind: str) -> None:
    assert _only_fault(_facts(_published(source)), f'{source}: publisher') == (
        f'W_WAITING_FOR: nobody publishes /arm/{source} ({kind})'
    )


def test_a_goal_that_stays_valid_is_waited_for_until_it_has_come() -> None:
    facts = _facts(_published('goal'), arrived={'joint_states', 'tool_pose'})

    assert _only_fault(facts, 'goal: publisher') == (
        'W_WAITING_FOR: nobody publishes /arm/goal (geometry_msgs/PointStamped)'
    )


def test_a_goal_that_stays_valid_needs_no_publisher_once_it_has_come() -> None:
    assert _detail(_facts(_published('goal')), 'goal: publisher') == (
        '/arm/goal has come and stays valid; nobody publishes it now'
    )


@pytest.mark.fault('A26', 'INACTIVE', 'E_TYPE_INCOMPATIBLE')
def test_a_source_of_another_type_forbids_activation() -> None:
    facts = _facts(_published('tool_pose', Endpoint('/tracker', 'geometry_msgs/Pose')))

    assert _only_fault(facts, 'tool_pose: publisher') == (
        'E_TYPE_INCOMPATIBLE: /arm/tool_pose from /tracker is geometry_msgs/Pose, '
        'geometry_msgs/PoseStamped is needed'
    )


def test_the_type_that_the_contract_names_is_the_one_that_is_needed() -> None:
    topics = {key: topic(key) for key in ('joint_states', 'tool_pose', 'goal', 'command')}
    topics['tool_pose']['type'] = 'geometry_msgs/PointStamped'
    checks = preflight(make_spec(topics=topics), FACTS, is_shadow=False)

    assert str(first_obstacle(checks)) == (
        'E_TYPE_INCOMPATIBLE: /arm/tool_pose from /broadcaster is geometry_msgs/PoseStamped, '
        'geometry_msgs/PointStamped is needed'
    )


@pytest.mark.fault('A25', 'INACTIVE', 'E_QOS_INCOMPATIBLE')
def test_a_source_that_offers_too_little_quality_forbids_activation() -> None:
    problem = 'reliability BEST_EFFORT offered, RELIABLE requested'
    endpoint = dataclasses.replace(JOINT_STATES, qos_problem=problem)

    assert _only_fault(
        _facts(_published('joint_states', endpoint)), 'joint_states: publisher'
    ) == (f'E_QOS_INCOMPATIBLE: /arm/joint_states from /robot_driver: {problem}')


def test_one_publisher_that_fits_is_enough_and_the_others_are_named() -> None:
    problem = 'durability VOLATILE offered, TRANSIENT_LOCAL requested'
    facts = _facts(
        _published(
            'goal',
            Endpoint('/navigation', 'geometry_msgs/PoseStamped'),
            dataclasses.replace(GOAL, node='/tracker', qos_problem=problem),
            GOAL,
        )
    )

    assert _detail(facts, 'goal: publisher') == (
        '/arm/goal from /operator, geometry_msgs/PointStamped; '
        'but /navigation is geometry_msgs/PoseStamped, geometry_msgs/PointStamped is needed; '
        f'/tracker: {problem}'
    )


def test_when_no_publisher_fits_all_of_them_are_named() -> None:
    facts = _facts(
        _published(
            'goal',
            dataclasses.replace(GOAL, qos_problem='deadline unlimited offered, 1 s requested'),
            Endpoint('/navigation', 'geometry_msgs/PoseStamped'),
        )
    )

    assert _only_fault(facts, 'goal: publisher') == (
        'E_QOS_INCOMPATIBLE: /arm/goal from '
        '/operator: deadline unlimited offered, 1 s requested; '
        '/navigation is geometry_msgs/PoseStamped, geometry_msgs/PointStamped is needed'
    )


@pytest.mark.parametrize('interval', [0.025, 0.02, 0.0])
def test_a_source_as_fast_as_needed_gives_no_warning(interval: float) -> None:
    checks = preflight(SPEC, _facts(intervals={'joint_states': interval}), is_shadow=False)

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
    checks = preflight(SPEC, _facts(intervals=intervals), is_shadow=False)

    assert str(_named(checks, 'joint_states: rate').fault) == (
        f'W_OBS_RATE: /arm/joint_states comes {rate}, at least 40 Hz is needed'
    )
    assert first_obstacle(checks) is None
    assert report(checks).splitlines()[-1] == 'ready to activate'


def test_only_the_source_that_makes_the_ticks_must_be_fast() -> None:
    checks = preflight(
        SPEC, _facts(intervals={'joint_states': 0.02, 'goal': 9.0}), is_shadow=False
    )

    assert [check.name for check in checks if 'rate' in check.name] == ['joint_states: rate']
    assert all(check.fault is None for check in checks)


def test_a_source_that_never_goes_stale_may_be_slow() -> None:
    topics = {key: topic(key) for key in ('tool_pose', 'goal', 'command')}
    topics['joint_states'] = topic('joint_states', timeout=math.inf)
    facts = _facts(intervals={'joint_states': 9.0})
    checks = preflight(make_spec(topics=topics), facts, is_shadow=False)

    assert 'joint_states: rate' not in [check.name for check in checks]
    assert all(check.fault is None for check in checks)


def test_what_the_guard_says_forbids_activation() -> None:
    fault = Fault('E_OBS_RANGE', 'joint_position of elbow 2.5 is outside [-2.0, 2.0]')

    assert _only_fault(_facts(state_fault=fault), 'state') == str(fault)


@pytest.mark.fault('G18', 'INACTIVE', 'W_NO_SINK')
def test_commands_that_nobody_listens_to_forbid_activation() -> None:
    assert _only_fault(_facts(listeners=[]), 'command: listener') == (
        'W_NO_SINK: nobody listens to /arm/commands (std_msgs/Float64MultiArray)'
    )


def test_a_listener_that_cannot_hear_us_forbids_activation() -> None:
    wrong = Endpoint('/controller', 'trajectory_msgs/JointTrajectory')
    problem = 'durability VOLATILE offered, TRANSIENT_LOCAL requested'
    deaf = dataclasses.replace(CONTROLLER, qos_problem=problem)

    assert _only_fault(_facts(listeners=[wrong]), 'command: listener') == (
        'E_TYPE_INCOMPATIBLE: /arm/commands to /controller is trajectory_msgs/JointTrajectory, '
        'std_msgs/Float64MultiArray is needed'
    )
    assert _only_fault(_facts(listeners=[deaf]), 'command: listener') == (
        f'E_QOS_INCOMPATIBLE: /arm/commands to /controller: {problem}'
    )


@pytest.mark.fault('A27', 'INACTIVE', 'E_CMD_CONFLICT')
def test_others_who_command_the_robot_forbid_activation_and_are_named() -> None:
    facts = _facts(rivals=['/old_controller', 'another /arm/policy_node'])

    assert _only_fault(facts, 'command: rivals') == (
        'E_CMD_CONFLICT: /arm/commands is also published by '
        '/old_controller, another /arm/policy_node'
    )


def test_in_shadow_mode_others_may_command_and_nobody_must_listen() -> None:
    facts = _facts(listeners=[], rivals=['/old_controller'])
    checks = preflight(SPEC, facts, is_shadow=True)

    assert report(checks).splitlines()[-3:] == [
        '[ok  ] command: listener        shadow mode: no command is sent',
        '[ok  ] command: rivals          shadow mode: /old_controller commands the robot',
        'ready to activate',
    ]


def test_in_shadow_mode_all_else_is_checked_as_ever() -> None:
    facts = _facts(_published('joint_states'), clock='absent', rivals=[])
    checks = preflight(SPEC, facts, is_shadow=True)

    assert [check.fault.code for check in checks if check.fault is not None] == [
        'E_CLOCK_ABSENT',
        'W_WAITING_FOR',
    ]
    assert checks[-1].detail == 'shadow mode: nobody commands the robot'


def test_the_first_obstacle_is_told_and_no_warning_stands_before_it() -> None:
    facts = _facts(intervals={'joint_states': 1.0}, listeners=[], rivals=['/old_controller'])
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


def _facts(publishers: dict[str, list[Endpoint]] | None = None, **changes: object) -> Facts:
    """Return the facts of a robot that is ready, changed."""
    everything = {**FACTS.publishers, **(publishers or {})}
    return Facts(**{**vars(FACTS), 'publishers': everything, **changes})


def _published(source: str, *endpoints: Endpoint) -> dict[str, list[Endpoint]]:
    return {source: list(endpoints)}


def _named(checks: list[Check], name: str) -> Check:
    (check,) = [check for check in checks if check.name == name]
    return check


def _detail(facts: Facts, name: str) -> str:
    """Return what a check has found when nothing at all is wrong."""
    checks = preflight(SPEC, facts, is_shadow=False)
    assert all(check.fault is None for check in checks), report(checks)
    return _named(checks, name).detail


def _only_fault(facts: Facts, name: str) -> str:
    """Return the fault of a check that alone forbids activation."""
    checks = preflight(SPEC, facts, is_shadow=False)
    (faulty,) = [check for check in checks if check.fault is not None]
    assert faulty.name == name
    assert first_obstacle(checks) == faulty.fault
    assert faulty.detail == str(faulty.fault)
    assert report(checks).splitlines()[-1] == 'not ready: 1 of 9 checks failed'
    return str(faulty.fault)
