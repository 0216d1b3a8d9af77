"""accepted_model.py, decision_log.py: what was accepted outlives kills, full disks and damage."""

import contextlib
import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
from full_disks import full_disk

from sac_ros import accepted_model, decision_log
from sac_ros.accepted_model import Acceptance, find_accepted, forget_accepted, keep_accepted
from sac_ros.decision_log import Decision, append_decision
from sac_ros.errors import UserError
from sac_ros.files import write_atomic

BASE = 'b' * 64
DECISION = Decision(
    time='2026-11-23 09:12:33 UTC',
    sha256='ab12cd34ef56' + '0' * 52,
    decision='rolled back',
    code='E_CAND_WORSE',
    text='return 12.3 of 1 episode; 480.1 +- 5.2 of 20 episodes before',
    returns=(12.3,),
    before=(470.0, 490.0),
)


def acceptance(data: bytes, **changes: object) -> Acceptance:
    sha256 = hashlib.sha256(data).hexdigest()
    kept = Acceptance(sha256, BASE, '2026-11-23 09:12:33 UTC', (1.5, 0.1), (1.0, -2.0, 3.0))
    return dataclasses.replace(kept, **changes)


def test_what_was_accepted_is_found_again(tmp_path: Path):
    folder = tmp_path / 'learning' / 'arm'
    assert find_accepted(folder, BASE) is None
    keep_accepted(folder, b'first', acceptance(b'first'))
    keep_accepted(folder, b'second', acceptance(b'second'))

    assert find_accepted(folder, BASE) == (b'second', acceptance(b'second'))
    assert sorted(path.name for path in folder.iterdir()) == ['accepted.json', 'accepted.onnx']
    forget_accepted(folder)
    assert find_accepted(folder, BASE) is None
    assert list(folder.iterdir()) == []
    forget_accepted(folder)
    forget_accepted(tmp_path / 'nowhere')


def test_a_model_that_was_accepted_for_another_base_is_not_used(tmp_path: Path):
    keep_accepted(tmp_path, b'model', acceptance(b'model'))
    with pytest.raises(UserError) as caught:
        find_accepted(tmp_path, 'c' * 64)
    assert str(caught.value) == (
        f'{tmp_path}/accepted.onnx was accepted in place of bbbbbbbbbbbb...; '
        'the base model is cccccccccccc...'
    )


def test_a_model_that_is_not_the_recorded_one_is_not_used_and_can_be_replaced(tmp_path: Path):
    keep_accepted(tmp_path, b'model', acceptance(b'model'))
    (tmp_path / 'accepted.onnx').write_bytes(b'another')
    sha256 = hashlib.sha256(b'another').hexdigest()
    with pytest.raises(UserError) as caught:
        find_accepted(tmp_path, BASE)
    assert str(caught.value) == (
        f'{tmp_path}/accepted.onnx has sha256 {sha256[:12]}..., of which accepted.json knows '
        'nothing'
    )

    keep_accepted(tmp_path, b'new', acceptance(b'new'))
    assert find_accepted(tmp_path, BASE) == (b'new', acceptance(b'new'))


RECORD = json.loads(json.dumps(dataclasses.asdict(acceptance(b'model'))))


@pytest.mark.parametrize(
    ('content', 'error'),
    [
        (None, r'cannot read .*/accepted.json: No such file or directory'),
        ('', r'/accepted.json: found .*; invalid JSON'),
        ('{}', r'/accepted.json: found \{\}; .*'),
        ('[{}]', r'/accepted.json: 0.sha256: is missing'),
        (json.dumps([{**RECORD, 'sha256': 'short'}]), "0.sha256: found 'short'; .*"),
        (json.dumps([{**RECORD, 'returns': [float('nan')]}]), '0.returns.0: found nan; .*'),
        (json.dumps([{**RECORD, 'returns': [0.0] * 21}]), '0.returns: found .*at most 20'),
        (json.dumps([{**RECORD, 'more': 1}]), '0.more: found 1; .*'),
    ],
)
def test_a_damaged_record_is_refused_in_one_line(tmp_path: Path, content: str | None, error: str):
    (tmp_path / 'accepted.onnx').write_bytes(b'model')
    if content is not None:
        (tmp_path / 'accepted.json').write_text(content)
    with pytest.raises(UserError, match=error) as caught:
        find_accepted(tmp_path, BASE)
    assert '\n' not in str(caught.value)


@pytest.mark.fault('F14', 'kept', '')
@pytest.mark.parametrize(('writes', 'expected'), [(0, b'old'), (1, b'old'), (2, b'newer')])
def test_a_kill_between_any_two_writes_leaves_a_model_with_its_own_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int, expected: bytes
):
    keep_accepted(tmp_path, b'older', acceptance(b'older'))
    keep_accepted(tmp_path, b'old', acceptance(b'old'))
    written: list[Path] = []

    def write_until_killed(path: Path, data: bytes) -> None:
        if len(written) == writes:
            raise KeyboardInterrupt
        write_atomic(path, data)  # whole or not at all: test_files.py
        written.append(path)

    monkeypatch.setattr(accepted_model, 'write_atomic', write_until_killed)
    for data in (b'new', b'newer'):  # killed twice in the same place
        written.clear()
        with contextlib.suppress(KeyboardInterrupt):
            keep_accepted(tmp_path, data, acceptance(data))

    assert find_accepted(tmp_path, BASE) == (expected, acceptance(expected))


@pytest.mark.fault('F08', 'kept', 'UserError')
def test_a_full_disk_leaves_what_was_accepted_before(tmp_path: Path):
    keep_accepted(tmp_path, b'old', acceptance(b'old'))
    with full_disk(5000), pytest.raises(UserError, match=r'accepted.onnx: File too large$'):
        keep_accepted(tmp_path, b'new' * 10_000, acceptance(b'new' * 10_000))

    assert find_accepted(tmp_path, BASE) == (b'old', acceptance(b'old'))
    append_decision(tmp_path, DECISION)
    with full_disk(10), pytest.raises(UserError, match=r'decisions.log: File too large$'):
        append_decision(tmp_path, DECISION)


@pytest.mark.fault('F08', 'kept', 'UserError')
def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path):
    folder = tmp_path / 'file'
    folder.write_bytes(b'')

    assert find_accepted(folder, BASE) is None
    forget_accepted(folder)
    with pytest.raises(UserError, match=r'^cannot write to folder .*/file: '):
        keep_accepted(folder, b'model', acceptance(b'model'))
    with pytest.raises(UserError, match=r'^cannot write .*/file/decisions.log: '):
        append_decision(folder, DECISION)


def test_a_decision_is_a_line_for_people_and_an_object_for_machines(tmp_path: Path):
    line = (
        '2026-11-23 09:12:33 UTC  ab12cd34ef56  rolled back  E_CAND_WORSE: return 12.3 of 1 '
        'episode; 480.1 +- 5.2 of 20 episodes before'
    )
    waits = dataclasses.replace(DECISION, decision='waits', code='', text='another is on trial')
    append_decision(tmp_path / 'new', DECISION)
    append_decision(tmp_path / 'new', waits)

    log = (tmp_path / 'new' / 'decisions.log').read_text()
    assert log == f'{line}\n2026-11-23 09:12:33 UTC  ab12cd34ef56  waits  another is on trial\n'
    told = json.loads(DECISION.to_json())
    assert told == {
        'time': '2026-11-23 09:12:33 UTC',
        'sha256': DECISION.sha256,
        'decision': 'rolled back',
        'code': 'E_CAND_WORSE',
        'text': DECISION.text,
        'returns': [12.3],
        'before': [470.0, 490.0],
    }


def test_a_log_that_has_grown_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decision_log, 'LARGEST_LOG', 300)
    for _ in range(7):  # of 124 bytes each
        append_decision(tmp_path, DECISION)
    lines = {path.name: len(path.read_text().splitlines()) for path in tmp_path.iterdir()}
    assert lines == {'decisions.old.log': 3, 'decisions.log': 1}
