"""output.py: nobody waits for standard error, and what can be written is written."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from node_process import parameters
from ros import wait_for

ROOT = Path(__file__).parents[1]
TALKATIVE = """
import os, sys, time
from sac_ros.output import unblocked_stderr

with unblocked_stderr():
    began = time.monotonic()
    for line in range(20_000):
        try:
            os.write(2, b'a line of the log that nobody reads, number %d\\n' % line)
        except BlockingIOError:
            pass
    print(time.monotonic() - began < 20.0, flush=True)
    os._exit(0)
"""


def test_a_process_whose_log_nobody_reads_goes_on():
    process = subprocess.Popen(
        [sys.executable, '-c', TALKATIVE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,  # holds 64 kB, and nobody reads
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b'True\n'
    assert process.wait(30.0) == 0
    process.communicate()


def test_what_is_said_arrives_in_order_and_to_the_last_line():
    code = TALKATIVE.replace('os._exit(0)', 'pass').replace('20_000', '500')
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, cwd=ROOT, timeout=150.0, check=True
    )
    lines = result.stderr.decode().splitlines()
    assert [int(line.rpartition(' ')[2]) for line in lines] == list(range(500))
    assert result.stdout == b'True\n'


@pytest.mark.ros
@pytest.mark.fault('G16', 'SAFE', 'E_OBS_STALE')
def test_a_policy_node_whose_log_nobody_reads_goes_on_stopping_its_robot(tmp_path: Path):
    pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')
    from policy_nodes import ACTION, AT_ONCE, SPEC, Arm
    from ros import Peer, write_constant_model

    from sac_ros.control_step import Mode

    model = write_constant_model(tmp_path / 'arm.onnx', SPEC, ACTION)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    while True:  # full from the beginning
        try:
            os.write(writer, b'x' * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    peer = Peer()
    arm = Arm(peer, '/mute')
    states = arm.send_states()
    words = parameters(model=model, autostart=True, **AT_ONCE)
    process = subprocess.Popen(
        [sys.executable, '-m', 'sac_ros.policy_node', *words, '-r', '__ns:=/mute'],
        stderr=writer,
        cwd=ROOT,
    )
    try:
        arm.wait_for_mode(Mode.ACTIVE)
        states.stop()
        arm.wait_for_mode(Mode.SAFE, 'E_OBS_STALE')  # which is logged
        count = len(arm.records)
        wait_for(lambda: len(arm.records) > count + 100, 'stop commands go on')
        process.terminate()
        assert process.wait(30.0) == 0
        time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
        arm.close()
        peer.close()
        os.close(reader)
        os.close(writer)
