"""spec_rules.py and spec.py: every rule of a contract, and the line that its breaking gives."""

import math
import re

import pytest
from builders import spec_content, topic

from sac_ros.spec import SpecError, spec_from_dict
from sac_ros.state import SOURCES
from sac_ros.terms import TERMS

Place = tuple[str | int, ...]
MISSING = 'nothing'  # told from other texts by identity

INTEGER_BEYOND_FLOATS = 10**400
ALL_TERMS = (
    'joint_position, joint_velocity, joint_effort, tool_position, tool_orientation, '
    'base_position, base_orientation, base_linear_velocity, base_angular_velocity, '
    'imu_orientation, imu_angular_velocity, imu_linear_acceleration, projected_gravity, goal, '
    'goal_from_tool, goal_in_base, goal_velocity, previous_action, vector'
)
PATTERN = r"pattern '^[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+$'"
MEASURED = 'joint_position, joint_velocity, joint_effort, tool_position, tool_orientation, goal'

# What is put where, and the whole error that follows.
REFUSALS: list[tuple[Place, object, str]] = [
    # keys
    (('joint',), [], "key 'joint' is unknown; did you mean 'joints'?; known: schema, name, "
     'control_rate, joints, observation, action, topics, limits'),
    (('action', 'loewr'), 1.0, "action: key 'loewr' is unknown; did you mean 'lower'?; known: "
     'interface, joints, axes, lower, upper, max_rate, stop'),
    (('observation', 0, 'sise'), 2, "observation.0: key 'sise' is unknown; did you mean 'size'?; "
     'known: term, size'),
    (('topics', 'goal', 'time_out'), 1.0, "topics.goal: key 'time_out' is unknown; did you mean "
     "'timeout'?; known: name, type, timeout, frame, frozen_timeout"),
    (('two\nlines',), 1, "key 'two lines' is unknown; known: schema, name, control_rate, joints, "
     'observation, action, topics, limits'),
    (('name',), MISSING, 'name: is missing'),
    (('action', 'max_rate'), MISSING, 'action.max_rate: is missing'),
    (('schema',), MISSING, 'schema: is missing'),
    # the version of the format
    (('schema',), 2, 'schema: is 2; this sac_ros reads 1'),
    (('schema',), True, 'schema: is True; this sac_ros reads 1'),
    (('schema',), '1', "schema: is '1'; this sac_ros reads 1"),
    # numbers
    (('control_rate',), 0, 'control_rate is 0.0 Hz; 0.1 to 1000 are allowed'),
    (('control_rate',), 0.09, 'control_rate is 0.09 Hz; 0.1 to 1000 are allowed'),
    (('control_rate',), -50.0, 'control_rate is -50.0 Hz; 0.1 to 1000 are allowed'),
    (('control_rate',), 1000.5, 'control_rate is 1000.5 Hz; 0.1 to 1000 are allowed'),
    (('control_rate',), math.nan, 'control_rate: is nan; a finite number is needed'),
    (('control_rate',), math.inf, 'control_rate: is inf; a finite number is needed'),
    (('control_rate',), INTEGER_BEYOND_FLOATS, 'control_rate: is inf; a finite number is needed'),
    (('control_rate',), True, 'control_rate: is True; a number is needed'),
    (('control_rate',), '1e3', "control_rate: is '1e3'; a number is needed"),
    (('control_rate',), '50', "control_rate: is '50'; a number is needed"),
    (('control_rate',), [50.0], 'control_rate: is [50.0]; a number is needed'),
    (('action', 'lower'), math.nan, 'action.lower: is nan; a finite number is needed'),
    (('action', 'lower'), [-1.0, math.nan], 'action.lower: is nan; a finite number is needed'),
    (('action', 'lower'), -math.inf, 'action.lower: is -inf; a finite number is needed'),
    (('action', 'lower'), [-1.0, True], 'action.lower: is True; a number is needed'),
    (('action', 'lower'), '-1e0', "action.lower: is '-1e0'; a number is needed"),
    (('action', 'lower'), None, 'action.lower: is None; a number is needed'),
    (('action', 'lower'), [[-1.0], 1.0], 'action.lower: is [-1.0]; a number is needed'),
    (('action', 'lower'), 1.0, 'action: lower 1.0 must be below upper 1.0 (shoulder)'),
    (('action', 'lower'), 2.0, 'action: lower 2.0 must be below upper 1.0 (shoulder)'),
    (('action', 'lower'), [-1, 1], 'action: lower 1.0 must be below upper 1.0 (elbow)'),
    (('action', 'lower'), [-1.0], 'action.lower: 1 numbers found, one or 2 are needed'),
    (('action', 'upper'), [1, 2, 3], 'action.upper: 3 numbers found, one or 2 are needed'),
    (('action', 'upper'), [], 'action.upper: 0 numbers found, one or 2 are needed'),
    (('action', 'max_rate'), [1, 2, 3], 'action.max_rate: 3 numbers found, one or 2 are needed'),
    (('action', 'max_rate'), 0, 'action.max_rate: is 0; a number above 0 is needed (.inf for no '
     'limit)'),
    (('action', 'max_rate'), [1.0, -1.0], 'action.max_rate: is -1.0; a number above 0 is needed '
     '(.inf for no limit)'),
    (('action', 'max_rate'), math.nan, 'action.max_rate: is nan; a finite number is needed'),
    (('action', 'max_rate'), True, 'action.max_rate: is True; a number is needed'),
    (('action', 'max_rate'), 'inf', "action.max_rate: is 'inf'; a number is needed"),
    (('action', 'max_rate'), 1e-6, 'action.max_rate: shoulder takes 2e+06 s from -1.0 to 1.0 at '
     '1e-06 a second; at most 60 s are allowed'),
    (('action', 'max_rate'), [math.inf, 0.03], 'action.max_rate: elbow takes 66.6667 s from -1.0 '
     'to 1.0 at 0.03 a second; at most 60 s are allowed'),
    (('action', 'max_rate'), 5e-324, 'action.max_rate: shoulder takes inf s from -1.0 to 1.0 at '
     '5e-324 a second; at most 60 s are allowed'),
    # names
    (('name',), 'my task', "name: found 'my task'; string should match pattern "
     "'^[a-zA-Z][a-zA-Z0-9_.-]*$'"),
    (('name',), 5, 'name: found 5; input should be a valid string'),
    (('name',), 'a' * 300, f"name: found '{'a' * 76}...; string should have at most 255 "
     'characters'),
    (('joints',), ['shoulder', 'shoulder'], "joints: 'shoulder' is named twice"),
    (('joints',), ['shoulder', True], 'joints.1: found True; input should be a valid string'),
    (('joints',), ['shoulder', ''], "joints.1: found ''; string should have at least 1 character"),
    (('joints',), 'shoulder', "joints: found 'shoulder'; input should be a valid tuple"),
    (('joints',), ['shoulder', 'el\nbow'], "joints.1: found 'el\\nbow'; string should match "
     + PATTERN),
    (('joints',), ['shoulder', '\x9b2J'], "joints.1: found '\\x9b2J'; string should match "
     + PATTERN),
    (('joints',), ['shoulder', '\u202ew'], "joints.1: found '\\u202ew'; string should match "
     + PATTERN),
    (('joints',), [], "observation: term 'joint_position' needs joints, and none are named"),
    (('action', 'joints'), ['elbw'], "action.joints: 'elbw' is not one of the joints; did you "
     "mean 'elbow'?"),
    (('action', 'joints'), ['elbow', 'elbow'], "action.joints: 'elbow' is named twice"),
    (('action', 'joints'), [], "action: interface 'velocity' drives nothing; name the joints"),
    # the observation
    (('observation',), [], 'observation: found []; tuple should have at least 1 item after '
     'validation, not 0'),
    (('observation', 0, 'term'), 'joint_pos', "observation.0: term 'joint_pos' is unknown; did "
     f"you mean 'joint_position'?; known: {ALL_TERMS}"),
    (('observation', 1, 'term'), 'joint_position', "observation: 'joint_position' is named twice"),
    (('observation', 0, 'size'), 3, "observation: term 'joint_position' has 2 elements, size "
     'says 3'),
    (('observation', 0, 'size'), True, 'observation.0.size: found True; input should be a valid '
     'integer'),
    (('observation', 0, 'size'), 0, 'observation.0.size: found 0; input should be greater than 0'),
    (('observation', 0), {'term': 'vector'}, "observation: term 'vector' needs a size"),
    (('observation', 0), 'joint_position', "observation.0: found 'joint_position'; input should "
     'be a valid dictionary or instance of ObservationTerm'),
    # the action
    (('action', 'interface'), 'speed', "action.interface: found 'speed'; input should be "
     "'position', 'velocity', 'effort', 'twist' or 'generic'"),
    (('action', 'interface'), 'twist', "action.axes is needed for interface 'twist' and only "
     'there'),
    (('action', 'axes'), ['linear.x'], "action.axes is needed for interface 'twist' and only "
     'there'),
    (('action', 'stop'), 'hold', "action.stop: 'hold' would go on moving with interface "
     "'velocity'"),
    (('action', 'stop'), 'stop', "action.stop: is 'stop'; 'hold', 'zero' or a list of numbers is "
     'needed'),
    (('action', 'stop'), 0.0, "action.stop: is 0.0; 'hold', 'zero' or a list of numbers is "
     'needed'),
    (('action', 'stop'), [0.0], 'action.stop: 1 numbers found, one or 2 are needed'),
    (('action', 'stop'), [0.0, 1.5], 'action.stop: elbow 1.5 is outside [-1.0, 1.0]'),
    (('action', 'stop'), [0.0, math.nan], 'action.stop: is nan; a finite number is needed'),
    (('action', 'lower'), [-1.0, 0.5], 'action.stop: elbow 0.0 is outside [0.5, 1.0]'),
    # the topics
    (('topics', 'goal'), MISSING, "topics: 'goal' is needed and missing"),
    (('topics', 'command'), MISSING, "topics: 'command' is needed and missing"),
    (('topics', 'imu'), topic('goal'), "topics: 'imu' is used by nothing; used: joint_states, "
     'tool_pose, goal, command'),
    (('topics', 'joint_state'), topic('goal'), "topics: 'joint_state' is used by nothing; did you "
     "mean 'joint_states'?; used: joint_states, tool_pose, goal, command"),
    (('topics', 'goal'), 'goal', "topics.goal: found 'goal'; input should be a valid dictionary "
     'or instance of Topic'),
    (('topics',), [], 'topics: found []; input should be a valid dictionary'),
    (('topics', 'goal', 'timeout'), MISSING, 'topics.goal: timeout is missing (.inf when it '
     'never goes stale)'),
    (('topics', 'goal', 'timeout'), 0.019, 'topics.goal: timeout 0.019 s is shorter than the '
     'control period 0.02 s'),
    (('topics', 'goal', 'timeout'), 0, 'topics.goal.timeout: is 0; a number above 0 is needed '
     '(.inf for no limit)'),
    (('topics', 'goal', 'timeout'), math.nan, 'topics.goal.timeout: is nan; a finite number is '
     'needed'),
    (('topics', 'goal', 'timeout'), '0.1', "topics.goal.timeout: is '0.1'; a number is needed"),
    (('topics', 'joint_states', 'timeout'), MISSING, 'topics.joint_states: timeout is missing'),
    (('topics', 'joint_states', 'timeout'), math.inf, 'topics.joint_states: timeout is .inf; a '
     'finite one is needed, only a goal may stay valid'),
    (('topics', 'joint_states', 'timeout'), 61.0, 'topics.joint_states: timeout is 61 s; at most '
     '60 s are allowed'),
    (('topics', 'tool_pose', 'timeout'), '.inf', 'topics.tool_pose: timeout is .inf; a finite one '
     'is needed, only a goal may stay valid'),
    (('topics', 'command', 'timeout'), 1.0, 'topics.command: timeout is for topics that are read'),
    (('topics', 'goal', 'type'), 'std_msgs/String', "topics.goal: type 'std_msgs/String' is not "
     'one of geometry_msgs/PointStamped, geometry_msgs/PoseStamped'),
    (('topics', 'command', 'type'), 'geometry_msgs/Twist', "topics.command: type "
     "'geometry_msgs/Twist' is not one of std_msgs/Float64MultiArray, sensor_msgs/JointState"),
    (('topics', 'goal', 'frozen_timeout'), 0, 'topics.goal.frozen_timeout: is 0; a number above 0 '
     'is needed (.inf for no limit)'),
    (('topics', 'tool_pose', 'frozen_timeout'), 0.09, 'topics.tool_pose: frozen_timeout 0.09 s is '
     'shorter than the timeout 0.1 s'),
    (('topics', 'command', 'frozen_timeout'), 1.0, 'topics.command: frozen_timeout is for topics '
     'that are read'),
    (('topics', 'joint_states', 'frame'), 'base', 'topics.joint_states: frame does not go with '
     'sensor_msgs/JointState, which has none'),
    (('topics', 'command', 'frame'), 'base', 'topics.command: frame does not go with '
     'std_msgs/Float64MultiArray, which has none'),
    # the limits
    (('limits',), {'joint_positoin': {'lower': -1, 'upper': 1}}, "limits: 'joint_positoin' is not "
     f"measured; did you mean 'joint_position'?; measured: {MEASURED}"),
    (('limits', 'joint_position', 'lower'), [-3, 2.5], 'limits.joint_position: lower 2.5 must be '
     'below upper 2.0 (elbow)'),
    (('limits', 'joint_position', 'lower'), [-3.0], 'limits.joint_position.lower: 1 numbers '
     'found, one or 2 are needed'),
    (('limits', 'tool_position', 'upper'), [1.0, 1.0], 'limits.tool_position.upper: 2 numbers '
     'found, one or 3 are needed'),
    (('limits', 'tool_position', 'lower'), [-1, -1, 2], 'limits.tool_position: lower 2.0 must be '
     'below upper 1.5 (tool_position[2])'),
    (('limits', 'joint_position', 'max_rate'), [1.0], 'limits.joint_position.max_rate: 1 numbers '
     'found, one or 2 are needed'),
    (('limits', 'joint_position', 'max_rate'), 0.0, 'limits.joint_position.max_rate: is 0.0; a '
     'number above 0 is needed (.inf for no limit)'),
    (('limits', 'tool_position', 'max_rate'), [1.0, -1.0, 1.0], 'limits.tool_position.max_rate: '
     'is -1.0; a number above 0 is needed (.inf for no limit)'),
    (('limits', 'goal'), {'lower': -1.0, 'upper': 1.0, 'max_rate': 2.0}, 'limits.goal.max_rate: '
     'does nothing while topics.goal has timeout .inf; a finite one is needed, or no max_rate'),
    (('limits', 'joint_position', 'upper'), math.inf, 'limits.joint_position.upper: is inf; a '
     'finite number is needed'),
]  # fmt: skip


@pytest.mark.parametrize(('place', 'value', 'error'), REFUSALS, ids=lambda part: str(part)[:40])
def test_a_contract_that_cannot_be_used_is_refused_in_one_line(
    place: Place, value: object, error: str
) -> None:
    content = spec_content()
    _put(content, place, value)

    with pytest.raises(SpecError) as caught:
        spec_from_dict(content, 'tiny.yaml')

    assert re.sub(r' \(and \d+ more\)$', '', str(caught.value)) == f'tiny.yaml: {error}'
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'name',
    ['/goal', '~goal', '~', 'go al', '', 'goal/', 'a//b', '1goal', 'a~b', 'goal\n', 'ziel/größe'],
)
def test_a_topic_name_that_is_absolute_or_none_of_ros_is_refused(name: str) -> None:
    content = spec_content()
    _put(content, ('topics', 'goal', 'name'), name)

    with pytest.raises(SpecError) as caught:
        spec_from_dict(content)
    assert str(caught.value) == (
        f'spec: topics.goal.name: is {name!r}; a relative ROS name is needed, like arm/goal'
    )


@pytest.mark.parametrize('name', ['goal', 'arm/goal', '~/goal', 'Arm_1/goal_2/x'])
def test_a_relative_topic_name_is_taken(name: str) -> None:
    content = spec_content()
    _put(content, ('topics', 'goal', 'name'), name)

    assert spec_from_dict(content).topics['goal'].name == name


def test_a_stop_may_take_a_minute_and_bounds_of_any_size_are_taken() -> None:
    # (15 - -15) / 0.5 = 60 s; the whole of the floats in one step, or in 34 s: 3.4e308 / 1e307
    for bound, max_rate in ((15.0, 0.5), (1.7e308, math.inf), (1.7e308, 1e307)):
        spec = spec_from_dict(spec_content(lower=-bound, upper=bound, max_rate=max_rate))
        assert spec.action.max_rate == max_rate


@pytest.mark.parametrize('source', [source for source in SOURCES if source != 'goal'])
def test_only_a_goal_may_stay_valid_for_ever(source: str) -> None:
    term = next(name for name, term in TERMS.items() if term.sources == (source,))
    size = {'size': 3} if term == 'vector' else {}
    content = spec_content(observation=[{'term': 'goal'}, {'term': term, **size}])
    assert spec_from_dict(content).topics['goal'].timeout == math.inf
    _put(content, ('topics', source, 'timeout'), math.inf)

    with pytest.raises(SpecError, match=rf'^spec: topics\.{source}: timeout is \.inf; a finite'):
        spec_from_dict(content)


def test_the_rate_of_a_goal_that_goes_stale_may_be_limited() -> None:
    content = spec_content()
    _put(content, ('topics', 'goal', 'timeout'), 0.5)
    _put(content, ('limits', 'goal'), {'lower': -1.0, 'upper': 1.0, 'max_rate': 2.0})

    assert spec_from_dict(content).limits['goal'].max_rate == 2.0


@pytest.mark.parametrize(
    ('overrides', 'error'),
    [
        (
            {'interface': 'position', 'stop': 'zero'},
            "action.stop: 'zero' would move the joints to 0; use hold or a list",
        ),
        (
            {'interface': 'position', 'stop': 'hold', 'observation': [{'term': 'joint_velocity'}]},
            "action: interface 'position' starts where the joints are; observe joint_position",
        ),
        (
            {'interface': 'effort', 'stop': 'hold'},
            "action.stop: 'hold' would go on moving with interface 'effort'",
        ),
        (
            {'interface': 'twist', 'axes': ['linear.x', 'linear.x']},
            "action.axes: 'linear.x' is named twice",
        ),
        (
            {'interface': 'twist', 'axes': ['linear.w']},
            "action.axes.0: found 'linear.w'; input should be 'linear.x', 'linear.y', 'linear.z', "
            "'angular.x', 'angular.y' or 'angular.z'",
        ),
        (
            {'interface': 'twist', 'axes': ['linear.x'], 'action_joints': ['elbow']},
            "action.joints does not go with interface 'twist'",
        ),
        (
            {'interface': 'generic', 'action_joints': ['elbow']},
            "action.joints does not go with interface 'generic'",
        ),
        (
            {
                'observation': [{'term': 'tool_orientation'}],
                'topics': {
                    'tool_pose': topic('tool_pose', type='geometry_msgs/PointStamped'),
                    'command': topic('command'),
                },
            },
            'topics.tool_pose: geometry_msgs/PointStamped brings no tool_orientation',
        ),
        (
            {
                'observation': [{'term': 'goal_in_base'}],
                'topics': {
                    'odometry': topic('odometry', frame='odom'),
                    'goal': topic('goal', frame='map'),
                    'command': topic('command'),
                },
            },
            "observation: term 'goal_in_base' needs one frame; odometry is in 'odom', goal is in "
            "'map'",
        ),
        (
            {'joints': [], 'observation': [{'term': 'previous_action'}]},
            "action: interface 'velocity' drives nothing; name the joints",
        ),
    ],
    ids=lambda part: str(part)[:60],
)
def test_parts_that_do_not_go_together_are_refused(
    overrides: dict[str, object], error: str
) -> None:
    with pytest.raises(SpecError) as caught:
        spec_from_dict(spec_content(**overrides))

    assert str(caught.value) == f'spec: {error}'


def _put(content: object, place: Place, value: object) -> None:
    """Set, or delete, what is at `place` in nested dicts and lists."""
    for key in place[:-1]:
        content = content[key]  # type: ignore[index]
    if value is MISSING:
        del content[place[-1]]  # type: ignore[attr-defined]
    else:
        content[place[-1]] = value  # type: ignore[index]
