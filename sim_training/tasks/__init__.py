"""The tasks: each is <name>.yaml (the contract) and <name>.py (its simulation, ending in TASK)."""

import importlib
import importlib.util
import sys
from pathlib import Path
from traceback import extract_tb

from sac_ros.errors import UserError, nearest
from sim_training.tasks.task import Task

FOLDER = Path(__file__).parent
STEPS_OF_GYMNASIUM = 100_000  # for an env that does not say how long it takes to learn


def task_names() -> list[str]:
    """Return the names of the tasks that ship."""
    return sorted(path.stem for path in FOLDER.glob('*.yaml'))


def is_file(name: str) -> bool:
    """Tell the YAML file of a task of one's own from a name."""
    return name.endswith(('.yaml', '.yml'))


def is_task(name: str) -> bool:
    """Tell a task of ours (a shipped name or a YAML file) from a Gymnasium id."""
    return name in task_names() or is_file(name)


def load_task(name: str) -> Task:
    """Return a task by its shipped name, or by the path of its YAML file.  Raises UserError.

    A task of your own is a YAML file with a Python file of the same name beside it; the Python
    file is run, so it must be one that you trust.
    """
    if name in task_names():
        task: Task = importlib.import_module(f'sim_training.tasks.{name}').TASK
        return task
    if is_file(name):
        return _load_file(Path(name))
    raise UserError(
        f"task '{name}' is unknown{nearest(name, task_names())}; "
        f'known: {", ".join(task_names())}, or the path of a YAML file'
    )


def other_task(name: str, trained: object) -> str | None:
    """Return a note where a contract names another task than the one that a model was trained on.

    That is so for a task of one's own, and for an id that a package brings: a model holds the name
    of a contract, and no path and no code.
    """
    if not isinstance(trained, str) or trained == name:
        return None
    if not is_file(trained) and ':' not in trained:
        return None
    return f"the model was trained on '{trained}'; now '{name}' of its contract is meant"


def training_steps(name: str) -> int:
    """Return the environment steps that a task of ours, or a Gymnasium env, is trained for."""
    return load_task(name).training_steps if is_task(name) else STEPS_OF_GYMNASIUM


def _load_file(contract: Path) -> Task:
    module_path = contract.with_suffix('.py')
    for path in (contract, module_path):
        if not path.is_file():
            raise UserError(f'task {contract}: {path} is missing; a task needs both files')
    # Two tasks may have the same file name, and dataclasses look their module up by its name.
    module_name = f'sac_ros_task:{module_path.resolve()}'
    module_spec = importlib.util.spec_from_file_location(module_name, module_path)
    if module_spec is None or module_spec.loader is None:
        raise UserError(f'task {contract}: {module_path} cannot be imported')
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_name] = module
    try:
        module_spec.loader.exec_module(module)
    except UserError:  # it says more: such as the contract that the file loads
        del sys.modules[module_name]
        raise
    except Exception as error:  # the user's program: it may raise anything
        del sys.modules[module_name]
        raise UserError(f'task {contract}: {_problem(module_path, error)}') from error
    task = getattr(module, 'TASK', None)
    if not isinstance(task, Task):
        raise UserError(f'task {contract}: {module_path} defines no TASK = Task(...)')
    return task


def _problem(path: Path, error: Exception) -> str:
    """Return in one line what importing a file has raised, and where in it."""
    lines = [
        place.lineno for place in extract_tb(error.__traceback__) if place.filename == str(path)
    ]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    text = error.msg if isinstance(error, SyntaxError) else ' '.join(str(error).split())
    where = f'{path}:{line}' if line else str(path)
    return f'{type(error).__name__}: {text} ({where})'
