"""A disk that is full: no file of this process may grow beyond a size."""

import contextlib
import resource
from collections.abc import Iterator

import pytest

# Its own thread ends with an exception; what it is used by goes on.
tensorboard_dies_loudly = pytest.mark.filterwarnings(
    'ignore::pytest.PytestUnhandledThreadExceptionWarning'
)


@contextlib.contextmanager
def full_disk(largest: int) -> Iterator[None]:
    """Let no file grow beyond `largest` bytes meanwhile; writing more fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
