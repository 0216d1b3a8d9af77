"""On what torch can compute here, and whether it can compile an update."""

import sysconfig
from pathlib import Path
from shutil import which

import torch
import torch._dynamo

from sac_ros.errors import UserError


def prepare_compiler() -> None:
    """Let torch compile autograd too.  Raises UserError where it cannot."""
    reason = why_not_compiled()
    if reason is not None:
        raise UserError(f'the update cannot be compiled: {reason}')
    torch._dynamo.config.trace_autograd_ops = True


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
