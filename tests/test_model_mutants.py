"""2,000 seeded mutants of a real model: none ends this process, none that loads acts wildly."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from builders import export_model, make_spec
from model_builders import without_digest
from onnx import ModelProto

from sac_ros.fault import CODES
from sac_ros.model_check import ModelChecker
from sac_ros.model_error import ModelError
from sac_ros.model_trial import dry_observations
from sac_ros.policy import OnnxPolicy

MUTANTS = 2000
SPEC = make_spec(lower=[-0.1, -7.0], upper=[0.3, 5.0])

Random = np.random.Generator
Mutate = Callable[[Random, bytes, bytes], bytes]  # a model and another one in, a mutant out


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant."""

    kind: str
    code: str  # '' when it was accepted
    text: str
    data: bytes


def flip_bits(random: Random, model: bytes, _: bytes) -> bytes:
    mutant = bytearray(model)
    for bit in random.choice(len(model) * 8, random.integers(1, 65), replace=False):
        mutant[bit // 8] ^= 1 << (bit % 8)
    return bytes(mutant)


def change_one_byte(random: Random, model: bytes, _: bytes) -> bytes:
    mutant = bytearray(model)
    mutant[random.integers(len(model))] ^= random.integers(1, 256)
    return bytes(mutant)


def overwrite(random: Random, model: bytes, _: bytes) -> bytes:
    start, size = random.integers(len(model)), random.integers(1, 64)
    return model[:start] + random.bytes(size) + model[start + size :]


def cut(random: Random, model: bytes, _: bytes) -> bytes:
    return model[: random.integers(len(model))]


def duplicate(random: Random, model: bytes, _: bytes) -> bytes:
    start, size = random.integers(len(model)), random.integers(1, 512)
    return model[: start + size] + model[start : start + size] + model[start + size :]


def splice(random: Random, model: bytes, other: bytes) -> bytes:
    return model[: random.integers(len(model))] + other[random.integers(len(other)) :]


def rewire(random: Random, model: bytes, _: bytes) -> bytes:
    """Change names, operators, dimensions or weights: a whole file with another graph."""
    mutant = ModelProto.FromString(model)
    graph = mutant.graph
    names = [each.name for each in graph.initializer]
    names += [output for each in graph.node for output in each.output] + ['observation', '', 'x']
    operators = [each.op_type for each in graph.node] + ['Div', 'MatMul', 'Clip', 'Elu', 'Loop']
    for _ in range(random.integers(1, 4)):
        node, tensor = random.choice(graph.node), random.choice(graph.initializer)
        change = random.integers(7)
        if change == 0:
            node.input[random.integers(len(node.input))] = random.choice(names)
        elif change == 1:
            node.output[0] = random.choice(names)
        elif change == 2:
            node.op_type = random.choice(operators)
        elif change == 3:
            tensor.dims[random.integers(len(tensor.dims))] = random.choice([0, 1, 2, 9, 16, -1])
        elif change == 4:
            weights = np.frombuffer(tensor.raw_data, '<f4').copy()
            weights[random.integers(len(weights))] *= 10.0 ** random.integers(-30, 30)
            tensor.raw_data = weights.tobytes()
        elif change == 5:
            tensor.name = random.choice(names)
        else:
            node.CopyFrom(random.choice(graph.node))
    return bytes(mutant.SerializeToString())


KINDS: dict[str, Mutate] = {
    each.__name__: each
    for each in (flip_bits, change_one_byte, overwrite, cut, duplicate, splice, rewire)
}


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return two models as they are exported."""
    folder = tmp_path_factory.mktemp('models')
    for seed in (0, 1):
        export_model(folder / f'{seed}.onnx', SPEC, seed)
    return (folder / '0.onnx').read_bytes(), (folder / '1.onnx').read_bytes()


@pytest.fixture(scope='module')
def checker():
    with ModelChecker() as checker:
        yield checker


@pytest.fixture(scope='module')
def outcomes(models: tuple[bytes, bytes], checker: ModelChecker) -> list[Outcome]:
    """Try mutants of a model without a digest, which would find nearly all of them at once."""
    model, other = (without_digest(each) for each in models)
    outcomes = []
    for seed in range(MUTANTS):
        kind = [*KINDS][seed % len(KINDS)]
        mutant = KINDS[kind](np.random.default_rng(seed), model, other)
        outcomes.append(Outcome(kind, *_try(checker, mutant), mutant))
    return outcomes


@pytest.mark.fault('B03', 'refused', 'E_MODEL_PARSE')
def test_mutants_are_refused_by_the_child_and_its_death_is_a_refusal(
    outcomes: list[Outcome], checker: ModelChecker
) -> None:
    codes = Counter(each.code for each in outcomes)

    assert codes.total() == MUTANTS
    assert codes.keys() <= {'', *CODES}
    assert codes['E_MODEL_PARSE'] > MUTANTS / 2
    deaths = [each for each in outcomes if 'the loader' in each.text]
    assert len(deaths) == checker.deaths
    assert {each.code for each in deaths} <= {'E_MODEL_PARSE'}
    for each in outcomes:
        assert each.text.isprintable()


def test_each_kind_of_mutant_gets_past_the_first_check(outcomes: list[Outcome]) -> None:
    """Otherwise the checks behind it would not have been tried."""
    codes = {kind: {each.code for each in outcomes if each.kind == kind} for kind in KINDS}

    assert {'E_MODEL_SHAPE', 'E_MODEL_BOUNDS', 'E_MODEL_PARITY'} <= codes['rewire']
    assert {'E_MODEL_META', 'E_MODEL_PARITY', ''} <= codes['change_one_byte']


def test_a_mutant_that_is_accepted_acts_within_its_bounds(outcomes: list[Outcome]) -> None:
    accepted = [each for each in outcomes if each.code == '']

    assert len(accepted) > 20
    for each in accepted:
        policy = OnnxPolicy(each.data, 'mutant')
        lower, upper = (
            policy.spec.per_action(bound)
            for bound in (policy.spec.action.lower, policy.spec.action.upper)
        )
        limits = np.abs(dry_observations(policy.spec)).max(axis=0)
        random = np.random.default_rng(0).uniform(-limits, limits, size=(100, len(limits)))
        actions = policy.answers(random).astype(np.float64)
        assert np.isfinite(actions).all()
        assert ((lower <= actions) & (actions <= upper)).all()


@pytest.mark.fault('B03', 'refused', 'E_MODEL_PARSE')
def test_a_digest_finds_what_golden_pairs_do_not(
    outcomes: list[Outcome], models: tuple[bytes, bytes], checker: ModelChecker
) -> None:
    """One changed byte: without a digest a part of the models loads, with it none."""
    single = [each for each in outcomes if each.kind == 'change_one_byte']
    loaded = sum(each.code == '' for each in single) / len(single)
    assert 0.02 < loaded < 0.2  # most in digits of golden pairs, weights that matter little, names

    codes = Counter(
        _try(checker, change_one_byte(np.random.default_rng(seed), *models))[0]
        for seed in range(500)
    )
    assert codes[''] == 0
    assert codes['E_MODEL_PARSE'] > 350


def _try(checker: ModelChecker, data: bytes) -> tuple[str, str]:
    """Return why a model is refused: code and text, or nothing."""
    try:
        checker.check(data, 'm')
    except ModelError as error:
        return error.code, str(error)
    return '', ''
