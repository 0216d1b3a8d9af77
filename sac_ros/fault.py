"""Fault: one code for each thing that can go wrong, and its numbers in words.

E_ codes stop the robot or refuse something; W_ codes are warnings.
"""

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
    # Added at the end, always: the place of a code is its number on ~/control_step.
    'E_OBS_JUMP': 'a measured value has changed faster than is plausible',
    'E_OBS_FROZEN': 'a measurement comes again and again without the least change',
    'E_OBS_QUAT': 'an orientation is no unit quaternion',
    'E_TICK_LATE': 'a control tick has not ended in its period',
    'E_INTERNAL': 'an error in the program itself',
    'E_CLOCK_ABSENT': 'simulated time was asked for, and /clock says nothing',
    'W_CLOCK_JUMP': 'the clock has gone back',
    'E_CMD_CONFLICT': 'somebody else publishes on the command topic',
    'E_QOS_INCOMPATIBLE': 'a publisher offers less quality of service than is needed',
    'E_TYPE_INCOMPATIBLE': 'a topic carries another message type than the contract says',
    'W_NO_SINK': 'nobody listens to the commands',
    'W_WAITING_FOR': 'nobody publishes a topic that the observation needs',
    'W_DISABLED': 'an operator has disabled the policy',
    'W_OBS_EXTRA': 'joint_states has joints that the contract does not name',
    'W_OBS_RATE': 'a topic is slower than the control rate',
    'W_OBS_FROZEN': 'a measurement has not changed for long; the contract allows it',
    'W_STAMP_ZERO': 'a message has no stamp: it is dated by its arrival',
    'W_STAMP_ORDER': 'a message is older than the one before it, and was dropped',
    'W_RT_DENIED': 'the system refuses a real-time priority or a core of its own',
    'W_EXEC_STARVED': 'services and timers of the node were served late; control was not',
    # A model that is refused, when the node is configured or while it runs.
    'E_MODEL_PATH': 'no readable file of a sensible size is there',
    'E_MODEL_PARSE': 'the file is cut, damaged or no ONNX model',
    'E_MODEL_UNTRUSTED': 'the file is not the one whose sha256 is expected',
    'E_MODEL_OP': 'the graph holds something that no policy needs',
    'E_MODEL_OPSET': 'the file is of an unsupported ONNX version',
    'E_MODEL_SHAPE': 'input or output are not those of the contract',
    'E_MODEL_BOUNDS': 'the graph does not keep the action inside its bounds by construction',
    'E_MODEL_NONFINITE': 'a weight is NaN or infinite',
    'E_MODEL_META': 'the contract or the origin inside the file cannot be used',
    'E_MODEL_PARITY': 'this machine does not repeat the recorded observation/action pairs',
    'E_SPEC_MISMATCH': 'the contract of the model is not the one that is running',
    'E_MODEL_CHANGE': 'the model acts too differently from the running one on recent observations',
    'W_ENDING': 'the process was told to end: the robot is led to the stop command',
    'E_TAKEOVER_LOST': 'a person who has taken over is heard no longer',
    'W_TAKEOVER_REFUSED': 'a message on ~/takeover is no action, and was dropped',
    # A model that a learner offers while the robot runs.
    'E_CAND_UNWANTED': 'a candidate was offered, and none is accepted',
    'E_CAND_KNOWN': 'the candidate has been decided on before, and is not tried again',
    'E_CAND_WORSE': 'the returns of the model are worse than those of the model before it',
    'E_CAND_STOPPED': 'a person took over from the model on trial, or out of play what it drove',
    'W_LEARNER_LOST': 'nobody judges the model on trial: the model before it acts again',
    'W_EPISODE_RETURN': 'a message on ~/episode_return cannot be used, and was dropped',
    'W_ACCEPTED_IGNORED': 'the accepted model of the learning folder cannot be used',
    'W_DISK': 'what should be kept cannot be written',
}


@dataclass(frozen=True)
class Fault:
    """What is wrong: a code for machines, a sentence for people."""

    code: str  # a key of CODES
    text: str  # names the thing, what was found and what is allowed, with units

    def __post_init__(self) -> None:
        """Refuse a code that the table does not explain."""
        if self.code not in CODES:
            raise ValueError(f"fault code '{self.code}' is not in CODES")

    def __str__(self) -> str:
        """Return `CODE: sentence`."""
        return f'{self.code}: {self.text}'
