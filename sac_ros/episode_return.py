"""EpisodeReturn: what a learner says about one episode on `~/episode_return`, as JSON."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sac_ros.errors import UserError
from sac_ros.model_error import one_line
from sac_ros.spec import first_problem

LONGEST_TEXT = 1000  # [characters]: what it needs is less than 150
LARGEST_RETURN = 1e12  # so that sums and squares of returns stay finite
LARGEST_COUNT = 2**31


class EpisodeReturn(BaseModel):
    """An episode in which one model acted all the time, and nobody took over.

    `interrupted`: a person took the robot out of play in the middle of it, so its return is none.
    """

    model_config = ConfigDict(extra='forbid', frozen=True, strict=True)

    model: Annotated[int, Field(ge=0, le=LARGEST_COUNT)]  # as on ~/control_step
    value: Annotated[float, Field(alias='return', ge=-LARGEST_RETURN, le=LARGEST_RETURN)]
    length: Annotated[int, Field(gt=0, le=LARGEST_COUNT)]  # [ticks]
    interrupted: bool = False


def read_episode_return(text: str) -> EpisodeReturn:
    """Return what a text from the network says.  Raises UserError: anybody can send anything."""
    if len(text) > LONGEST_TEXT:
        raise UserError(
            f'episode_return has {len(text)} characters; at most {LONGEST_TEXT} are allowed'
        )
    try:
        return EpisodeReturn.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f'episode_return: {one_line(first_problem(error))}') from error
