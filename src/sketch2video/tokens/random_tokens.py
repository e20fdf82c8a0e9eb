"""Random tokens in training: corruption of inputs, and differentiable samples of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from sketch2video.networks.processes import draw


def corrupted(tokens: Tensor, codes: int, most: float, generator: torch.Generator, of_clip: int = 1) -> Tensor:
    """Replace a share of the tokens by random ones, with a random share for each clip (``of_clip`` rows).

    In sampling, the transformers' inputs are their own outputs and have errors; in training they would have none.

    Args:
        tokens: (N, ...) int64.
        codes: K.
        most: the largest share.
        generator: random generator on the tokens' device.
        of_clip: number of successive rows of the N that belong to one clip of a batch.
    """
    rows = torch.full([len(tokens) // of_clip], of_clip, device=tokens.device)

    def uniform(*shape: int) -> Tensor:
        return draw(torch.rand, shape, generator, rows=rows)

    share = most * uniform(len(tokens)).view(-1, *[1] * (tokens.ndim - 1))
    other = draw(partial(torch.randint, codes), tokens.shape, generator, rows=rows)
    return torch.where(uniform(*tokens.shape) < share, other, tokens)


def drawn_one_hot(logits: Tensor) -> Tensor:
    """One-hot samples of logits (N, ..., K) by the Gumbel-max trick, with the gradient of the softmax.

    As ``functional.gumbel_softmax(logits, hard=True)``, whose noise would not be that of the whole batch.
    """

    def exponential(shape: Sequence[int], generator: torch.Generator | None, device: torch.device) -> Tensor:
        return torch.empty(shape, device=device).exponential_(generator=generator)

    noise = -draw(exponential, logits.shape, None, device=logits.device).log()
    soft = (logits + noise).softmax(-1)
    hard = torch.zeros_like(logits).scatter_(-1, soft.argmax(-1, keepdim=True), 1.0)
    return hard - soft.detach() + soft
