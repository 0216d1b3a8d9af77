"""model_check.py: whatever a model does to the child that tries it, we get one line."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from builders import make_spec, onnx_model

from sac_ros.model_check import ModelChecker, check_in_child
from sac_ros.model_error import ModelError

ROOT = Path(__file__).parents[1]
GOOD = onnx_model(make_spec())


def refusal(checker: ModelChecker, data: bytes, where: str = 'm') -> tuple[str, str]:
    with pytest.raises(ModelError) as caught:
        checker.check(data, where)
    return caught.value.code, str(caught.value)


def test_a_good_model_passes() -> None:
    check_in_child(GOOD, 'm')


def test_the_models_that_ship_pass() -> None:
    with ModelChecker() as checker:
        for path in sorted((ROOT / 'models').glob('*.onnx')):
            checker.check(path.read_bytes(), path.name)


def test_one_child_tries_many_models() -> None:
    with ModelChecker() as checker:
        checker.check(GOOD, 'm')
        child = checker.pid
        assert refusal(checker, b'', 'second') == ('E_MODEL_PARSE', 'second is empty')
        assert refusal(checker, b'', 'two\nlines') == ('E_MODEL_PARSE', r'two\nlines is empty')
        checker.check(GOOD, 'm')
        assert (checker.pid, checker.deaths) == (child, 0)


@pytest.mark.fault('B02', 'refused', 'E_MODEL_PARSE')
def test_a_hundred_halves_of_a_model_leave_the_child_alive() -> None:
    with ModelChecker() as checker:
        for percent in range(100):
            code, _ = refusal(checker, GOOD[: len(GOOD) * percent // 100])
            assert code == 'E_MODEL_PARSE'
        assert checker.deaths == 0


def test_the_child_ends_with_its_checker() -> None:
    with ModelChecker() as checker:
        checker.check(GOOD, 'm')
        child = checker.pid
    assert child is not None
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_child_that_somebody_has_ended_is_replaced_and_no_model_blamed() -> None:
    with ModelChecker() as checker:
        checker.check(GOOD, 'm')
        child = checker.pid
        assert child is not None
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        checker.check(GOOD, 'm')
        assert checker.pid != child
        assert checker.deaths == 0


def test_a_child_is_limited_in_all_that_a_model_may_use_up() -> None:
    with ModelChecker() as checker:
        checker.check(GOOD, 'm')
        lines = Path(f'/proc/{checker.pid}/limits').read_text().splitlines()
        folder = os.readlink(f'/proc/{checker.pid}/cwd')
        assert os.listdir(folder) == []
    limits = {line[:26].strip(): line[26:].split()[0] for line in lines[1:]}
    assert limits['Max address space'] == '4294967296'
    assert limits['Max open files'] == '32'
    assert limits['Max file size'] == '0'
    assert limits['Max core file size'] == '0'
    assert 20 < int(limits['Max cpu time']) < 60
    assert not Path(folder).exists()


def test_a_child_has_nothing_of_our_environment_but_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('SECRET', 'x')
    monkeypatch.setenv('LD_LIBRARY_PATH', '/opt/ros/lib')
    with ModelChecker() as checker:
        checker.check(GOOD, 'm')
        environment = Path(f'/proc/{checker.pid}/environ').read_bytes().split(b'\0')
    names = {each.partition(b'=')[0] for each in environment if each}
    assert b'SECRET' not in names
    assert any(each.startswith(b'LD_LIBRARY_PATH=') and b'/opt/ros/lib' in each
               for each in environment)  # fmt: skip
    assert any(each.startswith(b'PYTHONPATH=') and bytes(ROOT / 'tests') in each
               for each in environment)  # fmt: skip


# A loader that goes wrong as onnxruntime has done (issues 4349, 4585, 24806 of its project).
RUNTIME = """
import contextlib, os, signal, time

def say(nonsense):
    for descriptor in range(3, 32):
        with contextlib.suppress(OSError):
            os.write(descriptor, nonsense)

def go_silent():
    os.closerange(0, 32)
    time.sleep(1e6)

class Wrong:
    def run(self, _, feed):
        return [feed['observation'][:, :2] * 100]

    def io_binding(self):
        return self

    def bind_input(self, *arguments):
        pass

    bind_output = bind_input

class SessionOptions:
    def add_session_config_entry(self, key, value):
        pass

def InferenceSession(*arguments, **options):
    {crash}
"""
ERRORS = """
class EngineError(Exception): pass
EPFail = Fail = InvalidArgument = InvalidGraph = InvalidProtobuf = EngineError
NoSuchFile = NotImplemented = RuntimeException = EngineError
"""


@pytest.fixture
def crashing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function after which children find an onnxruntime that does something else."""

    def install(crash: str) -> None:
        (tmp_path / 'onnxruntime' / 'capi').mkdir(parents=True)
        (tmp_path / 'onnxruntime' / '__init__.py').write_text(RUNTIME.format(crash=crash))
        (tmp_path / 'onnxruntime' / 'capi' / '__init__.py').touch()
        errors = tmp_path / 'onnxruntime' / 'capi' / 'onnxruntime_pybind11_state.py'
        errors.write_text(ERRORS)
        monkeypatch.syspath_prepend(tmp_path)

    return install


@pytest.mark.parametrize(
    ('crash', 'end'),
    [
        ('os.kill(os.getpid(), signal.SIGSEGV)', 'died of signal 11 (Segmentation fault)'),
        ('os.abort()', 'died of signal 6 (Aborted)'),
        ('os.kill(os.getpid(), signal.SIGKILL)', 'died of signal 9 (Killed)'),
        ('os.kill(os.getpid(), signal.SIGXCPU)', 'died of signal 24 (CPU time limit exceeded)'),
        ('os._exit(0)', 'ended with status 0'),
        ('bytearray(5 * 2**30)', 'ended with status 1'),  # MemoryError: RLIMIT_AS is 4 GiB
        ('open(os.environ["PYTHONPATH"].split(":")[0] + "/x", "w").write("x")',
         'ended with status 1'),  # RLIMIT_FSIZE
        ('[open("/dev/null") for _ in range(40)]', 'ended with status 1'),  # RLIMIT_NOFILE
        (r'say(b"nonsense\n")', 'answered nonsense'),
        (r'say(b"[1]\n")', 'answered nonsense'),
        ('go_silent()', 'lives, and says nothing'),
    ],
    ids=['segfault', 'abort', 'kill', 'cpu', 'exit', 'memory', 'file', 'files', 'nonsense',
         'list', 'silence'],
)  # fmt: skip
@pytest.mark.fault('B03', 'refused', 'E_MODEL_PARSE')
def test_a_model_that_ends_its_loader_is_refused(
    crash: str, end: str, crashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('sac_ros.model_check.END_TIMEOUT', 0.2)
    crashing(crash)
    with ModelChecker() as checker:
        assert refusal(checker, GOOD) == ('E_MODEL_PARSE', f'm: the loader {end}')
        assert (checker.deaths, checker.pid) == (1, None)


def test_after_a_death_the_next_model_is_tried_by_a_new_child(crashing) -> None:
    crashing('os.abort()')
    with ModelChecker() as checker:
        assert refusal(checker, GOOD) == (
            'E_MODEL_PARSE',
            'm: the loader died of signal 6 (Aborted)',
        )
        assert refusal(checker, b'', 'next') == ('E_MODEL_PARSE', 'next is empty')
        assert checker.deaths == 1


@pytest.mark.fault('B03', 'refused', 'E_MODEL_PARSE')
def test_a_model_that_never_ends_is_given_up(crashing) -> None:
    crashing('time.sleep(1e6)')
    with ModelChecker(timeout=0.5) as checker:
        assert refusal(checker, GOOD) == (
            'E_MODEL_PARSE',
            'm: the loader took longer than 0.5 s',
        )


@pytest.mark.fault('B15', 'refused', 'E_MODEL_BOUNDS')
def test_an_onnxruntime_that_does_not_keep_the_bounds_is_found(crashing) -> None:
    crashing('return Wrong()')  # right about the golden pair, of zeros, and nothing else
    with ModelChecker() as checker:
        code, text = refusal(checker, GOOD)
    assert code == 'E_MODEL_BOUNDS'
    assert text == 'm answers [-300. -200.], outside of [[-1. -1.], [1. 1.]]'


def test_a_child_that_does_not_even_listen_is_given_up() -> None:
    with ModelChecker(timeout=0.5) as checker:
        checker.check(GOOD, 'm')
        assert checker.pid is not None
        os.kill(checker.pid, signal.SIGSTOP)
        assert refusal(checker, bytes(2**20)) == (  # more than a pipe holds
            'E_MODEL_PARSE',
            'm: the loader took longer than 0.5 s',
        )


def test_a_child_that_does_not_start_is_no_fault_of_the_model(crashing) -> None:
    crashing('pass\nraise ImportError("no such library")')
    with ModelChecker() as checker:
        assert refusal(checker, GOOD) == (
            'E_INTERNAL',
            'no model can be tried in a process of its own: the loader ended with status 1; '
            'it last said: ImportError: no such library',
        )


def test_where_no_process_can_be_started_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'executable', '/nowhere/python')
    with ModelChecker() as checker:
        assert refusal(checker, GOOD) == (
            'E_INTERNAL',
            'no model can be tried in a process of its own: no process: No such file or directory',
        )


def test_where_no_folder_can_be_made_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('tempfile.tempdir', '/nowhere')
    with pytest.raises(ModelError) as caught:
        check_in_child(GOOD, 'm')
    assert caught.value.code == 'E_INTERNAL'
    assert str(caught.value) == (
        'no model can be tried in a process of its own: no temporary folder: '
        'No such file or directory'
    )


PARENT = """
import os, signal
from sac_ros.model_check import ModelChecker
with ModelChecker() as checker:
    try:
        checker.check(b'', 'm')
    except ValueError:
        print(checker.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, '-c', PARENT],
        cwd=ROOT,
        env={**os.environ, 'TMPDIR': str(tmp_path)},  # nobody is left to clean up
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == -signal.SIGKILL
    child, ended = Path(f'/proc/{int(done.stdout)}/stat'), threading.Event()
    for _ in range(3000):
        try:
            if child.read_text().rpartition(')')[2].split()[0] == 'Z':
                return  # nobody has asked for its status, as is usual in a container
        except (FileNotFoundError, ProcessLookupError):
            return
        ended.wait(0.01)
    pytest.fail(f'the child {done.stdout} lives on')


def test_a_large_model_passes_through_the_pipe() -> None:
    random = np.random.default_rng(0).bytes(2**20)
    with ModelChecker() as checker:
        code, text = refusal(checker, random)
    assert code == 'E_MODEL_PARSE'
    assert text.startswith('m is not an ONNX model that can be run')
