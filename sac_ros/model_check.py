"""A model is tried in a child process first: what crashes onnxruntime then ends only the child."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading

from sac_ros.fault import CODES
from sac_ros.model_error import ModelError
from sac_ros.model_trial import LENGTH, READY

MODEL_TIMEOUT = 30.0  # [s] for one model; a good one takes a few milliseconds
START_TIMEOUT = 60.0  # [s] to import onnxruntime, on a machine that is busy with other things
END_TIMEOUT = 5.0  # [s] for a child to end that has closed its output
PATIENT = 10  # niceness of the child: control goes first
MAX_ANSWER = 2**16  # [bytes]
# Of our environment, what finds programs, libraries and Python itself.
KEPT = ('PATH', 'LD_LIBRARY_PATH', 'PYTHONHOME', 'LANG', 'LC_ALL')


def check_in_child(data: bytes, where: str) -> None:
    """Load a model and let it act in a child process.  Raises ModelError, also if that dies."""
    with ModelChecker() as checker:
        checker.check(data, where)


class ModelChecker:
    """Checks models one after the other in a child process, which is replaced when it has died.

    For one thread at a time.
    """

    def __init__(self, timeout: float = MODEL_TIMEOUT) -> None:
        """Wait at most `timeout` [s] for what the child says about one model."""
        self.deaths = 0  # of children, by the models that they tried
        self._timeout = timeout
        try:
            self._folder = tempfile.TemporaryDirectory(prefix='sac_ros_')
        except OSError as error:
            raise _cannot_try(f'no temporary folder: {error.strerror}') from error
        self._child: _Child | None = None

    def __enter__(self) -> 'ModelChecker':
        return self

    def __exit__(self, *error: object) -> None:
        """End the child."""
        self.close()

    def close(self) -> None:
        """End the child, and leave no trace."""
        if self._child is not None:
            self._child.end()
        self._folder.cleanup()

    def interrupt(self) -> None:
        """End the child in the middle of what it does; for other threads."""
        child = self._child
        if child is not None:
            child.process.kill()

    @property
    def pid(self) -> int | None:
        """Return the process id of the child, if there is one."""
        return None if self._child is None else self._child.process.pid

    def check(self, data: bytes, where: str) -> None:
        """Raise ModelError when a model is refused, or ends the child that tries it."""
        if self._child is not None and self._child.process.poll() is not None:
            self._child.end()  # by somebody else: no model was to blame
            self._child = None
        if self._child is None:
            self._child = _Child(self._folder.name)
        name = where.encode(errors='replace')
        question = LENGTH.pack(len(name)) + name + LENGTH.pack(len(data)) + data
        answer = self._child.ask(question, self._timeout)
        if isinstance(answer, str):
            self.deaths += 1
            self._child.end()
            self._child = None
            raise ModelError(f'{where}: {answer}', 'E_MODEL_PARSE')
        if answer['code']:
            raise ModelError(answer['text'], answer['code'])


class _Child:
    """The process that tries models, and what was asked of it."""

    def __init__(self, folder: str) -> None:
        """Start it in `folder`, which is empty: whatever a model names there, it is not there."""
        try:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'sac_ros.model_trial'],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for its parent, with whom it ends
            )
            os.setpriority(os.PRIO_PROCESS, self.process.pid, PATIENT)
        except OSError as error:
            raise _cannot_try(f'no process: {error.strerror}') from error
        answer = self.ask(b'', START_TIMEOUT)
        if answer != READY:
            said = self.end().strip().rpartition('\n')[2]
            raise _cannot_try(f'{answer}; it last said: {said or "nothing"}')

    def ask(self, question: bytes, timeout: float) -> dict[str, str] | str:
        """Return the answer to a question; or what has happened instead, in words."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            self.process.kill()

        timer = threading.Timer(timeout, give_up)
        timer.daemon = True
        timer.start()
        try:
            stdin.write(question)
            stdin.flush()
            line = stdout.readline(MAX_ANSWER)
        except BrokenPipeError:
            line = b''
        finally:
            timer.cancel()
        if is_late.is_set():
            return f'the loader took longer than {timeout:g} s'
        return _parse(line) if line else self._death()

    def end(self) -> str:
        """End it, if it has not ended; return what it has printed."""
        self.process.kill()
        self.process.wait()
        said = self.process.stderr.read(MAX_ANSWER) if self.process.stderr else b''
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # a question that nobody will read
                    pipe.close()
        return said.decode(errors='replace')

    def _death(self) -> str:
        try:
            status = self.process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            return 'the loader lives, and says nothing'
        if status < 0:
            return f'the loader died of signal {-status} ({signal.strsignal(-status)})'
        return f'the loader ended with status {status}'


def _cannot_try(why: str) -> ModelError:
    return ModelError(f'no model can be tried in a process of its own: {why}', 'E_INTERNAL')


def _parse(line: bytes) -> dict[str, str] | str:
    """Return an answer; a child that went wrong may say anything."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return 'the loader answered nonsense'
    if (
        not isinstance(answer, dict)
        or answer.keys() != {'code', 'text'}
        or answer['code'] not in ('', *CODES)
        or not isinstance(answer['text'], str)
    ):
        return 'the loader answered nonsense'
    return answer


def _environment() -> dict[str, str]:
    """Return the environment of the child: it finds sac_ros wherever its parent did."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)
    # One thread each: a pool for every core of a large machine would not fit into the memory.
    threads = {'OPENBLAS_NUM_THREADS': '1', 'OMP_NUM_THREADS': '1'}
    return {**kept, **threads, 'PYTHONPATH': path, 'PYTHONDONTWRITEBYTECODE': '1'}
