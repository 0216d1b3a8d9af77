"""Launch files: what they start exists, what they set is declared, what they offer explained.

What they start is tested in test_policy_node.py and test_sim_node.py, without the launch system.
"""

import ast
import runpy
from pathlib import Path

import pytest
from builders import make_spec, topic

from sac_ros.errors import UserError

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
NODES = {
    'finetune.launch.py': ['learner_node'],
    'robot.launch.py': ['policy_node'],
    'sim.launch.py': ['sim_node', 'policy_node'],
}

pytestmark = pytest.mark.ros


def keywords(path: Path, name: str) -> list[ast.expr]:
    """Return what the calls in a file give for the keyword `name`."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [word.value for call in calls for word in call.keywords if word.arg == name]


def parameter_names(path: Path) -> set[str]:
    """Return the names of the parameters that a launch file sets."""
    names: set[str] = set()
    for value in keywords(path, 'parameters'):
        mappings = [node for node in ast.walk(value) if isinstance(node, ast.Dict)]
        names |= {
            str(key.value)
            for mapping in mappings
            for key in mapping.keys
            if isinstance(key, ast.Constant)
        }
    for node in ast.parse(path.read_text()).body:  # those that are passed on by a table
        if isinstance(node, ast.Assign) and 'PARAMETERS' in ast.unparse(node.targets[0]):
            assert isinstance(node.value, ast.Dict)
            names |= {str(key.value) for key in node.value.keys if isinstance(key, ast.Constant)}
    return names


def test_all_launch_files_are_looked_at():
    assert [path.name for path in FILES] == list(NODES)


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_what_is_started_is_an_executable_of_the_package(path: Path):
    executables = {ast.literal_eval(value) for value in keywords(path, 'executable')}
    scripts = (ROOT / 'setup.py').read_text()
    assert executables
    for name in executables:
        assert f"'{name} = " in scripts
    assert {ast.literal_eval(value) for value in keywords(path, 'package')} == {'sac_ros'}


def test_what_is_set_is_a_parameter_of_the_nodes():
    pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')
    from sac_ros.parameters import PARAMETERS as POLICY
    from sim_training.learner_options import PARAMETERS as LEARNER
    from sim_training.robot_node import PARAMETERS as SIM

    finetune, robot, sim = FILES
    assert parameter_names(finetune) == {*LEARNER, 'use_sim_time'}
    assert parameter_names(robot) == {*POLICY, 'use_sim_time'}
    assert parameter_names(sim) <= set(SIM)


@pytest.fixture
def launch():
    """Return the launch system, or skip."""
    reason = 'needs launch_ros, which comes with a ROS distribution and not from PyPI'
    pytest.importorskip('launch_ros', reason=reason)
    import launch

    return launch


def started_by(launch, path: Path, **arguments: str) -> list:
    """Return the node actions of a launch file, those of included files among them."""
    context = launch.LaunchContext()
    context.launch_configurations.update(arguments)
    found, waiting = [], [runpy.run_path(str(path))['generate_launch_description']()]
    while waiting:
        entity = waiting.pop(0)
        if type(entity).__name__ in ('Node', 'LifecycleNode'):
            found.append(entity)
        elif isinstance(entity, launch.LaunchDescription):
            waiting += entity.entities
        else:
            waiting += entity.visit(context) or []
    return found


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_every_argument_is_described(launch, path: Path):
    description = runpy.run_path(str(path))['generate_launch_description']()
    arguments = description.get_launch_arguments()
    names = {argument.name for argument in arguments}
    assert {'model', 'namespace', 'use_sim_time', 'log_level'} <= names
    assert all(argument.description.endswith('.') for argument in arguments)


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_the_nodes_are_started_in_the_namespace(launch, path: Path):
    nodes = started_by(launch, path, model='some.onnx', folder='some', namespace='lab')
    executables = [perform(launch, node.node_executable) for node in nodes]
    assert sorted(executables) == sorted(NODES[path.name])


def perform(launch, value: object) -> str:
    return value if isinstance(value, str) else value[0].perform(launch.LaunchContext())


def test_a_robot_does_not_start_by_itself_and_the_simulation_does(launch):
    robot, sim = (
        {
            argument.name: argument
            for argument in runpy.run_path(str(path))['generate_launch_description']()
            .get_launch_arguments()
        }
        for path in FILES[1:]
    )  # fmt: skip
    assert perform(launch, robot['autostart'].default_value) == 'false'
    assert perform(launch, sim['autostart'].default_value) == 'true'
    assert robot['model'].default_value is None


def test_topics_are_remapped_from_the_names_in_the_contract(launch, tmp_path: Path):
    from builders import export_model

    spec = make_spec(
        observation=[{'term': 'joint_position'}],
        topics={'joint_states': topic('joint_states'), 'command': topic('command')},
    )
    model = tmp_path / 'arm.onnx'
    export_model(model, spec)
    (node,) = started_by(launch, FILES[1], model=str(model), command='/driver/velocity')
    remappings = [
        tuple(part[0].perform(launch.LaunchContext()) for part in pair)
        for pair in node._Node__remappings
    ]
    assert remappings == [('arm/commands', '/driver/velocity')]
    with pytest.raises(UserError, match="no topic 'goal' that could be"):
        started_by(launch, FILES[1], model=str(model), goal='/elsewhere')
    with pytest.raises(UserError, match='is expected'):
        started_by(launch, FILES[1], model=str(model), command='/driver', expected_sha256=64 * '0')


def test_a_launch_file_runs_no_model():
    for path in FILES:
        tree = ast.parse(path.read_text())
        imports = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        ours = {name for name in imports if name and name.startswith(('sac_ros', 'sim_training'))}
        allowed = {'errors', 'model_contract', 'model_file', 'spec_rules'}
        assert {name.removeprefix('sac_ros.') for name in ours} <= allowed


def test_ctrl_c_leaves_a_robot_the_time_to_stop():
    (value,) = keywords(ROOT / 'launch' / 'robot.launch.py', 'sigterm_timeout')
    assert 'LONGEST_STOP' in ast.unparse(value)
