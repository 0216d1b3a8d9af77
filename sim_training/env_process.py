"""An env that is played here, or in a process of its own while this one does other things.

Both are asked for something by one call and wait for it in another, `answer`.  Observations and
actions pass through shared memory, questions and answers through a pipe.  Gymnasium's own vector
env cannot take its place: it leads no single env back into its episode, and of a process that was
killed it tells neither which nor how, and cannot be closed any more.
"""

import contextlib
import ctypes
import functools
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import FrameType
from typing import NamedTuple

import gymnasium
import numpy as np

from sac_ros.errors import UserError
from sim_training.child_process import PR_SET_PDEATHSIG
from sim_training.env import make_env
from sim_training.env_error import EnvError
from sim_training.rollout import Rollout
from sim_training.stop_signals import SIGNALS

ANSWER_TIMEOUT = 300.0  # [s] for one step or reset: an env that takes longer hangs
SIGN_PERIOD = 1.0  # [s] from one sign of life to the next while steps are taken again
END_TIMEOUT = 5.0  # [s] for the envs to be closed before their processes are killed

_SPAWN = multiprocessing.get_context('spawn')  # nothing of this process is in the others


class Answer(NamedTuple):
    """What came of what an env was asked for."""

    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    reward_sum: float = 0.0  # of the episode so far, undiscounted
    is_repeated: bool = True  # False if steps that were taken again did not end as before


class EnvHere:
    """An env that is played in this process, when its answer is waited for."""

    label = ''  # before what its errors say

    def __init__(self, env: gymnasium.Env, seed: int) -> None:
        """Take over an env, which is not closed here; `seed` is the run's.  Raises UserError."""
        self._rollout = Rollout(env, seed)
        self._work: Callable[[Rollout], Answer]

    @property
    def observation(self) -> np.ndarray:
        """Return what was seen last: float32, SI, shape (observation_size,)."""
        return self._rollout.observation

    def begin(self, episode: int) -> None:
        """Ask for a new episode."""
        self._work = functools.partial(_begin, episode=episode)

    def step(self, action: np.ndarray) -> None:
        """Ask for a step; the action is in its own units, float32, shape (action_size,)."""
        self._work = functools.partial(_step, action=action)

    def play_again(self, episode: int, actions: np.ndarray, observations: np.ndarray) -> None:
        """Ask for the first steps of an episode once more, as Rollout.play_again."""
        self._work = functools.partial(
            _play_again, episode=episode, actions=actions, observations=observations
        )

    def answer(self) -> Answer:
        """Do what was asked for, and return what came of it.  Raises EnvError."""
        return self._work(self._rollout)


class EnvProcess:
    """An env in a process of its own.  The methods are those of EnvHere; ask, then wait.

    The process ends with this one, whatever ends it, and not by Ctrl-C or SIGTERM: who is asked
    to stop still waits for its last step.
    """

    def __init__(
        self, task: str, seed: int, number: int, observation_size: int, action_size: int
    ) -> None:
        """Start env `number` of a run with this seed.  Its first answer says that it is there."""
        self.label = f'env {number}: '
        observation = _SPAWN.RawArray('f', observation_size)
        action = _SPAWN.RawArray('f', action_size)
        self._observation = np.ctypeslib.as_array(observation)
        self._action = np.ctypeslib.as_array(action)
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_serve, args=(task, seed, theirs, observation, action), name=f'env-{number}'
        )
        # Blocked until it has handlers of its own: a Ctrl-C at this moment is meant for us.
        resource_tracker.ensure_running()  # which unblocks them when it starts
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self._process.start()
        except OSError as error:
            raise EnvError(f'{self.label}no process can be started: {error.strerror}') from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()

    @property
    def observation(self) -> np.ndarray:
        """Return what was seen last, valid until the next question."""
        return self._observation

    @property
    def pid(self) -> int | None:
        """Return the number of the process."""
        return self._process.pid

    def begin(self, episode: int) -> None:
        """Ask for a new episode."""
        self._ask(_begin, episode)

    def step(self, action: np.ndarray) -> None:
        """Ask for a step."""
        self._action[:] = action
        self._ask(_step)

    def play_again(self, episode: int, actions: np.ndarray, observations: np.ndarray) -> None:
        """Ask for the first steps of an episode once more."""
        self._ask(_play_again, episode, actions, observations)

    def answer(self) -> Answer:
        """Wait until it has done what it was asked for.  Raises EnvError."""
        try:
            answer = None
            while answer is None:  # a sign of life
                if not self._pipe.poll(ANSWER_TIMEOUT):
                    raise EnvError(f'{self.label}it has not answered for {ANSWER_TIMEOUT:g} s')
                answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise EnvError(f'{self.label}its process {self._ending()}') from error
        if isinstance(answer, Answer):
            return answer
        raise EnvError(f'{self.label}{answer}')

    def leave(self) -> None:
        """Let it close its env and end, as soon as it has done what it does."""
        self._pipe.close()

    def end(self, timeout: float) -> None:
        """Wait for its end, and kill it if that takes longer than `timeout` [s]."""
        self._process.join(timeout)
        self._process.kill()  # nothing happens to one that has ended
        self._process.join()

    def _ask(self, work: Callable[..., Answer], *arguments: object) -> None:
        with contextlib.suppress(OSError):  # it has ended: `answer` tells how
            self._pipe.send((work, arguments))

    def _ending(self) -> str:
        """Say how the process has ended."""
        self._process.join(END_TIMEOUT)
        status = self._process.exitcode
        if status is not None and status < 0:
            return f'was ended by {signal.Signals(-status).name}'
        return f'ended with exit status {status}'


def end_processes(envs: Sequence[EnvHere | EnvProcess]) -> None:
    """End all processes of these envs, together."""
    processes = [env for env in envs if isinstance(env, EnvProcess)]
    for process in processes:
        process.leave()
    latest = time.monotonic() + END_TIMEOUT
    for process in processes:
        process.end(max(0.0, latest - time.monotonic()))


def _begin(rollout: Rollout, episode: int) -> Answer:
    rollout.begin(episode)
    return Answer()


def _step(rollout: Rollout, action: np.ndarray) -> Answer:
    reward, terminated, truncated = rollout.step(action)
    return Answer(reward, terminated, truncated, rollout.reward_sum)


def _play_again(
    rollout: Rollout, episode: int, actions: np.ndarray, observations: np.ndarray
) -> Answer:
    is_repeated = rollout.play_again(episode, actions, observations)
    return Answer(reward_sum=rollout.reward_sum, is_repeated=is_repeated)


def _serve(
    task: str,
    seed: int,
    pipe: Connection,
    observation: ctypes.Array[ctypes.c_float],
    action: ctypes.Array[ctypes.c_float],
) -> None:
    """Answer questions until nobody is there to ask any more."""
    for number in SIGNALS:
        signal.signal(number, _stay)
    with contextlib.suppress(EOFError, ConnectionError):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if sys.platform == 'linux':  # even where an env hangs
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            rollout = Rollout(make_env(task), seed)
        except UserError as error:
            pipe.send(str(error))
            return
        seen, asked = np.ctypeslib.as_array(observation), np.ctypeslib.as_array(action)
        with contextlib.closing(rollout.env):
            pipe.send(Answer())
            while True:
                work, arguments = pipe.recv()
                if work is _step:  # its action is in the shared memory
                    arguments = (asked.copy(),)
                if work is _play_again:
                    episode, actions, observations = arguments
                    arguments = (episode, _with_signs(actions, pipe), observations)
                pipe.send(_answer(rollout, work, arguments, seen))


def _stay(number: int, frame: FrameType | None) -> None:
    """Do nothing about a signal; unlike SIG_IGN, this is not passed on to what the env starts."""


def _with_signs(actions: np.ndarray, pipe: Connection) -> Iterator[np.ndarray]:
    """Give the actions one by one, and now and then the sign of life that they are taken."""
    due = time.monotonic()  # the first one says that the episode has begun
    for action in actions:
        if time.monotonic() >= due:
            pipe.send(None)
            due = time.monotonic() + SIGN_PERIOD
        yield action


def _answer(
    rollout: Rollout,
    work: Callable[..., Answer],
    arguments: tuple[object, ...],
    seen: np.ndarray,
) -> Answer | str:
    """Do some work and show what is seen then; return what came of it, or what went wrong."""
    try:
        answer = work(rollout, *arguments)
    except UserError as error:
        return str(error)
    if rollout.observation.shape != seen.shape:
        return f'next_observation has shape {rollout.observation.shape}; needed: {seen.shape}'
    seen[:] = rollout.observation
    return answer
