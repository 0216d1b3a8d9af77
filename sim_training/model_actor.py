"""From a model back to an actor in torch, so that it can learn on.  The inverse of export.py."""

import math

import torch

from sac_ros.errors import UserError
from sac_ros.model_content import read_content
from sac_ros.onnx_fields import parse_model
from sac_ros.policy import OnnxPolicy
from sim_training.networks import Actor
from sim_training.parity import check_parity

LAST = 'Tanh', 'Mul', 'Add', 'Max', 'Min'


def actor_from_model(data: bytes, where: str, deviation: float) -> Actor:
    """Return the actor in the bytes of a model that sac-ros export has written.

    A model has no deviation: the actor's is the same everywhere, before tanh.  Raises UserError.
    """
    policy = OnnxPolicy(data, where)
    content = read_content(parse_model(data))
    operators = [node.operator for node in content.nodes]
    layers = [node for node in content.nodes if node.operator == 'Gemm']
    needed = ['Sub', 'Mul', *['Gemm', 'Relu'] * (len(layers) - 1), 'Gemm', *LAST]
    if operators != needed:
        raise UserError(
            f'{where} cannot learn on: its graph is {", ".join(operators)}; those of sac-ros '
            f'export are Sub, Mul, Gemm, Relu, ..., Gemm, {", ".join(LAST)}'
        )
    spec = policy.spec
    mean, scale = (content.constants[node.inputs[1]] for node in content.nodes[:2])
    *hidden, head = [[content.constants[name] for name in node.inputs[1:]] for node in layers]
    actor = Actor(
        spec.observation_size,
        [len(bias) for _, bias in hidden],
        spec.per_action(spec.action.lower),
        spec.per_action(spec.action.upper),
    )
    with torch.no_grad():
        for i, (weight, bias) in enumerate(hidden):
            actor.body.weights[i][0].copy_(torch.tensor(weight))
            actor.body.biases[i][0, 0].copy_(torch.tensor(bias))
        actor.mean_head.weight.copy_(torch.tensor(head[0]))
        actor.mean_head.bias.copy_(torch.tensor(head[1]))
        actor.log_std_head.weight.zero_()
        actor.log_std_head.bias.fill_(math.log(deviation))
        actor.observation_mean.copy_(torch.tensor(mean))
        actor.observation_scale.copy_(torch.tensor(scale))
    check_parity(actor, policy, where)
    return actor
