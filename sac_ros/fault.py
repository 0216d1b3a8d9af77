"""Fault: one code for each thing that can go wrong in a control tick, and its numbers in words."""

from dataclasses import dataclass

CODES: dict[str, str] = {
    'E_OBS_MISSING': 'a topic that the observation needs has not arrived yet',
    'E_OBS_MISSING_JOINT': 'a joint of the contract is absent from joint_states',
    'E_OBS_MISSING_FIELD': 'a message lacks a field that the observation needs',
    'E_OBS_DUP_JOINT': 'a joint is named twice in one message',
    'E_OBS_SHAPE': 'a measured vector has the wrong number of elements',
    'E_OBS_NONFINITE': 'a measured value is NaN or infinite',
    'E_OBS_FRAME': 'a message is in another frame than the contract says',
    'E_OBS_STALE': 'a topic has stopped or is too slow',
    'E_STAMP_FUTURE': 'a message is stamped later than now',
    'E_OBS_RANGE': 'a measured value is outside the plausible limits',
    'E_ACT_NONFINITE': 'the policy answered with NaN or infinity',
    'E_ESTOP': 'an operator has asked for an emergency stop',
}


@dataclass(frozen=True)
class Fault:
    """Why the policy's action is not sent: a code for machines, a sentence for people."""

    code: str  # a key of CODES
    text: str  # names the thing, what was found and what is allowed, with units

    def __post_init__(self) -> None:
        """Refuse a code that the table does not explain."""
        if self.code not in CODES:
            raise ValueError(f"fault code '{self.code}' is not in CODES")

    def __str__(self) -> str:
        """Return `CODE: sentence`."""
        return f'{self.code}: {self.text}'
