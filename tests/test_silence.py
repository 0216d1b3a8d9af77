import subprocess
import sys

SCRIPT = """
import ctypes, os
from sim_training.silence import silence
c = ctypes.CDLL(None)
try:
    with silence():
        print('python')
        os.write(2, b'descriptor')
        c.printf(b'buffered by c')
        raise ValueError
except ValueError:
    print('after', flush=True)
c.puts(b'c after')
c.fflush(None)
"""


def test_neither_python_nor_c_is_heard_meanwhile_and_both_are_afterwards():
    assert _run(SCRIPT) == ('after\nc after\n', '')


def test_making_an_env_prints_nothing():
    assert _run("from sim_training.env import make_env; make_env('balance').close()") == ('', '')


def _run(script: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, timeout=150, check=True
    )
    return done.stdout, done.stderr
