"""The parameters of learner_node: what cannot work is told at once, and all are explained."""

import re
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: see the extra [ros]')

from diagnostic_msgs.msg import DiagnosticArray
from learner_nodes import make_node, wait_for_learning, write_files
from policy_nodes import SPEC
from ros import ROOT, Peer

from sac_ros.errors import UserError
from sim_training import compiler
from sim_training.learner_options import PARAMETERS

pytest_plugins = ('policy_nodes',)
pytestmark = pytest.mark.ros

DOCS = (ROOT / 'docs' / 'finetuning.md').read_text(encoding='utf-8')


@pytest.mark.parametrize(
    ('values', 'text'),
    [
        ({'model': "''"}, "parameter 'model' is empty; the path of a model file is needed"),
        (
            {'folder': "''"},
            "parameter 'folder' is empty; the path of a folder that may be written",
        ),
        ({'model': 'absent.onnx'}, 'model absent.onnx: nothing found'),
        ({'preset': 'robots'}, "preset 'robots' is unknown; did you mean 'robot'"),
        ({'task': 'balance'}, "the model's contract 'tiny' is not that of 'balance': they differ"),
        ({'task': 'Hopper-v5'}, "'Hopper-v5' is no task, so nobody knows its reward"),
    ],
)
def test_what_cannot_work_is_told_in_one_line(
    values: dict[str, object], text: str, peer: Peer, tmp_path: Path
):
    with pytest.raises(UserError) as error:
        make_node(peer, {**write_files(tmp_path, SPEC), **values})
    assert str(error.value).startswith(text)
    assert len(str(error.value).splitlines()) == 1


def test_without_a_compiler_it_learns_more_slowly_and_says_so(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    monkeypatch.setattr(compiler, 'which', lambda _name: None)
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    node = make_node(peer, {**write_files(tmp_path, SPEC), 'compile': True})
    peer.executor.add_node(node)
    wait_for_learning(diagnostics, '/learning/learner_node', state='waiting for control steps')
    peer.executor.remove_node(node)
    peer.do(node.close)
    peer.do(node.destroy_node)
    expected = 'learning is slower than it could be: no C++ compiler was found'
    assert expected in capfd.readouterr().err


def test_every_parameter_is_in_the_table_with_its_default_and_no_other():
    section = DOCS.partition('## What the learner')[2]
    written = dict(re.findall(r'^\| `(\w+)` \| `(.*?)` \|', section, re.MULTILINE))
    assert written == {name: repr(declared.default) for name, declared in PARAMETERS.items()}


def test_every_value_in_the_diagnostics_is_explained_and_no_other(peer: Peer, tmp_path: Path):
    section = DOCS.partition('## What the learner')[2].partition('| parameter')[0]
    rows = re.findall(r'^\| (`[^|]*`) \| [^`]', section, re.MULTILINE)
    explained = {key for row in rows for key in re.findall(r'`([^`]+)`', row)}
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')
    node = make_node(peer, write_files(tmp_path, SPEC))
    peer.executor.add_node(node)
    found = wait_for_learning(
        diagnostics, '/learning/learner_node', state='waiting for control steps'
    )
    peer.executor.remove_node(node)
    peer.do(node.close)
    peer.do(node.destroy_node)
    told = {re.sub(r'^loss\..*', 'loss.*', key) for key in found} - {'message'}
    assert explained - {'decisions.*'} == told
