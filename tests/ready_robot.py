"""A robot that is ready, its facts changed, and what preflight.py then says: for tests of it."""

from builders import make_spec

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


def changed_facts(publishers: dict[str, list[Endpoint]] | None = None, **changes: object) -> Facts:
    """Return the facts of a robot that is ready, changed."""
    everything = {**FACTS.publishers, **(publishers or {})}
    return Facts(**{**vars(FACTS), 'publishers': everything, **changes})


def published(source: str, *endpoints: Endpoint) -> dict[str, list[Endpoint]]:
    return {source: list(endpoints)}


def named(checks: list[Check], name: str) -> Check:
    (check,) = [check for check in checks if check.name == name]
    return check


def detail(facts: Facts, name: str) -> str:
    """Return what a check has found when nothing at all is wrong."""
    checks = preflight(SPEC, facts, is_shadow=False)
    assert all(check.fault is None for check in checks), report(checks)
    return named(checks, name).detail


def only_fault(facts: Facts, name: str) -> str:
    """Return the fault of a check that alone forbids activation."""
    checks = preflight(SPEC, facts, is_shadow=False)
    (faulty,) = [check for check in checks if check.fault is not None]
    assert faulty.name == name, report(checks)
    assert first_obstacle(checks) == faulty.fault
    assert faulty.detail == str(faulty.fault)
    assert report(checks).splitlines()[-1] == 'not ready: 1 of 9 checks failed'
    return str(faulty.fault)
