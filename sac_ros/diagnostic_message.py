"""What the node tells people: one DiagnosticArray a second on /diagnostics (REP 107)."""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from sac_ros.control_loop import ControlLoop
from sac_ros.controller import Mode
from sac_ros.messages import time_message

LEVELS = {
    Mode.INACTIVE: DiagnosticStatus.OK,
    Mode.ACTIVE: DiagnosticStatus.OK,
    Mode.HOLD: DiagnosticStatus.WARN,
    Mode.SAFE: DiagnosticStatus.ERROR,
    Mode.FAULT: DiagnosticStatus.ERROR,
}


def unconfigured_status(node_name: str, reason: str) -> DiagnosticStatus:
    """Return the status of a node without a policy; `reason` is why it has none, or empty."""
    return DiagnosticStatus(
        name=f'{node_name}: policy',
        level=DiagnosticStatus.ERROR if reason else DiagnosticStatus.OK,
        message=reason or 'unconfigured',
    )


def policy_status(node_name: str, loop: ControlLoop) -> DiagnosticStatus:
    """Return mode and fault, and the numbers behind them."""
    mode = loop.controller.mode
    last = loop.last_step
    fault = loop.find_fault() if mode is Mode.INACTIVE or last is None else last.fault
    level = LEVELS[mode]
    if mode is Mode.INACTIVE and fault is not None:
        level = DiagnosticStatus.WARN  # it could not be activated now
    values: dict[str, object] = {
        'state': mode.value,
        'code': '' if fault is None else fault.code,
        'spec': loop.spec.name,
        'model_sha256': loop.policy.sha256,
        'ticks': loop.statistics.ticks,
        'missed': loop.statistics.missed,
        **loop.statistics.in_milliseconds(),
        **{f'age_ms.{source}': round(age * 1e3, 3) for source, age in loop.ages().items()},
        **{f'count.{code}': count for code, count in sorted(loop.fault_log.counts.items())},
    }
    return DiagnosticStatus(
        name=f'{node_name}: policy',
        level=level,
        message=mode.value if fault is None else f'{mode.value}: {fault}',
        hardware_id=loop.spec.name,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


def diagnostic_array(status: DiagnosticStatus, stamp: float) -> DiagnosticArray:
    """Return a status as the message for /diagnostics, stamped `stamp` [s]."""
    array = DiagnosticArray(status=[status])
    array.header.stamp = time_message(stamp)
    return array
