"""Adam, as torch.compile can take it into the graph of an update; torch's own breaks the graph."""

import torch
from torch import Tensor

BETA2 = 0.999
EPSILON = 1e-8


class Adam:
    """Adam of Kingma and Ba 2015 (arXiv:1412.6980, algorithm 1) with its usual constants."""

    def __init__(self, parameters: list[Tensor], beta1: float = 0.9) -> None:
        """Take over parameters, which are changed in place; every moment begins at zero."""
        self.parameters = parameters
        self.beta1 = beta1
        self.first = [torch.zeros_like(parameter) for parameter in parameters]
        self.second = [torch.zeros_like(parameter) for parameter in parameters]
        # A tensor, or each count would be compiled anew
        self.steps = torch.zeros((), device=parameters[0].device)

    @torch.no_grad()
    def descend(self, loss: Tensor, learning_rate: Tensor) -> None:
        """Take one step down the slope of `loss`; nothing but the parameters gets a gradient."""
        gradients = list(torch.autograd.grad(loss, self.parameters))
        self.steps += 1.0
        # m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
        # No lerp: compiled, with the weight 0.5 of `crossq`, it turns the sign of single numbers.
        torch._foreach_mul_(self.first, self.beta1)
        torch._foreach_add_(self.first, gradients, alpha=1.0 - self.beta1)
        torch._foreach_mul_(self.second, BETA2)
        torch._foreach_addcmul_(self.second, gradients, gradients, 1.0 - BETA2)
        # theta = theta - learning_rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
        root = torch._foreach_div(self.second, 1.0 - BETA2**self.steps)
        torch._foreach_sqrt_(root)
        torch._foreach_add_(root, EPSILON)
        change = torch._foreach_div(self.first, root)
        torch._foreach_mul_(change, learning_rate / (1.0 - self.beta1**self.steps))
        torch._foreach_sub_(self.parameters, change)

    def forget(self) -> None:
        """Begin again, with every moment at zero."""
        for tensor in self.state().values():
            tensor.zero_()

    def state(self) -> dict[str, Tensor]:
        """Return what it remembers by name, the live tensors themselves."""
        state = {'steps': self.steps}
        for i, (first, second) in enumerate(zip(self.first, self.second, strict=True)):
            state |= {f'{i}.first': first, f'{i}.second': second}
        return state
