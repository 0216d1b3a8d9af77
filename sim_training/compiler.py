"""On what torch can compute here, and whether it can compile an update."""

import sysconfig
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import TypeVar

import torch
import torch._dynamo
from torch._dynamo.exc import TorchDynamoException

from sac_ros.errors import UserError

Update = TypeVar('Update', bound=Callable[..., object])


def compiled(update: Update) -> Update:
    """Return an update that becomes one graph when it is first called, autograd included.

    Raises UserError where torch cannot.
    """
    reason = why_not_compiled()
    if reason is not None:
        raise UserError(f'the update cannot be compiled: {reason}')
    torch._dynamo.config.trace_autograd_ops = True
    # Isolated: all agents of a process together would be allowed only eight graphs.
    return torch.compile(  # type: ignore[call-overload]  # the last one is new
        update, fullgraph=True, dynamic=False, isolate_recompiles=True
    )


def compiler_refusal(error: TorchDynamoException) -> str:
    """Return in one line what the compiler refuses; what does without is for the caller to say."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0] if lines else type(error).__name__
    return f'the update cannot be compiled here ({reason})'


def check_device(device: str) -> None:
    """Raise UserError unless torch can compute there."""
    if device == 'cuda' and not torch.cuda.is_available():
        raise UserError('device is cuda, and torch finds no GPU of CUDA here; allowed: cpu')


def why_not_compiled() -> str | None:
    """Return what is missing for `SAC.compile`, or None."""
    if not hasattr(torch._dynamo.config, 'trace_autograd_ops'):
        return f'torch {torch.__version__} is too old, 2.13 is needed'
    if not any(map(which, ('c++', 'g++', 'clang++'))):
        return 'no C++ compiler was found'
    if not Path(sysconfig.get_path('include'), 'Python.h').is_file():
        return "Python's header Python.h was not found (a package such as python3-dev has it)"
    return None
