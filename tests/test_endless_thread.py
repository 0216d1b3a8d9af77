"""endless_thread.py: a thread that ends when it is told to, and an error that is not lost."""

import threading

from sac_ros.endless_thread import EndlessThread

LONGEST = 20.0  # [s]: far more than anything needs


def test_it_serves_until_it_is_told_to_end() -> None:
    begun = threading.Event()

    def serve(is_ending: threading.Event) -> None:
        begun.set()
        is_ending.wait()

    thread = EndlessThread('server', serve)
    assert begun.wait(LONGEST)
    assert thread.end(LONGEST)
    assert thread.crash is None


def test_whoever_waits_for_something_else_is_woken() -> None:
    alarm = threading.Event()

    def serve(is_ending: threading.Event) -> None:
        while not is_ending.is_set():
            assert alarm.wait(LONGEST)

    assert EndlessThread('server', serve, alarm.set).end(LONGEST)


def test_one_that_hangs_is_given_up_in_time() -> None:
    go_on = threading.Event()
    thread = EndlessThread('server', lambda is_ending: _wait(go_on))
    assert not thread.end(0.01)
    go_on.set()
    assert thread.end(LONGEST)


def test_its_error_is_kept_for_the_process() -> None:
    error = SystemExit('a bug')

    def serve(is_ending: threading.Event) -> None:
        raise error

    thread = EndlessThread('server', serve)
    assert thread.end(LONGEST)
    assert thread.crash is error


def _wait(event: threading.Event) -> None:
    assert event.wait(LONGEST)
