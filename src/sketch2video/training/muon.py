"""Muon: AdamW for vectors, orthogonalised momentum for the matrices of a transformer's hidden layers.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", with the scale of Liu et al. 2025, "Muon
is scalable for LLM training", eq. 4, so that one learning rate serves both. ``torch.optim.Muon`` iterates in bfloat16
and one matrix after another, which processors without bfloat16 have to emulate: here matrices of one shape are one
batch, in float32.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration: steep at zero, with all singular values between 0.7 and 1.2 after five iterations."""
WIDE = 2
"""Ratio of columns to rows from which the iteration works on the Gram matrix only."""
UPDATE_SCALE = 0.2
"""Root mean square of an update in units of the learning rate: about that of AdamW's updates."""


class Muon(torch.optim.AdamW):
    """AdamW whose groups with ``matrices: True`` are updated by Muon.

    These hold matrices, or kernels of convolutions: matrices with a row for each output channel.

    Args:
        params, lr, weight_decay: as for ``torch.optim.AdamW``.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step of all groups."""
        groups = self.param_groups
        self.param_groups = [group for group in groups if not group.get("matrices")]
        try:
            loss = super().step(closure)
        finally:
            self.param_groups = groups
        for group in groups:
            if group.get("matrices"):
                self._step_matrices(group)
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> None:
        by_shape: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
                state["step"] = torch.zeros(())  # AdamW looks for it in a state that is loaded
            state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
            update = parameter.grad.lerp(state["momentum"], MOMENTUM)  # Nesterov's
            weight, update = parameter.view(len(parameter), -1), update.flatten(1)
            if weight.shape[0] > weight.shape[1]:
                weight, update = weight.T, update.T
            by_shape[weight.shape[0], weight.shape[1]].append((weight, update))
        for (_, columns), pairs in by_shape.items():
            directions = orthogonalised(torch.stack([update for _, update in pairs]))
            for (weight, _), direction in zip(pairs, directions, strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(direction, alpha=group["lr"] * UPDATE_SCALE * columns**0.5)


def orthogonalised(matrices: Tensor) -> Tensor:
    """Matrices (B, m, n), m <= n, with their singular values brought near 1 by Newton and Schulz's iteration."""
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if x.shape[2] < WIDE * x.shape[1]:
        for _ in range(ITERATIONS):
            x = _polynomial(x @ x.mT) @ x
        return x
    # For wide matrices the polynomials are multiplied as m x m matrices and applied to the matrix once.
    gram, gathered = x @ x.mT, None
    for _ in range(ITERATIONS):
        factor = _polynomial(gram)
        gathered = factor if gathered is None else factor @ gathered
        gram = factor @ gram @ factor
    return gathered @ x


def _polynomial(gram: Tensor) -> Tensor:
    """a + b G + c G^2 of square matrices (B, m, m)."""
    a, b, c = COEFFICIENTS
    result = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    result.diagonal(dim1=1, dim2=2).add_(a)
    return result
