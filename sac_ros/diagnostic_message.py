"""What the node tells people once a second, as the messages of diagnostic_msgs (REP 107)."""

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from sac_ros.control_loop import ControlLoop
from sac_ros.control_step import Mode
from sac_ros.fault import Fault
from sac_ros.messages import time_message

LEVELS = {
    Mode.INACTIVE: DiagnosticStatus.OK,
    Mode.ACTIVE: DiagnosticStatus.OK,
    Mode.HOLD: DiagnosticStatus.WARN,
    Mode.SAFE: DiagnosticStatus.ERROR,
    Mode.FAULT: DiagnosticStatus.ERROR,
}


def unconfigured_status(node_name: str, refusal: Fault | None) -> DiagnosticStatus:
    """Return the status of a node without a policy; `refusal` is why it has none, if it tried."""
    return DiagnosticStatus(
        name=f'{node_name}: policy',
        level=DiagnosticStatus.OK if refusal is None else DiagnosticStatus.ERROR,
        message='unconfigured' if refusal is None else str(refusal),
        values=_pairs({'state': 'unconfigured', 'code': '' if refusal is None else refusal.code}),
    )


def policy_status(
    node_name: str, loop: ControlLoop, refusal: Fault | None, learning: Mapping[str, object]
) -> DiagnosticStatus:
    """Return mode, fault and the numbers behind them.

    refusal: why a newer model was refused.  learning: what is to be said of candidates.
    """
    mode = loop.controller.mode
    last = loop.last_step
    fault = loop.find_fault() if mode is Mode.INACTIVE or last is None else last.fault
    level = LEVELS[mode]
    if level == DiagnosticStatus.OK and (refusal is not None or fault is not None):
        level = DiagnosticStatus.WARN  # it could not be activated now, or has refused something
    counts = dict(loop.fault_log.counts)
    values: dict[str, object] = {
        'state': mode.value,
        'code': '' if fault is None else fault.code,
        'spec': loop.spec.name,
        'spec_sha256': loop.spec.sha256,
        'model_sha256': loop.policy.sha256,
        'model_refused': refusal or '',
        **learning,
        'shadow': loop.options.is_shadow,
        'speed_scale': loop.controller.speed_scale,
        'ticks': loop.statistics.ticks,
        'missed': loop.statistics.missed,
        **loop.statistics.in_milliseconds(),
        **{f'age_ms.{source}': round(age * 1e3, 3) for source, age in loop.ages().items()},
        **{f'rate_hz.{source}': _hertz(period) for source, period in loop.intervals().items()},
        **{f'count.{code}': count for code, count in sorted(counts.items())},
    }
    return DiagnosticStatus(
        name=f'{node_name}: policy',
        level=level,
        message=mode.value if fault is None else f'{mode.value}: {fault}',
        hardware_id=loop.spec.name,
        values=_pairs(values),
    )


def statistics_status(node_name: str, loop: ControlLoop) -> DiagnosticStatus:
    """Return how long each stage of a tick takes [ms]."""
    return DiagnosticStatus(
        name=f'{node_name}: latency by stage',
        level=DiagnosticStatus.OK,
        message='read: message to numbers; think: guard, observation and policy; send: publish',
        values=_pairs(loop.statistics.stages_in_milliseconds()),
    )


def diagnostic_array(status: DiagnosticStatus, stamp: float) -> DiagnosticArray:
    """Return a status as a message, stamped `stamp` [s]."""
    array = DiagnosticArray(status=[status])
    array.header.stamp = time_message(stamp)
    return array


def _pairs(values: Mapping[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]


def _hertz(period: float) -> float:
    return round(1.0 / period, 2) if period > 0.0 else 0.0
