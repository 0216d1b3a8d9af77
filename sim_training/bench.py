"""`sac-ros bench`: what the parts of sac_ros cost, measured beside others on this machine."""

import os
import platform

from sac_ros.errors import UserError
from sac_ros.files import check_writable
from sac_ros.run_node import missing_ros
from sim_training.bench_command import BenchCommand
from sim_training.bench_env import describe_env, measure_env
from sim_training.bench_train import describe_train, measure_train


def main(command: BenchCommand) -> dict[str, object]:
    """Measure as `command` says; returns the figures."""
    if command.out is not None:
        check_writable(command.out)
    if command.what == 'train':
        figures = measure_train(command.rounds, command.seconds, command.threads, command.device)
        return {'measurement': 'train', **figures}
    if command.what == 'env':
        return {'measurement': 'env', **measure_env(command.rounds, command.seconds)}
    return _measure_control(command)


def describe(result: dict[str, object]) -> str:
    """Return the figures for a terminal."""
    if result['measurement'] == 'train':
        return describe_train(result)
    if result['measurement'] == 'env':
        return describe_env(result)
    from sim_training import bench_control, bench_soak, bench_stop

    texts = {
        'latency': bench_control.describe,
        'stop': bench_stop.describe,
        'soak': bench_soak.describe,
    }
    return texts[str(result['measurement'])](result)


def _measure_control(command: BenchCommand) -> dict[str, object]:
    try:
        from sim_training.bench_node import middleware  # is ROS there?  Ask before all else.
    except ModuleNotFoundError as error:
        hint = missing_ros(error)
        if hint is None:
            raise
        raise UserError(hint) from error
    machine = {
        'cores': os.cpu_count(),
        'load_before': os.getloadavg()[0],
        'python': platform.python_version(),
        'middleware': middleware(),
    }
    if command.kills:
        from sim_training import bench_stop

        return {'measurement': 'stop', **machine, **bench_stop.main(command.kills)}
    if command.soak:
        from sim_training import bench_soak

        return {'measurement': 'soak', **machine, **bench_soak.main(command)}
    from sim_training import bench_control

    return {'measurement': 'latency', **machine, **bench_control.main(command)}
