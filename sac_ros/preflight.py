"""The pre-flight report: what a careful operator checks before a robot moves.

Pure: facts in, checks out.  ros_graph.py collects the facts.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sac_ros.fault import Fault
from sac_ros.spec import TaskSpec

SLOWEST = 0.8  # of the control rate: below, more than every fifth tick acts on an old state
WARNINGS = frozenset({'W_OBS_RATE'})  # codes that do not forbid activation


@dataclass(frozen=True)
class Endpoint:
    """The other end of one of our topics: a publisher of what we read, or a listener."""

    node: str  # '/namespace/name'
    type: str  # e.g. 'sensor_msgs/JointState'
    qos_problem: str | None = None  # why its quality of service does not fit ours, if so


@dataclass(frozen=True)
class Facts:
    """What can be known before activation.  Our own endpoints are left out."""

    topics: Mapping[str, str]  # source or 'command' -> full name, remapped
    publishers: Mapping[str, Sequence[Endpoint]]  # source -> who publishes it
    listeners: Sequence[Endpoint]  # who listens to the commands
    rivals: Sequence[str]  # nodes that publish on the command topic
    arrived: Collection[str]  # sources of which a message has come
    intervals: Mapping[str, float | None]  # source -> from message to message [s], if known
    state_fault: Fault | None  # what the guard says about the present state
    clock: Literal['system', 'simulated', 'absent']  # absent: simulated, and /clock says nothing
    discovery_rest: float  # [s] for which other nodes may still be unknown


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str  # e.g. 'joint_states: publisher'
    fault: Fault | None  # None when it is good
    detail: str  # what was found; the fault in words, when there is one

    @property
    def is_obstacle(self) -> bool:
        """Whether it forbids activation."""
        return self.fault is not None and self.fault.code not in WARNINGS


def preflight(spec: TaskSpec, facts: Facts, *, is_shadow: bool) -> list[Check]:
    """Check everything, in the order in which an operator would mend it.

    In shadow mode no command is sent: nobody needs to listen, and others may command the robot.
    """
    checks = [_clock_check(facts), _discovery_check(facts)]
    for source in spec.sources:
        checks.append(_source_check(spec, facts, source))
        if source == spec.sources[0] and spec.topics[source].timeout != math.inf:
            checks.append(_rate_check(spec, facts, source))
    checks.append(_check('state', facts.state_fault, 'complete, finite, fresh and plausible'))
    if not is_shadow:
        return [*checks, _listener_check(spec, facts), _rivals_check(facts)]
    who = ', '.join(facts.rivals) or 'nobody'
    return [
        *checks,
        _check('command: listener', None, 'shadow mode: no command is sent'),
        _check('command: rivals', None, f'shadow mode: {who} commands the robot'),
    ]


def first_obstacle(checks: Sequence[Check]) -> Fault | None:
    """Return the first fault that forbids activation, or None."""
    return next((check.fault for check in checks if check.is_obstacle), None)


def report(checks: Sequence[Check]) -> str:
    """Return the checks as text, a line each, and a last line that says what follows."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        mark = 'FAIL' if check.is_obstacle else 'warn' if check.fault else 'ok  '
        lines.append(f'[{mark}] {check.name:{width}}  {check.detail}')
    failed = sum(check.is_obstacle for check in checks)
    end = f'not ready: {failed} of {len(checks)} checks failed' if failed else 'ready to activate'
    return '\n'.join([*lines, end])


def _clock_check(facts: Facts) -> Check:
    absent = Fault('E_CLOCK_ABSENT', 'use_sim_time is true, and /clock has said nothing yet')
    return _check('clock', absent if facts.clock == 'absent' else None, f'{facts.clock} time')


def _discovery_check(facts: Facts) -> Check:
    rest = facts.discovery_rest
    text = f'other nodes may be unknown for {rest:.1f} s more (parameter discovery_time)'
    fault = Fault('W_WAITING_FOR', text) if rest > 0.0 else None
    return _check('discovery', fault, 'whoever is on the topics is known')


def _source_check(spec: TaskSpec, facts: Facts, source: str) -> Check:
    """Somebody publishes what we need, in a way in which we hear it."""
    name, topic = f'{source}: publisher', facts.topics[source]
    needed, interval = spec.source_type(source), facts.intervals.get(source)
    if publishers := facts.publishers[source]:
        rate = '' if interval is None else f', {_hertz(interval)}'
        return _match_check(name, f'{topic} from', needed, publishers, rate)
    if source in facts.arrived and spec.topics[source].timeout == math.inf:
        return _check(name, None, f'{topic} has come and stays valid; nobody publishes it now')
    return _check(name, Fault('W_WAITING_FOR', f'nobody publishes {topic} ({needed})'))


def _rate_check(spec: TaskSpec, facts: Facts, source: str) -> Check:
    """The first source makes the ticks: it must keep up with them."""
    interval, lowest = facts.intervals.get(source), SLOWEST * spec.control_rate
    found = 'at a rate not known yet' if interval is None else f'at {_hertz(interval)}'
    text = f'{facts.topics[source]} comes {found}, at least {lowest:g} Hz is needed'
    is_fast = interval is not None and interval * lowest <= 1.0
    return _check(f'{source}: rate', None if is_fast else Fault('W_OBS_RATE', text), text)


def _listener_check(spec: TaskSpec, facts: Facts) -> Check:
    """Somebody hears our commands."""
    name, topic, needed = 'command: listener', facts.topics['command'], spec.command_type
    if facts.listeners:
        return _match_check(name, f'{topic} to', needed, facts.listeners)
    return _check(name, Fault('W_NO_SINK', f'nobody listens to {topic} ({needed})'))


def _rivals_check(facts: Facts) -> Check:
    topic, rivals = facts.topics['command'], ', '.join(facts.rivals)
    fault = Fault('E_CMD_CONFLICT', f'{topic} is also published by {rivals}') if rivals else None
    return _check('command: rivals', fault, f'nobody else publishes {topic}')


def _match_check(
    name: str, link: str, needed: str, endpoints: Sequence[Endpoint], rate: str = ''
) -> Check:
    """One endpoint that fits is enough; those that do not are named all the same."""
    misfits = [misfit for one in endpoints if (misfit := _find_misfit(needed, one))]
    reasons = '; '.join(misfit.text for misfit in misfits)
    fitting = [one.node for one in endpoints if _find_misfit(needed, one) is None]
    if not fitting:
        return _check(name, Fault(misfits[0].code, f'{link} {reasons}'))
    but = f'; but {reasons}' if reasons else ''
    return _check(name, None, f'{link} {", ".join(fitting)}, {needed}{rate}{but}')


def _find_misfit(needed: str, endpoint: Endpoint) -> Fault | None:
    if endpoint.type != needed:
        text = f'{endpoint.node} is {endpoint.type}, {needed} is needed'
        return Fault('E_TYPE_INCOMPATIBLE', text)
    if endpoint.qos_problem is not None:
        return Fault('E_QOS_INCOMPATIBLE', f'{endpoint.node}: {endpoint.qos_problem}')
    return None


def _hertz(interval: float) -> str:
    return f'{1.0 / interval if interval else math.inf:.4g} Hz'


def _check(name: str, fault: Fault | None, good: str = '') -> Check:
    return Check(name, fault, good if fault is None else str(fault))
