"""The contract in a model file, for whoever runs no model: onnxruntime never sees the file."""

from pathlib import Path

from sac_ros.model_content import read_entries
from sac_ros.model_error import about
from sac_ros.model_file import model_name, read_model
from sac_ros.model_metadata import read_metadata
from sac_ros.onnx_fields import parse_model
from sac_ros.spec import TaskSpec


def read_contract(path: Path, expected_sha256: str = '') -> TaskSpec:
    """Return the contract that a model file carries.  Raises ModelError.

    It is as its maker wrote it: whether the graph keeps it is asked where the model is loaded.
    """
    data = read_model(path, expected_sha256)
    with about(model_name(path)):
        return read_metadata(read_entries(parse_model(data)), data)[0]
