"""Who may import whom, and what nobody may call: the rules that keep the robot side small."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
ROS_FILES = {  # the only files that know rclpy and message types
    'sac_ros/candidates.py',
    'sac_ros/command_messages.py',
    'sac_ros/control_loop.py',
    'sac_ros/decisions.py',
    'sac_ros/diagnostic_message.py',
    'sac_ros/joint_messages.py',
    'sac_ros/lifecycle_node.py',
    'sac_ros/lookout.py',
    'sac_ros/loop_topics.py',
    'sac_ros/measurements.py',
    'sac_ros/messages.py',
    'sac_ros/model_swap.py',
    'sac_ros/operators.py',
    'sac_ros/own_thread.py',
    'sac_ros/pace_clock.py',
    'sac_ros/parameters.py',
    'sac_ros/reports.py',
    'sac_ros/ros_graph.py',
    'sac_ros/run_node.py',
    'sac_ros/state_messages.py',
    'sac_ros/step_message.py',
    'sim_training/bench_node.py',
    'sim_training/bench_robot_node.py',
    'sim_training/echo_node.py',
    'sim_training/finetune_listener.py',
    'sim_training/learner.py',
    'sim_training/learner_options.py',
    'sim_training/learner_report.py',
    'sim_training/listener_node.py',
    'sim_training/robot_node.py',
}
CORE_PACKAGES = {'numpy', 'pydantic', 'pydantic_core', 'yaml', 'onnxruntime', 'google'}
WORKSTATION_PACKAGES = {'sim_training', 'torch', 'gymnasium', 'pybullet'}
PYBULLET = {'pybullet', 'pybullet_data', 'pybullet_utils'}
UNSAFE_MODULES = {'pickle', '_pickle', 'cloudpickle', 'dill', 'joblib', 'marshal', 'shelve'}
UNSAFE_NAMES = {'eval', 'exec', 'compile', '__import__'}
UNSAFE_CALLS = {
    ('torch', 'load'),
    ('torch', 'save'),
    ('yaml', 'load'),
    ('yaml', 'load_all'),
    ('yaml', 'full_load'),
    ('yaml', 'unsafe_load'),
}


def test_every_file_of_the_packages_is_looked_at():
    assert {'sac_ros/controller.py', 'sim_training/cli.py'} <= set(
        _files('sac_ros', 'sim_training')
    )


def test_sac_ros_never_imports_the_workstation_side():
    assert _importers('sac_ros', of=WORKSTATION_PACKAGES) == set()


def test_sac_ros_imports_only_the_standard_library_and_the_five_core_packages():
    allowed = set(sys.stdlib_module_names) | CORE_PACKAGES | {'sac_ros'}
    strangers = {
        (file, package)
        for file in _files('sac_ros')
        for package in _imports(file)
        if package not in allowed and not (file in ROS_FILES and _is_ros(package))
    }
    assert strangers == set()


def test_only_nodes_and_messages_import_ros():
    importers = {
        file
        for file in _files('sac_ros', 'sim_training')
        if any(_is_ros(package) for package in _imports(file))
    }
    assert importers == ROS_FILES


def test_only_bullet_robot_imports_pybullet():
    assert _importers('sim_training', of=PYBULLET) == {'sim_training/bullet_robot.py'}


def test_only_export_imports_onnx():
    assert _importers('sac_ros', 'sim_training', of={'onnx'}) == {'sim_training/export.py'}


def test_only_policy_imports_onnxruntime():
    assert _importers('sac_ros', 'sim_training', of={'onnxruntime'}) == {'sac_ros/policy.py'}


def test_nothing_unpickles_evaluates_or_loads_what_could_run():
    folders = ('sac_ros', 'sim_training', 'launch', 'benchmarks', 'tests')
    found = {(file, what) for file in _files(*folders) for what in _unsafe(_tree(file))}
    assert found == set()


@pytest.mark.parametrize(
    'code',
    [
        'import pickle',
        'from joblib import load',
        "eval('1')",
        "torch.load('x')",
        'yaml.load(text)',
        "np.load('x', allow_pickle=True)",
        "np.load('x', allow_pickle=flag)",
    ],
)
def test_the_search_for_unsafe_code_finds(code):
    assert list(_unsafe(ast.parse(code)))


def test_the_search_for_unsafe_code_lets_safe_code_pass():
    code = "model.eval()\nnp.load('x', allow_pickle=False)\nyaml.safe_load(text)\nre.compile('x')"
    assert list(_unsafe(ast.parse(code))) == []


def test_sac_ros_runs_without_ros_and_without_the_workstation_packages():
    modules = [_module(file) for file in _files('sac_ros') if file not in ROS_FILES]
    script = f"""
import importlib, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        package = name.partition('.')[0]
        if package in {WORKSTATION_PACKAGES | {'rclpy'}} or package.endswith(('_msgs', '_srvs')):
            raise ModuleNotFoundError(f'{{name}} is blocked', name=name)

sys.meta_path.insert(0, Block())
for module in {modules}:
    importlib.import_module(module)
print(*sorted({{name.partition('.')[0] for name in sys.modules}}))
"""
    done = _python('-c', script)
    assert done.returncode == 0, done.stderr
    assert 'sac_ros' in done.stdout.split()
    assert not set(done.stdout.split()) & (WORKSTATION_PACKAGES | {'rclpy'})


@pytest.mark.fault('H09', 'exit 1', '')
def test_the_policy_node_without_ros_says_in_one_line_what_to_install(tmp_path):
    manifest = ElementTree.parse(ROOT / 'package.xml')
    depends = [element.text or '' for element in manifest.iter('exec_depend')]
    for package in filter(_is_ros, [*depends, 'builtin_interfaces', 'rcl_interfaces']):
        absent = f"raise ModuleNotFoundError('No module named {package}', name='{package}')\n"
        (tmp_path / f'{package}.py').write_text(absent)
    done = _python('-m', 'sac_ros.policy_node', first=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ''
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "pip install '.[ros]'" in done.stderr


def _files(*folders: str) -> list[str]:
    """Return the Python files under `folders`, as paths from the root of the tree."""
    return [
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in sorted((ROOT / folder).rglob('*.py'))
    ]


def _tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding='utf-8'), file)


def _imports(file: str) -> set[str]:
    """Return the top-level packages that `file` imports, inside functions too."""
    return {name.partition('.')[0] for name in _imported_names(_tree(file))}


def _imported_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, 'relative imports hide where a name comes from'
            yield node.module or ''


def _importers(*folders: str, of: set[str]) -> set[str]:
    return {file for file in _files(*folders) if _imports(file) & of}


def _is_ros(package: str) -> bool:
    return package in ('rclpy', 'launch', 'launch_ros', 'ament_index_python') or package.endswith(
        ('_msgs', '_srvs', '_interfaces')
    )


def _unsafe(tree: ast.Module) -> Iterator[str]:
    """Yield what could run code hidden in a file, or take text for code."""
    yield from {name.partition('.')[0] for name in _imported_names(tree)} & UNSAFE_MODULES
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield from {node.func.id} & UNSAFE_NAMES
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield from {f'{a}.{b}' for a, b in {(node.value.id, node.attr)} & UNSAFE_CALLS}
        if isinstance(node, ast.keyword) and node.arg == 'allow_pickle':
            is_off = isinstance(node.value, ast.Constant) and node.value.value is False
            yield from () if is_off else ('allow_pickle',)


def _module(file: str) -> str:
    return file.removesuffix('.py').removesuffix('/__init__').replace('/', '.')


def _python(*arguments: str, first: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run Python at the root of the tree; modules in the folder `first` are found first."""
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join((str(first), str(ROOT)))}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=150,
        cwd=first,
        env=environment,
    )
