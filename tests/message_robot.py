"""A robot whose real messages, on the wire, somebody may spoil on their way to the controller."""

import math

import numpy as np
from builders import make_spec, topic
from rclpy.serialization import deserialize_message, serialize_message

from sac_ros.control_step import ControlStep, Mode
from sac_ros.controller import PolicyController
from sac_ros.measurements import Measurements
from sac_ros.spec import TaskSpec
from sac_ros.state import QUATERNIONS, SOURCES, RobotState
from sac_ros.state_messages import state_message
from sac_ros.terms import TERMS

WALL = 1_795_377_249.0  # [s], by the robot's clock when the steady one begins
JOINTS = ['shoulder', 'elbow', 'wrist']
LIMITED = {'joint_position': {'lower': -3.0, 'upper': 3.0}}


def spec_of(*sources: str, **topics: dict[str, object]) -> TaskSpec:
    """Return a contract that observes all that the sources bring and all that follows from it."""
    terms = [{'term': 'previous_action'}]
    for name, term in TERMS.items():
        if term.sources and set(term.sources) <= set(sources):
            terms.append({'term': name, **({'size': 2} if name == 'vector' else {})})
    return make_spec(
        joints=JOINTS,
        observation=terms,
        limits=LIMITED if 'joint_states' in sources else {},
        topics={
            **{source: topic(source) for source in sources},
            'command': topic('command'),
            **topics,
        },
    )


EVERYTHING = spec_of(*SOURCES)


def state_at(tick: int) -> RobotState:
    """Return what a robot that moves measures in a tick."""
    phase = 0.01 * tick
    fields = {name: np.sin(phase + np.arange(size)) for name, size in EVERYTHING.measured.items()}
    for name in QUATERNIONS:
        fields[name] = np.array((0.0, math.sin(phase), 0.0, math.cos(phase)))
    return RobotState(**fields)


class Robot:
    """A robot whose messages somebody may spoil on their way to the controller; 50 Hz."""

    def __init__(self, spec: TaskSpec = EVERYTHING) -> None:
        weights = np.random.default_rng(0).normal(size=(3, spec.observation_size))
        self.spec = spec
        self.measurements = Measurements(spec)
        self.controller = PolicyController(
            spec, lambda observation: np.tanh(weights.astype(np.float32) @ observation)
        )
        self.ticks = 0
        self.send_all()
        assert self.controller.activate(self.measurements.state(), self.steady) is None

    @property
    def steady(self) -> float:
        return self.ticks * self.spec.dt

    @property
    def now(self) -> float:
        return WALL + self.steady

    def messages(self):
        state = state_at(self.ticks)
        return {
            source: state_message(self.spec, source, state, self.now)
            for source in self.spec.sources
        }

    def send(self, source, message) -> bool:
        received = deserialize_message(serialize_message(message), type(message))
        return self.measurements.update(source, received, self.now, self.steady)

    def send_all(self, **spoil) -> None:
        """Send what was measured, each message as its function in `spoil` leaves it."""
        for source, message in self.messages().items():
            spoiled = spoil.get(source, lambda message: message)(message)
            if spoiled is not None:
                self.send(source, spoiled)

    def step(self) -> ControlStep:
        step = self.controller.step(self.measurements.state(), self.steady)
        assert np.isfinite(step.command).all()
        assert (np.abs(step.command) <= 1.0).all()
        return step

    def tick(self, **spoil) -> ControlStep:
        self.ticks += 1
        self.send_all(**spoil)
        return self.step()

    def notices(self) -> list[str]:
        return [str(notice) for notice in self.measurements.take_notices()]


def code_of(step: ControlStep) -> str:
    return '' if step.fault is None else step.fault.code


def assert_held_once_then_safe_until_it_ends(robot: Robot, code: str, **spoil) -> str:
    """Spoil some ticks, assert modes and codes, and return the words of the fault."""
    before = [robot.tick() for _ in range(3)][-1]
    assert (before.mode, before.fault) == (Mode.ACTIVE, None)
    bad = [robot.tick(**spoil) for _ in range(10)]
    assert [step.mode for step in bad] == [Mode.HOLD] + [Mode.SAFE] * 9
    assert {code_of(step) for step in bad} == {code}
    np.testing.assert_array_equal(bad[0].command, before.command)
    np.testing.assert_array_equal(bad[-1].command, np.zeros(3))  # the stop command
    good = [robot.tick() for _ in range(11)]
    assert [step.mode for step in good] == [Mode.SAFE] * 9 + [Mode.ACTIVE] * 2
    assert {code_of(step) for step in good} == {''}
    assert bad[-1].fault is not None
    return bad[-1].fault.text


def assert_unharmed(steps: list[ControlStep]) -> None:
    assert {step.mode for step in steps} == {Mode.ACTIVE}
    assert {code_of(step) for step in steps} == {''}
