"""The prior over sets of strokes: a flow from noise to the numbers of a clip's strokes, conditioned on its caption.

Flow matching on straight lines (Lipman et al. 2023), in the conventions of
:mod:`~sketch2video.networks.flow_matching`. Every stroke is a token; tokens have no order and no embedding of an index.
They are distinguished by their noise. In training the noise of a stroke is chosen by optimal transport within the clip
(:func:`coupled_noise`): a token whose noise is on the left becomes a stroke on the left, so the assignment of tokens to
strokes is consistent over all steps.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from sketch2video.curve_vae.augment import CHANGES
from sketch2video.networks.blocks import ConditionedBlock, timestep_features, zeroed
from sketch2video.networks.caption_condition import CaptionAndRate

TIME_FEATURES = 64
POSITION_OCTAVES = 5
LATTICE = (0.7548776662466927, 0.5698402909980532)
"""1 / g and 1 / g^2 of g^3 = g + 1 (Roberts 2018, "The unreasonable effectiveness of quasirandom sequences")."""


class StrokeFlow(nn.Module):
    """Velocity of a set of strokes, and the number of strokes; see the module.

    Args:
        strokes: S, the most of a clip.
        numbers: D, of a token; the first two are a stroke's position.
        known_numbers: size of the condition on a known stroke; see :mod:`~sketch2video.curve_vae.known`.
        text_width: width of the text encoder's hidden states.
        width: of the tokens.
        layers: blocks.
        heads: of the attention.
    """

    def __init__(
        self,
        strokes: int,
        numbers: int,
        known_numbers: int,
        text_width: int,
        width: int = 128,
        layers: int = 5,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.strokes = strokes
        self.count_out = nn.Sequential(nn.SiLU(), nn.Linear(width, strokes + 1))
        self.token_in = nn.Linear(numbers + 4 * POSITION_OCTAVES, width)
        self.known_in = nn.Linear(known_numbers, width)
        self.time_in = nn.Sequential(nn.Linear(TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.number_in = nn.Linear(TIME_FEATURES, width)
        self.change_in = nn.Linear(CHANGES, width, bias=False)
        self.caption = CaptionAndRate(text_width, width)
        self.blocks = nn.ModuleList(ConditionedBlock(width, heads, text_width, "frame") for _ in range(layers))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Sequential(nn.SiLU(), zeroed(nn.Linear(width, 2 * width)))
        self.out = zeroed(nn.Linear(width, numbers))

    def forward(
        self,
        tokens: Tensor,
        time: Tensor,
        text: Tensor | None,
        text_mask: Tensor | None,
        fps: Tensor | None,
        known: Tensor | None = None,
        present: Tensor | None = None,
        changes: Tensor | None = None,
    ) -> Tensor:
        """The velocity noise - strokes.

        Args:
            tokens: (N, S, D), noisy.
            time: (N,) in [0, 1].
            text: (N, L, text_width); None: no sample has a caption.
            text_mask: (N, L) bool; a row without any True has no caption.
            fps: (N,) frames a second, 0 where unknown; None: unknown for all.
            known: (N, S, known_numbers), zero for strokes that are not known; None: none is known.
            present: (N, S) bool, the tokens that are strokes, at least one a clip; None: all. The others have no
                influence, and their velocity is undefined.
            changes: (N, CHANGES), how training clips were changed; see :mod:`~sketch2video.curve_vae.augment`. None:
                no augmentation.

        Returns:
            (N, S, D)
        """
        words, mask = self.caption.tokens(len(tokens), text, text_mask)
        condition = self.caption.vector(words, mask, fps) + self.time_in(timestep_features(time, TIME_FEATURES))
        # Attention averages: without this a token cannot determine whether it is one of two strokes or of ten.
        number = tokens.new_full((len(tokens),), tokens.shape[1]) if present is None else present.sum(1)
        condition = condition + self.number_in(timestep_features(number / self.strokes, TIME_FEATURES))
        if changes is not None:
            condition = condition + self.change_in(changes)
        x = self.token_in(torch.cat([tokens, _position_features(tokens[..., :2])], dim=-1))
        if known is not None:
            x = x + self.known_in(known)
        x = x[:, None]
        for block in self.blocks:
            x = block(x, condition, words, mask, present)
        scale, shift = self.modulation(condition)[:, None].chunk(2, dim=-1)
        return self.out(self.norm(x[:, 0]) * (1 + scale) + shift)

    def count(self, samples: int, text: Tensor | None, text_mask: Tensor | None, fps: Tensor | None) -> Tensor:
        """Logits (N, S + 1) of the number of strokes of a clip; see :meth:`forward` for the arguments."""
        words, mask = self.caption.tokens(samples, text, text_mask)
        return self.count_out(self.caption.vector(words, mask, fps))


def _position_features(position: Tensor) -> Tensor:
    """Sines and cosines of positions (..., 2) at octaves of a few strokes' distance: (..., 4 * POSITION_OCTAVES)."""
    octaves = 2.0 ** torch.arange(POSITION_OCTAVES, device=position.device, dtype=position.dtype)
    angles = (position[..., None] * (math.pi / 16 * octaves)).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def spread_noise(noise: Tensor) -> Tensor:
    """Standard normal tokens with evenly spread positions, for sampling.

    The positions of a clip are points of Roberts' sequence (a lattice in the golden ratio's generalisation to two
    dimensions, shifted at random), through the normal distribution's quantile function: each marginal is
    standard normal, but every part of a drawing has noise nearby. A network that is trained on independent noise
    generalises to such sets, and samples from them better than from others; one that is trained on these alone is
    worse.

    Args:
        noise: (N, S, D) standard normal; the first token's position is the shift.

    Returns:
        The shape of ``noise``.
    """
    index = torch.arange(noise.shape[1], device=noise.device, dtype=torch.float64)
    start = torch.special.ndtr(noise[:, :1, :2].double())
    points = (start + index[:, None] * start.new_tensor(LATTICE)).frac()
    positions = torch.special.ndtri(points.clamp(1e-4, 1 - 1e-4)).to(noise.dtype)
    return torch.cat([positions, noise[..., 2:]], dim=-1)


def coupled_noise(strokes: Tensor, noise: Tensor, present: Tensor, first: Tensor | None = None) -> Tensor:
    """Permute noise tokens so that each is paired with a near stroke: optimal transport within every clip.

    The cost is the squared distance of positions alone (Tong et al. 2024, "Improving and generalizing flow-based
    generative models with minibatch optimal transport", within one set instead of a batch). Tokens are exchangeable, so
    the noise of a clip stays a sample of the standard normal. With all numbers in the cost, the assignment could
    not be inferred from the noise.

    Args:
        strokes: (N, S, D), the data.
        noise: (N, S, D) standard normal.
        present: (N, S) bool, the tokens that are strokes; the noise of the others is not permuted.
        first: (N, S) bool, strokes that are assigned before the others, as in sampling, where the others are not
            known; None: none.

    Returns:
        (N, S, D), each clip's noise permuted.
    """
    gain = torch.einsum("nsd,ntd->nst", strokes[..., :2], noise[..., :2]).cpu().numpy()
    order = torch.arange(noise.shape[1]).repeat(len(noise), 1)
    chosen = order.numpy()
    known = np.zeros_like(chosen, bool) if first is None else (first & present).cpu().numpy()
    for clip, tokens in enumerate(present.cpu().numpy()):
        free = np.flatnonzero(tokens)
        for group in (np.flatnonzero(known[clip]), np.flatnonzero(tokens & ~known[clip])):
            rows, columns = linear_sum_assignment(gain[clip][np.ix_(group, free)], maximize=True)
            chosen[clip, group[rows]] = free[columns]
            free = np.delete(free, columns)
    return noise.gather(1, order.to(noise.device)[..., None].expand_as(noise))
