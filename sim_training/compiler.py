"""Whether torch can compile an update here."""

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


def why_not_compiled() -> str | None:
    """Return what is missing for `SAC.compile`, or None."""
    if not hasattr(torch._dynamo.config, 'trace_autograd_ops'):
        return f'torch {torch.__version__} is too old, 2.13 is needed'
    if not any(map(which, ('c++', 'g++', 'clang++'))):
        return 'no C++ compiler was found'
    return None
