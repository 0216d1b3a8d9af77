"""From the id of a Gymnasium env to the env, or to one line that says what is missing."""

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
from gymnasium.wrappers import TimeLimit

from sac_ros.errors import UserError, nearest
from sim_training.env_error import raised
from sim_training.tasks import task_names

BULLET = 'pybullet_envs_gymnasium'  # its ids are known once it is imported
MUJOCO_ENVS = 'gymnasium.envs.mujoco'
LONGEST_EPISODE = 10_000  # [control periods] of an env that sets no limit itself
DISPLAYS = ('DISPLAY', 'WAYLAND_DISPLAY')


def make_by_id(name: str, render_mode: str | None) -> gymnasium.Env:
    """Return the env of `id`, or of `package:id`, which imports the package.  Raises UserError."""
    try:
        if 'Bullet' in name and ':' not in name and name not in gymnasium.registry:
            _import_bullet()
        is_mujoco = _is_of_mujoco(name)
        options: dict[str, Any] = {}  # not even render_mode=None, which some envs do not take
        if render_mode is not None:
            options = {'render_mode': render_mode, **(_filming() if is_mujoco else {})}
        with _without_log_of_mujoco() if is_mujoco else contextlib.nullcontext():
            env = gymnasium.make(name, **options)
    except gymnasium.error.DependencyNotInstalled as error:
        raise UserError(f"env '{name}' cannot be made: {_one_line(error)}") from error
    except gymnasium.error.Error as error:
        known = [known for known in (*task_names(), *gymnasium.registry) if known != name]
        raise UserError(
            f"'{name}' is no task that ships, no YAML file (for a task of your own) and no "
            'Gymnasium id that is registered (package:Id-v0 imports a package first)'
            f'{nearest(name, known)} ({_one_line(error)})'
        ) from error
    except Exception as error:  # somebody else's program: it may raise anything
        raise UserError(f"env '{name}' cannot be made: {raised(error)}") from error
    modes = env.metadata.get('render_modes') or []
    if render_mode is not None and render_mode not in modes:
        env.close()
        raise UserError(f"env '{name}' renders {modes or 'nothing'}; {render_mode} is needed")
    has_limit = env.spec is not None and env.spec.max_episode_steps is not None
    return env if has_limit else TimeLimit(env, LONGEST_EPISODE)


def _import_bullet() -> None:
    try:
        importlib.import_module(BULLET)
    except ModuleNotFoundError as error:
        if error.name != BULLET:
            raise
        raise gymnasium.error.DependencyNotInstalled(
            f'{BULLET}, which brings it, is not installed, run `pip install {BULLET}`'
        ) from error


def _is_of_mujoco(name: str) -> bool:
    entry = gymnasium.registry.get(name)
    return entry is not None and str(entry.entry_point).startswith(MUJOCO_ENVS)


def _filming() -> dict[str, Any]:
    """Return by which camera to film: one that follows the robot, where the model has it."""
    if not any(map(os.environ.get, DISPLAYS)):
        os.environ.setdefault('MUJOCO_GL', 'egl')  # MuJoCo would look for a window
    return {'camera_name': 'track'}


@contextlib.contextmanager
def _without_log_of_mujoco() -> Iterator[None]:
    """Let MuJoCo keep to itself what it finds out of date in Gymnasium's own models.

    It would tell the terminal, and a file MUJOCO_LOG.TXT in the user's folder.
    """
    try:
        mujoco = importlib.import_module('mujoco')
    except ImportError:  # which gymnasium tells better
        mujoco = None
    if mujoco is None:
        yield
        return
    before: Callable[[str], None] | None = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda text: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def _one_line(text: object) -> str:
    return ' '.join(str(text).split())
