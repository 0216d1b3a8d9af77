"""What an episode over ROS came to: noted while it runs, sent and read as JSON."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pydantic
from pydantic import ConfigDict, TypeAdapter, ValidationError

from sac_ros.errors import UserError
from sac_ros.model_error import one_line
from sac_ros.spec import first_problem
from sac_ros.timing import Samples


@pydantic.dataclasses.dataclass(
    frozen=True, config=ConfigDict(extra='forbid', allow_inf_nan=False)
)
class EpisodeResult:
    """A finished episode."""

    episode: int  # counts from 1
    reward_sum: float  # undiscounted return
    length: int  # [control periods]
    success: bool | None  # None where the env does not say
    terminated: bool
    latency_ms: dict[str, float]  # p50, p99, max: from a state's leaving to its command's arrival
    missed: int  # periods in which no new command came
    ended_at: float  # [s] stamp of the state in which it ended, on the clock of the stamps

    def as_data(self) -> dict[str, object]:
        """Return plain data, in which the return is called `return`."""
        data = dict(self.__dict__)
        return {'return' if key == 'reward_sum' else key: value for key, value in data.items()}


@dataclass
class EpisodeRecord:
    """Filled while the episode runs."""

    episode: int  # counts from 1
    reward_sum: float = 0.0
    length: int = 0
    missed: int = 0
    latency: Samples = field(default_factory=Samples)  # [s]

    def add_period(self, reward: float, *, has_new_command: bool) -> None:
        """Note one period, and whether a command came for it."""
        self.reward_sum += reward
        self.length += 1
        self.missed += not has_new_command

    def result(self, *, success: bool | None, terminated: bool, ended_at: float) -> EpisodeResult:
        """Return the episode that the state stamped `ended_at` [s] has finished."""
        latency = self.latency.summary()
        return EpisodeResult(
            self.episode,
            self.reward_sum,
            self.length,
            success,
            terminated,
            {key: round(value * 1e3, 3) for key, value in latency.items()},
            self.missed,
            ended_at,
        )


def success_of(info: Mapping[str, object]) -> bool | None:
    """Return whether an episode was a success, by the info of its last step."""
    success = info.get('is_success')
    assert success is None or isinstance(success, bool)
    return success


def successes(results: Iterable[bool | None]) -> int | None:
    """Return how many episodes were one; None where an env does not say."""
    known = list(results)
    return None if None in known else known.count(True)


def success_in_words(success: bool | None) -> str:
    """Return the end of a line on an episode."""
    return '' if success is None else ', success' if success else ', no success'


def result_to_json(result: EpisodeResult) -> str:
    """Return a result as one JSON object."""
    return json.dumps(result.as_data(), allow_nan=False)


def result_from_json(text: str) -> EpisodeResult:
    """Return the result in a text of `result_to_json`.  Raises UserError for any other text."""
    try:
        data = json.loads(text)
        if isinstance(data, dict) and 'return' in data:
            data['reward_sum'] = data.pop('return')
        return _RESULT.validate_python(data)
    except ValidationError as error:
        raise UserError(f'the result of an episode: {one_line(first_problem(error))}') from error
    except (ValueError, RecursionError) as error:
        raise UserError(f'the result of an episode is no JSON: {error}') from error


_RESULT = TypeAdapter(EpisodeResult)
