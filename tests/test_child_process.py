"""Children end with their parent, whatever ends it, and their last words are told."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sac_ros.errors import UserError
from sim_training import child_process
from sim_training.child_process import ChildProcess

ROOT = Path(__file__).parents[1]


@pytest.fixture
def module(tmp_path: Path):
    """Return a function that writes a Python module and gives what is needed to run it."""

    def write(code: str) -> tuple[str, list[str], dict[str, str]]:
        (tmp_path / 'child_of_test.py').write_text(f'import os, signal, time\n{code}\n')
        path = os.pathsep.join((str(tmp_path), str(ROOT)))
        return 'child_of_test', [str(tmp_path)], {**os.environ, 'PYTHONPATH': path}

    return write


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return 'Z' not in Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]


def wait_until(condition, what: str) -> None:
    end = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def pid_in(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text().endswith('\n'), f'{path} is written')
    return int(path.read_text())


REPORT = """
import sys
from pathlib import Path
def report(name, pid):
    Path(sys.argv[1], name).write_text(f'{pid}\\n')
"""


def test_a_child_is_asked_to_end_and_may_tidy_up(module, tmp_path: Path):
    code = REPORT + (
        "report('pid', os.getpid())\n"
        'try:\n    time.sleep(60)\n'
        "except KeyboardInterrupt:\n    report('tidy', 1)\n"
    )
    with ChildProcess(*module(code)):
        pid = pid_in(tmp_path / 'pid')
        time.sleep(0.2)
    assert not is_alive(pid)
    assert pid_in(tmp_path / 'tidy') == 1


def test_a_child_that_will_not_end_is_killed_with_its_children(
    module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(child_process, 'END_TIMEOUT', 0.5)
    code = REPORT + (
        'signal.signal(signal.SIGINT, signal.SIG_IGN)\n'
        'pid = os.fork()\n'
        "report('grandchild' if pid == 0 else 'child', os.getpid())\n"
        'time.sleep(60)\n'
    )
    with ChildProcess(*module(code)):
        pids = [pid_in(tmp_path / name) for name in ('child', 'grandchild')]
    wait_until(lambda: not any(map(is_alive, pids)), 'both have ended')


def test_the_death_of_a_child_is_told_with_its_last_words(module):
    code = "print('all is well')\nprint('no pole to balance')\nprint()\nraise SystemExit(3)"
    with ChildProcess(*module(code)) as child:
        wait_until(lambda: child._process.poll() is not None, 'the child ends')
        text = '^child_of_test ended with status 3; it last said: no pole to balance$'
        with pytest.raises(UserError, match=text):
            child.check()


def test_a_living_child_that_is_silent_is_no_reason_to_worry(module):
    with ChildProcess(*module('time.sleep(60)')) as child:
        child.check()
        assert child.last_line() == 'nothing'


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux tells a child of a killed parent')
def test_a_child_ends_also_when_its_parent_is_killed(module, tmp_path: Path):
    name, arguments, environment = module(REPORT + "report('pid', os.getpid())\ntime.sleep(60)\n")
    parent = (
        'import os, time\n'
        'from sim_training.child_process import ChildProcess\n'
        f'with ChildProcess({name!r}, {arguments!r}, os.environ):\n    time.sleep(60)\n'
    )
    with subprocess.Popen([sys.executable, '-c', parent], env=environment) as process:
        pid = pid_in(tmp_path / 'pid')
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), 'the child has ended')
