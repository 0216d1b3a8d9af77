"""Ticks that a learner hears, and what makes transitions of them."""

import dataclasses

import numpy as np
from builders import make_spec, spec_content

from sac_ros.control_step import ControlStep, Mode
from sac_ros.fault import Fault
from sac_ros.spec import TaskSpec
from sim_training.transitions import EpisodeReturn, Transition, TransitionMaker

SPEC = make_spec()
WITHOUT_GOAL = make_spec(
    observation=[
        term for term in spec_content()['observation'] if term['term'] != 'goal_from_tool'
    ]
)
DT = SPEC.dt  # 0.02 s
FALLEN = 2.5  # [rad] of the shoulder, from which on the task is over
FAULT = {'fault': Fault('E_OBS_RANGE', ''), 'mode': Mode.HOLD, 'observation': None}


def tick(number: int, **changes: object) -> ControlStep:
    """Return tick `number`: shoulder at number / 100 rad, command number / 1000 rad/s."""
    observation = np.zeros(SPEC.observation_size, np.float32)
    observation[0] = number / 100
    step = ControlStep(
        stamp=10.0 + number * DT,
        sequence=number,
        mode=Mode.ACTIVE,
        observation=observation,
        action=np.ones(2, np.float32),
        command=np.full(2, number / 1000),
        fault=None,
    )
    return dataclasses.replace(step, **changes)


def score(last: ControlStep, step: ControlStep) -> float:
    assert step.observation is not None
    return float(step.observation[0]) + 100.0 * float(last.command[0])


def make_maker(
    time_limit: int | None = None, *, is_told: bool = False, spec: TaskSpec = SPEC
) -> TransitionMaker:
    return TransitionMaker(
        spec,
        score,
        lambda terms: bool(terms['joint_position'][0] >= FALLEN),
        time_limit,
        is_told=is_told,
    )


def lengths(returns: list[EpisodeReturn]) -> list[tuple[int, bool]]:
    return [(found.length, found.is_whole) for found in returns]


def follow(
    maker: TransitionMaker, *steps: ControlStep
) -> tuple[list[Transition], list[EpisodeReturn]]:
    """Return what comes of these ticks, once a later one has settled them."""
    for step in steps:
        maker.add(step)
    maker.add(tick(9_000, fault=Fault('E_ESTOP', ''), mode=Mode.FAULT, stamp=1e6))
    return maker.take()
