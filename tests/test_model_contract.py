"""model_contract.py: a contract is read where no model is run."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from builders import export_model, make_spec, onnx_model

from sac_ros.model_contract import read_contract
from sac_ros.model_error import ModelError

ROOT = Path(__file__).parents[1]
SPEC = make_spec()


def test_the_contract_is_that_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / 'arm.onnx'
    export_model(path, SPEC)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_contract(path) == read_contract(path, sha256) == SPEC


def test_another_file_than_the_one_that_is_expected_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'arm.onnx'
    export_model(path, SPEC)
    with pytest.raises(ModelError, match=r'0{12}\.\.\. is expected') as error:
        read_contract(path, 64 * '0')
    assert error.value.code == 'E_MODEL_UNTRUSTED'


@pytest.mark.parametrize(
    ('content', 'code'),
    [(b'no model at all', 'E_MODEL_PARSE'), (onnx_model(SPEC, metadata={}), 'E_MODEL_META')],
)
def test_a_file_without_a_contract_is_refused_by_its_name(
    tmp_path: Path, content: bytes, code: str
) -> None:
    path = tmp_path / 'bad.onnx'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r'^model .*bad\.onnx ') as error:
        read_contract(path)
    assert error.value.code == code


def test_onnxruntime_is_not_even_imported() -> None:
    code = "import sys; import sac_ros.model_contract; print('onnxruntime' in sys.modules)"
    words = [sys.executable, '-c', code]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == 'False\n'
