"""How a policy node ends, by a signal, a bug, SIGKILL, and that it never begins by itself."""

import gc
import itertools
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from builders import make_spec, onnx_model

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from node_process import running
from policy_nodes import ACTION, LONE_NODE, SPEC, Arm, settle, start
from rclpy.lifecycle import TransitionCallbackReturn
from ros import WAIT, Peer, policy_status, wait_for, write_constant_model
from std_msgs.msg import Float64MultiArray

from sac_ros.control_step import ControlStep, Mode
from sac_ros.controller import PolicyController

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (None, r'E_MODEL_PATH: model .*bad.onnx: nothing found; a model file \(.onnx\) is needed'),
        (b'not an onnx file', r'E_MODEL_PARSE: model .*bad.onnx.*'),
        (onnx_model(SPEC, metadata={}), r'E_MODEL_META: model .*bad.onnx carries no sac_ros .*'),
    ],
)
def test_a_bad_model_is_told_in_one_line_and_the_node_lives_on(
    content, reason, tmp_path: Path, peer: Peer, lone_node
):
    path = tmp_path / 'bad.onnx'
    if content is not None:
        path.write_bytes(content)
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    node = lone_node(model=path)
    assert peer.do(node.trigger_configure) is TransitionCallbackReturn.FAILURE
    assert node.crash is None
    assert peer.state(LONE_NODE) == 'unconfigured'
    wait_for(
        lambda: (
            (status := policy_status(diagnostics, LONE_NODE))
            and status.level == DiagnosticStatus.ERROR
            and re.fullmatch(reason, status.message)
        ),
        'the reason in /diagnostics',
    )


def test_without_a_model_the_node_says_which_parameter_it_needs(peer: Peer, lone_node):
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    lone_node(autostart=True)
    text = "E_MODEL_PATH: parameter 'model' is empty; the path of a model file is needed"
    wait_for(
        lambda: (status := policy_status(diagnostics, LONE_NODE)) and status.message == text,
        'the reason in /diagnostics',
    )


def test_a_model_in_the_home_of_nobody_is_told_in_one_line_and_the_node_lives_on(
    peer: Peer, lone_node
):
    node = lone_node(model='~nobody-of-this-name/arm.onnx')
    assert peer.do(node.trigger_configure) is TransitionCallbackReturn.FAILURE
    assert node.crash is None
    assert peer.state(LONE_NODE) == 'unconfigured'


def test_a_learning_folder_in_the_home_of_nobody_refuses_the_start_in_one_line(model: Path):
    folder = '~nobody-of-this-name/learned'
    with running(*start(model=model, learning_folder=folder)) as node:
        assert node.process.wait(30.0) == 1
        assert f"policy_node: '{folder}': nobody knows the home folder of its ~" in node.log()
        assert 'Traceback' not in node.log()


def test_after_an_operator_has_stepped_in_the_node_does_not_start_by_itself(
    model: Path, peer: Peer, lone_node, lone_arm: Arm
):
    lone_node(model=model, autostart=True)
    wait_for(lambda: peer.state(LONE_NODE) == 'inactive', 'the node configures itself')
    assert peer.change(LONE_NODE, 'cleanup')
    lone_arm.send_states()
    settle()  # five looks of the autostart
    assert peer.state(LONE_NODE) == 'unconfigured'


def test_a_node_that_starts_by_itself_does_so_once(
    model: Path, peer: Peer, lone_node, lone_arm: Arm
):
    lone_arm.send_states()
    lone_node(model=model, autostart=True)
    wait_for(lambda: peer.state(LONE_NODE) == 'active', 'the node activates itself')
    assert peer.change(LONE_NODE, 'deactivate')
    settle()
    assert peer.state(LONE_NODE) == 'inactive'


def test_a_bug_in_a_transition_is_kept_for_the_process_to_die_of(
    model: Path, peer: Peer, lone_node, lone_arm: Arm, monkeypatch: pytest.MonkeyPatch
):
    lone_arm.send_states()
    node = lone_node(model=model)
    assert peer.do(node.trigger_configure) is TransitionCallbackReturn.SUCCESS

    def broken(self, state, now):
        raise ZeroDivisionError('a bug in activation')

    monkeypatch.setattr(PolicyController, 'activate', broken)
    wait_for(lambda: peer.do(node.trigger_activate) and node.crash is not None, 'the bug')
    assert isinstance(node.crash, ZeroDivisionError)


@pytest.mark.fault('G02', 'ACTIVE', '')
def test_what_lives_at_activation_is_never_looked_through_for_garbage_again(
    model: Path, peer: Peer, lone_node, lone_arm: Arm
):
    ballast = [[i] for i in range(1_000_000)]  # would cost a tenth of a second each time
    lone_arm.send_states()
    lone_node(model=model, autostart=True)
    wait_for(lambda: peer.state(LONE_NODE) == 'active', 'activation')
    assert gc.get_freeze_count() > len(ballast)
    assert sum(gc.get_count()) < 100_000
    assert peer.change(LONE_NODE, 'deactivate')
    assert gc.get_freeze_count() == 0


@pytest.mark.fault('G07', 'stopped, exit 0', '')
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_the_last_command_before_the_end_is_the_stop_command(
    model: Path, peer: Peer, lone_arm: Arm, number: signal.Signals
):
    lone_arm.send_states()
    with running(*start(model=model, autostart=True)) as node:
        wait_for(lambda: len(lone_arm.commands) > 20, 'commands')
        assert node.end(number) == 0
        wait_for(lambda: not lone_arm.sent()[-1].any(), 'the stop command')
        assert np.abs(np.diff(lone_arm.sent(), axis=0)).max() <= 0.1 + 1e-12
        assert 'Traceback' not in node.log()
        # Nor do the others go on believing in a node that has ended.
        wait_for(lambda: peer.node.count_publishers('/lone/arm/commands') == 0, 'farewell', 5.0)


TERMINAL = """
import os
import pty
import sys
import time

process, window = pty.fork()
if process == 0:
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
os.set_blocking(window, False)
while not os.path.exists(sys.argv[1]):
    try:
        os.read(window, 65536)
    except BlockingIOError:
        time.sleep(0.05)
os.close(window)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


@pytest.mark.fault('G07', 'stopped, exit 0', '')
def test_a_terminal_that_is_closed_stops_the_robot(model: Path, lone_arm: Arm, tmp_path: Path):
    lone_arm.send_states()
    trigger = tmp_path / 'now'
    with running('-c', TERMINAL, str(trigger), *start(model=model, autostart=True)) as terminal:
        wait_for(lambda: lone_arm.commands and lone_arm.sent()[-1].any(), 'the policy acts')
        trigger.touch()
        assert terminal.process.wait(WAIT) == 0
        wait_for(lambda: not lone_arm.sent()[-1].any(), 'the stop command')
        assert np.abs(np.diff(lone_arm.sent(), axis=0)).max() <= 0.1 + 1e-12


@pytest.mark.fault('G08', 'INACTIVE', '')
def test_a_node_that_was_killed_and_started_again_waits_for_its_operator(
    model: Path, peer: Peer, lone_arm: Arm
):
    lone_arm.send_states()
    with running(*start(model=model)) as node:
        assert peer.change(LONE_NODE, 'configure')
        lone_arm.activate()
        wait_for(lambda: len(lone_arm.commands) > 20, 'commands')
        node.process.kill()
        node.process.wait(30.0)
    count = len(lone_arm.commands)
    with running(*start(model=model)) as node:
        node.wait_for_log('unconfigured: nothing moves until')
        settle()
        assert len(lone_arm.commands) <= count + 1  # one may have been under way
        assert node.end(signal.SIGTERM) == 0


BROKEN = """
import sys
from pathlib import Path
from sac_ros import control_loop, lifecycle_node, lookout
from sac_ros.policy_node import main

def broken(*arguments):
    if Path({trigger!r}).exists():
        raise ZeroDivisionError('a bug in {place}')
    return whole(*arguments)

whole = {place}
{place} = broken
sys.exit(main())
"""


@pytest.mark.fault('G19', 'stopped, exit 1', 'ZeroDivisionError')
@pytest.mark.parametrize(
    'place',
    [
        'control_loop.PolicyController.decide',  # in the control thread
        'lookout.command_rivals',  # in the thread that looks around
        'lifecycle_node.PolicyNode._report',  # in a timer of the executor
    ],
)
def test_a_bug_outside_the_tick_stops_the_robot_and_ends_the_process_loudly(
    model: Path, lone_arm: Arm, tmp_path: Path, place: str
):
    lone_arm.send_states()
    words = start(model=model, autostart=True)[2:]
    trigger = tmp_path / 'now'
    with running('-c', BROKEN.format(place=place, trigger=str(trigger)), *words) as node:
        wait_for(lambda: lone_arm.commands and lone_arm.sent()[-1].any(), 'the policy acts')
        trigger.touch()
        assert node.process.wait(30.0) == 1
        assert f'ZeroDivisionError: a bug in {place}' in node.log()
        wait_for(lambda: not lone_arm.sent()[-1].any(), 'the stop command')
        sent = lone_arm.sent()
        assert (sent[:, 0] >= 0.0).all()
        assert (sent[:, 0] <= 0.9 + 1e-6).all()


SLOW = """
import sys
import time
from sac_ros import lifecycle_node
from sac_ros.policy_node import main

whole = lifecycle_node.PolicyNode._report

def slow(self):
    time.sleep(2.5)
    return whole(self)

lifecycle_node.PolicyNode._report = slow
sys.exit(main())
"""


@pytest.mark.fault('G01', 'ACTIVE', 'W_EXEC_STARVED')
def test_a_callback_that_blocks_delays_neither_control_nor_an_emergency_stop(
    model: Path, lone_arm: Arm
):
    lone_arm.send_states()
    with running('-c', SLOW, *start(model=model, autostart=True)[2:]) as node:
        node.wait_for_log('W_EXEC_STARVED: services and timers had to wait for')
        lone_arm.wait_for_mode(Mode.ACTIVE)
        wait_for(lambda: len(lone_arm.records) > 250, 'five seconds of control')
        steps = lone_arm.steps()
        gaps = np.diff([step.stamp for step in steps])
        assert np.median(gaps) == pytest.approx(0.02, rel=0.1)
        assert (gaps > 1.0).sum() == 0  # although the executor sleeps 2.5 s of each 3.5 s
        assert lone_arm.call('estop').success
        lone_arm.wait_for_mode(Mode.FAULT, 'E_ESTOP')


BLOCKED = """
import sys
import time
from pathlib import Path
from sac_ros import lifecycle_node
from sac_ros.policy_node import main

whole = lifecycle_node.PolicyNode._report

def blocked(self):
    while Path({trigger!r}).exists():
        time.sleep(0.05)
    return whole(self)

lifecycle_node.PolicyNode._report = blocked
sys.exit(main())
"""


@pytest.mark.fault('A27', 'SAFE', 'E_CMD_CONFLICT')
def test_a_rival_is_stopped_for_also_while_a_callback_blocks_the_executor(
    model: Path, peer: Peer, lone_arm: Arm, tmp_path: Path
):
    trigger = tmp_path / 'now'
    lone_arm.send_states()
    words = start(model=model, autostart=True)[2:]
    with running('-c', BLOCKED.format(trigger=str(trigger)), *words):
        lone_arm.wait_for_mode(Mode.ACTIVE)
        diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
        wait_for(lambda: policy_status(diagnostics, LONE_NODE), 'reports')
        trigger.touch()
        time.sleep(2.5)  # a report comes each second, and blocks
        count = len(diagnostics)
        rival = peer.node.create_publisher(Float64MultiArray, '/lone/arm/commands', 1)
        lone_arm.wait_for_mode(Mode.SAFE, 'E_CMD_CONFLICT')
        assert len(diagnostics) == count
        trigger.unlink()
        peer.unpublish(rival)
        lone_arm.wait_for_mode(Mode.ACTIVE)


HANGING = """
import sys
import time
from sac_ros import control_loop
from sac_ros.policy_node import main

whole = control_loop.ControlLoop._infer
calls = 0

def hanging(self, policy, observation):
    global calls
    calls += 1
    if calls == 20:
        time.sleep(1.0)
    return whole(self, policy, observation)

control_loop.ControlLoop._infer = hanging
sys.exit(main())
"""


def is_late(step: ControlStep) -> bool:
    return step.fault is not None and step.fault.code == 'E_TICK_LATE'


def longest_hang(steps: list[ControlStep]) -> list[ControlStep]:
    """Return the late steps of the hang: a busy machine makes ticks late too, a few at a time."""
    runs = [list(run) for late, run in itertools.groupby(steps, is_late) if late]
    return max(runs, key=len, default=[])


@pytest.mark.fault('G05', 'SAFE', 'E_TICK_LATE')
def test_while_a_tick_hangs_the_watchdog_sends_the_stop_command_each_period(
    model: Path, lone_arm: Arm
):
    lone_arm.send_states()
    with running('-c', HANGING, *start(model=model, autostart=True)[2:]):
        # A second has 50 periods.
        wait_for(lambda: len(longest_hang(lone_arm.steps())) > 20, 'the stop commands of a hang')
        lone_arm.wait_for_mode(Mode.ACTIVE)  # it has come back, and is trusted again
    steps = lone_arm.steps()
    hang = longest_hang(steps)
    assert {step.mode for step in hang} == {Mode.SAFE}
    assert not hang[-1].command.any()
    assert np.abs(np.diff([step.command for step in steps], axis=0)).max() <= 0.1 + 1e-9
    assert [step.sequence for step in steps] == list(
        range(steps[0].sequence, steps[0].sequence + len(steps))
    )


SLOW_SPEC = make_spec(
    control_rate=5.0,  # [Hz]: half a period is long, also on a busy machine
    max_rate=1.0,  # 1.0 rad/s^2 * 0.2 s = 0.2 rad/s in a period
    observation=[term.model_dump(exclude_none=True) for term in SPEC.observation],
    topics={key: one.model_dump(exclude_none=True) for key, one in SPEC.topics.items()},
)
LATE = (  # the third tick at full speed, 0.9 rad/s, ends when the watchdog has sent
    HANGING.replace('calls += 1', 'calls += self.controller._action_map.previous[0] > 0.89')
    .replace('if calls == 20:', 'if calls == 3:')
    .replace(
        'time.sleep(1.0)',
        """
        calls, sent_at = 4, self._sent_at
        while self._sent_at == sent_at:
            time.sleep(0.001)
""",
    )
)


@pytest.mark.fault('G05', 'SAFE', 'E_TICK_LATE')
def test_a_tick_that_ends_just_after_the_watchdog_has_sent_sends_no_second_command(
    tmp_path: Path, lone_arm: Arm
):
    model = write_constant_model(tmp_path / 'slow.onnx', SLOW_SPEC, ACTION)
    lone_arm.send_states()

    def late_commands() -> list[float]:
        return [round(float(step.command[0]), 6) for step in lone_arm.steps() if is_late(step)]

    with running('-c', LATE, *start(model=model, autostart=True)[2:]):
        # Of both threads; the machine may have been late at other times too.
        wait_for(lambda: (0.7, 0.7) in itertools.pairwise(late_commands()), 'the end of the tick')
        wait_for(lambda: not lone_arm.newest().command.any(), 'the stop command')
        sent = lone_arm.sent()[:, 0]
    first = int(np.argmax(sent))
    last = max(i for i in range(len(sent)) if sent[i] == sent[first])
    assert sent[last : last + 5] == pytest.approx([0.9, 0.7, 0.5, 0.3, 0.1], abs=1e-6)


def test_a_bug_in_the_tick_is_a_latched_fault_that_diagnostics_tell(model: Path, lone_arm: Arm):
    code = HANGING.replace('time.sleep(1.0)', "raise ZeroDivisionError('a bug in the tick')")
    lone_arm.send_states()
    with running('-c', code, *start(model=model, autostart=True)[2:]) as node:
        lone_arm.wait_for_mode(Mode.FAULT, 'E_INTERNAL')
        node.wait_for_log('ZeroDivisionError: a bug in the tick')
        count = len(lone_arm.records)
        wait_for(lambda: len(lone_arm.records) > count + 20, 'stop commands go on')
        assert not lone_arm.newest().command.any()
        assert lone_arm.call('reset').success
        lone_arm.wait_for_mode(Mode.ACTIVE)


@pytest.mark.fault('G20', 'exit 0', '')
def test_signals_at_any_moment_of_the_start_end_the_process_cleanly(model: Path):
    for i in range(8):
        with running(*start(model=model, autostart=True)) as node:
            time.sleep(0.15 * i)
            code = node.end(signal.SIGTERM if i % 2 else signal.SIGINT)
            # Before Python has reached our code the signal has its default effect.
            assert code in (0, -signal.SIGTERM, -signal.SIGINT, 130, 1), node.log()
            if 'unconfigured' in node.log() or 'task' in node.log():
                assert code == 0
                assert 'Traceback' not in node.log()
