"""A codebook: vector quantisation of features to tokens.

Vector quantisation with a straight-through gradient (van den Oord et al. 2017, "Neural Discrete Representation
Learning", eq. 1 to 3). The codes are not parameters but moving averages of the vectors that are assigned to them
(appendix A.1 there; Razavi et al. 2019). A code that is hardly ever used is replaced by a vector of the present batch.

vector-quantize-pytorch 1.32.0 gives the same assignments and updates, but a step takes 9 to 19 ms instead of 3 to 5
(2,048 vectors, 256 codes, one core), it needs five further packages, and in training its values equal the codes only up
to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.networks.processes import average, from_main, interleaved, total

SMOOTHING = 1e-5
"""The epsilon of Laplace smoothing, in vectors."""

DEAD_BELOW = 0.03
"""A code is dead if its moving count is below this share of the count for uniform usage. A revived code starts with
this count, so that an unused one is replaced again in the next batch."""


class Quantised(NamedTuple):
    """The result of the quantisation of vectors (N, D, h, w).

    Attributes:
        indices: indices of the nearest codes, int64 (N, h, w).
        embedding: these codes, float32 (N, D, h, w), with a straight-through gradient to the vectors.
        commitment: mean squared distance from the vectors to their codes, scalar, with a gradient to the vectors.
    """

    indices: Tensor
    embedding: Tensor
    commitment: Tensor


class Codebook(nn.Module):
    """K codes of width D. In training mode every call updates them. Always float32, also under autocast.

    All codes are dead before the first batch, which therefore initialises them by its vectors. In distributed training
    all processes make the same updates, by all vectors of the batch.

    Args:
        codes: K.
        width: D.
        decay: decay of the moving averages for each batch.
    """

    def __init__(self, codes: int, width: int, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay
        self.codes: Tensor
        self.counts: Tensor
        self.sums: Tensor
        self.register_buffer("codes", torch.randn(codes, width))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, width))

    def forward(self, z: Tensor) -> Quantised:
        """Quantise vectors (N, D, h, w)."""
        with torch.autocast(z.device.type, enabled=False):
            z = z.float()
            each = z.detach().movedim(1, -1).flatten(1, -2)  # (N, h * w, D)
            vectors = each.flatten(0, 1)  # (M, D)
            if self.training:
                self._revive(interleaved(each).flatten(0, 1))
            nearest = self._nearest(vectors)
            indices = nearest.view(len(z), *z.shape[2:])
            chosen = self.embed(indices)
            if self.training:
                self._follow(vectors, nearest)
            # In this order, the value is exactly that of the code.
            return Quantised(indices, chosen + (z - z.detach()), (z - chosen).square().mean())

    def embed(self, codes: Tensor) -> Tensor:
        """The vectors of codes, float32 (N, D, h, w).

        Args:
            codes: int64 (N, h, w), or float (N, h, w, K): one-hot vectors or mixtures, which receive gradients.
        """
        with torch.autocast(codes.device.type, enabled=False):
            vectors = codes.float() @ self.codes if codes.is_floating_point() else self.codes[codes]
            return vectors.movedim(-1, 1)

    def _nearest(self, vectors: Tensor) -> Tensor:
        """Indices (M,) of the codes nearest to vectors (M, D), by squared distance minus the vectors' squared norm."""
        return (self.codes.square().sum(1) - 2 * vectors @ self.codes.T).argmin(1)

    @torch.no_grad()
    def _follow(self, vectors: Tensor, nearest: Tensor) -> None:
        """Update counts N_i, sums m_i and codes m_i / N_i (van den Oord et al. 2017, eq. 6 to 8)."""
        chosen = functional.one_hot(nearest, len(self.codes)).float()
        self.counts.lerp_(total(chosen.sum(0)), 1 - self.decay)
        self.sums.lerp_(total(chosen.T @ vectors), 1 - self.decay)
        count = self.counts.sum()
        smoothed = (self.counts + SMOOTHING) / (count + len(self.counts) * SMOOTHING) * count
        self.codes.copy_(self.sums / smoothed[:, None])

    @torch.no_grad()
    def _revive(self, vectors: Tensor) -> None:
        """Replace dead codes by random vectors of the batch, without repetition if there are enough.

        The choice uses the global random generator, which the training loop seeds at every step.

        Args:
            vectors: (M, D), all vectors of the batch.
        """
        fewest = DEAD_BELOW * len(vectors) / len(self.codes)
        dead = self.counts < fewest
        order = from_main(torch.randperm(len(vectors), device=vectors.device))
        indices = torch.arange(len(self.codes), device=vectors.device) % len(vectors)
        drawn = vectors[order[indices]]
        self.codes.copy_(torch.where(dead[:, None], drawn, self.codes))
        self.sums.copy_(torch.where(dead[:, None], drawn * fewest, self.sums))
        self.counts.masked_fill_(dead, fewest)


def perplexity(indices: Tensor, codes: int) -> Tensor:
    """Effective number of codes in use: exp of the entropy of their usage, scalar in [1, ``codes``].

    Args:
        indices: int64, of any shape.
        codes: K.
    """
    usage = average(torch.bincount(indices.flatten(), minlength=codes).float() / indices.numel())
    return torch.exp(-torch.special.xlogy(usage, usage).sum())
