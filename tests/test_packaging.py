"""What pip and colcon make of the tree, and that its lists of packages agree."""

import importlib
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
EXECUTABLES = {'sac-ros', 'policy_node', 'sim_node', 'learner_node', 'show'}
PACKAGED = ('resource', 'launch', 'models', 'sac_ros', 'sim_training')  # folders of the package
SHIPPED = {'.py', '.yaml', '.json', '.urdf'}
CORE = {'numpy', 'pydantic', 'pyyaml', 'onnxruntime', 'protobuf'}


@pytest.fixture(scope='module')
def colcon_install(tmp_path_factory) -> Path:
    """The folder install/sac_ros after `colcon build` on a copy of the tree."""
    workspace = tmp_path_factory.mktemp('colcon')
    _copy_tree(workspace / 'src' / 'sac_ros')
    colcon = Path(sysconfig.get_path('scripts')) / 'colcon'
    environment = {**os.environ, 'COLCON_HOME': str(workspace / 'home')}
    _run(colcon, 'build', cwd=workspace, env=environment)
    return workspace / 'install' / 'sac_ros'


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp('wheel')
    _copy_tree(folder / 'sac_ros')
    _pip('wheel', '--wheel-dir', folder, folder / 'sac_ros')
    return zipfile.ZipFile(next(folder.glob('*.whl')))


@pytest.fixture(scope='module')
def metadata(wheel) -> Message:
    name = next(name for name in wheel.namelist() if name.endswith('.dist-info/METADATA'))
    return Parser().parsestr(wheel.read(name).decode('utf-8'))


def test_colcon_puts_executables_where_ros2_run_finds_them(colcon_install):
    folder = colcon_install / 'lib' / 'sac_ros'
    assert {path.name for path in folder.iterdir()} == EXECUTABLES
    assert all(path.stat().st_mode & stat.S_IXUSR for path in folder.iterdir())


def test_an_executable_of_colcon_runs_the_code_that_colcon_installed(colcon_install):
    site_packages = next((colcon_install / 'lib').glob('python*/site-packages'))
    environment = {**os.environ, 'PYTHONPATH': str(site_packages)}
    program = colcon_install / 'lib' / 'sac_ros' / 'show'
    done = subprocess.run([program, '--help'], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'MODEL.onnx' in done.stdout + done.stderr


def test_colcon_shares_the_ament_marker_the_manifest_launch_files_and_models(colcon_install):
    share = colcon_install / 'share'
    assert (share / 'ament_index' / 'resource_index' / 'packages' / 'sac_ros').is_file()
    assert (share / 'sac_ros' / 'package.xml').read_bytes() == _read('package.xml')
    for pattern in ('launch/*.launch.py', 'models/*.onnx', 'models/*.md'):
        for path in ROOT.glob(pattern):
            name = path.relative_to(ROOT).as_posix()
            assert (share / 'sac_ros' / name).read_bytes() == _read(name)


def test_colcon_installs_contracts_schema_and_robots_of_the_tasks(colcon_install):
    installed = {path.name for path in colcon_install.glob('lib/python*/*/sim_training/tasks/*')}
    shipped = {path for path in ROOT.glob('sim_training/tasks/*') if path.suffix in SHIPPED}
    assert {path.suffix for path in shipped} == SHIPPED
    assert {path.name for path in shipped} <= installed


def test_pip_puts_the_same_executables_in_bin_and_shares_the_same_files(tmp_path):
    _copy_tree(tmp_path / 'sac_ros')
    _pip('install', '--ignore-installed', '--prefix', tmp_path / 'prefix', tmp_path / 'sac_ros')
    assert {path.name for path in (tmp_path / 'prefix' / 'bin').iterdir()} == EXECUTABLES
    assert not (tmp_path / 'prefix' / 'lib' / 'sac_ros').exists()
    share = tmp_path / 'prefix' / 'share'
    assert (share / 'ament_index' / 'resource_index' / 'packages' / 'sac_ros').is_file()
    assert {path.name for path in (share / 'sac_ros').rglob('*.launch.py')} == {
        path.name for path in ROOT.glob('launch/*.launch.py')
    }


def test_the_wheel_holds_every_module_every_contract_and_the_licence(wheel):
    names = set(wheel.namelist())
    for folder in ('sac_ros', 'sim_training'):
        for path in (ROOT / folder).rglob('*'):
            if path.suffix in SHIPPED:
                assert path.relative_to(ROOT).as_posix() in names
    assert any(name.endswith('LICENSE') for name in names)
    assert not any(name.startswith(('tests/', 'benchmarks/')) for name in names)


def test_every_executable_leads_to_a_function_that_exists(wheel):
    name = next(name for name in wheel.namelist() if name.endswith('entry_points.txt'))
    entries = re.findall(r'^(\S+) = ([\w.]+):(\w+)$', wheel.read(name).decode(), re.MULTILINE)
    assert {executable for executable, _, _ in entries} == EXECUTABLES
    for _, module, function in entries:
        assert callable(getattr(importlib.import_module(module), function))


def test_pip_install_without_extras_brings_the_five_core_packages_and_nothing_else(metadata):
    assert _requirement_names(metadata, extra='') == CORE


def test_the_package_is_found_under_the_name_that_the_hints_to_install_give(metadata):
    assert canonicalize_name(metadata['Name']) == 'sac-ros'
    assert set(metadata.get_all('Provides-Extra')) == {'train', 'ros', 'cluster', 'sweep', 'dev'}


def test_pip_and_ros_know_the_same_version_and_licence(metadata):
    manifest = ElementTree.parse(ROOT / 'package.xml')
    assert manifest.findtext('name') == metadata['Name']
    assert manifest.findtext('version') == metadata['Version']
    assert manifest.findtext('license') == 'Apache-2.0'
    assert metadata['License'] == 'Apache-2.0' or metadata['License-Expression'] == 'Apache-2.0'


def test_pip_and_rosdep_bring_the_same_ros_packages(metadata):
    wheels = _requirement_names(metadata, extra='ros') - CORE - {'ros-rmw-fastrtps-cpp'}
    manifest = ElementTree.parse(ROOT / 'package.xml')
    depends = {element.text or '' for element in manifest.iter('exec_depend')}
    depends -= {'launch', 'launch_ros'}  # these have no wheel
    from_ros = {f'ros-{canonicalize_name(name)}' for name in depends if 'python3' not in name}
    assert wheels == from_ros


def test_every_direct_requirement_is_pinned_to_a_version_that_it_allows(metadata):
    lines = _read('constraints.txt').decode().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith('#')]
    pinned = {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix('==')
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }
    for extra in ('', 'train', 'ros', 'cluster', 'sweep', 'dev'):
        for requirement in _requirements(metadata, extra):
            name = canonicalize_name(requirement.name)
            assert name in pinned, f'{name} has no line in constraints.txt'
            assert requirement.specifier.contains(pinned[name]), f'{requirement}: {pinned[name]}'


def test_make_alone_explains_every_target():
    shown = _run('make', cwd=ROOT).stdout
    makefile = _read('Makefile').decode()
    phony = re.search(r'^\.PHONY: (.*)$', makefile, re.MULTILINE)
    assert phony is not None
    targets = phony[1].split()
    assert {'help', 'setup', 'demo', 'test', 'lint', 'bench'} <= set(targets)
    for target in targets:
        assert re.search(rf'^  make {target} +\w', shown, re.MULTILINE), (
            f'{target} is not explained'
        )


def test_ci_runs_lint_and_tests_through_make():
    script = ROOT / '.ci' / 'run'
    assert script.stat().st_mode & stat.S_IXUSR
    assert 'make lint test' in script.read_text()
    _run('bash', '-n', script, cwd=ROOT)


def _read(name: str) -> bytes:
    return (ROOT / name).read_bytes()


def _copy_tree(target: Path) -> None:
    """Copy what the package is made of, without what earlier builds left in the tree."""
    target.mkdir(parents=True)
    for name in ('package.xml', 'setup.py', 'setup.cfg', 'pyproject.toml', 'LICENSE'):
        shutil.copy(ROOT / name, target)
    for name in PACKAGED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns('__pycache__')
            shutil.copytree(ROOT / name, target / name, ignore=ignored)


def _requirements(metadata: Message, extra: str) -> list[Requirement]:
    """Return what `pip install sac-ros[extra]` brings directly on this Python."""
    requirements = map(Requirement, metadata.get_all('Requires-Dist') or [])
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({'extra': extra})
    ]


def _requirement_names(metadata: Message, extra: str) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in _requirements(metadata, extra)}


def _pip(command: str, *arguments: str | Path) -> None:
    """Run pip with what is installed: nothing is fetched."""
    pip = (sys.executable, '-m', 'pip', '--quiet', command, '--no-deps', '--no-build-isolation')
    _run(*pip, *arguments, cwd=ROOT)


def _run(
    *command: str | Path, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
