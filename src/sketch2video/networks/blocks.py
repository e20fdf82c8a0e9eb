"""Building blocks of the transformers. Tokens are (N, L, D): batch, sequence, width."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer itself, with weights and bias of zero: a residual branch that ends in it starts as the identity."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def fourier_features(x: Tensor, octaves: int) -> Tensor:
    """Sines and cosines of ``2^k pi x`` for k in [0, octaves): (...,) -> (..., 2 * octaves), float32."""
    angles = x.float()[..., None] * (math.pi * 2.0 ** torch.arange(octaves, device=x.device))
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def timestep_features(time: Tensor, size: int, longest: float = 10_000.0) -> Tensor:
    """Sines and cosines of a time in [0, 1] at wavelengths that grow geometrically: (N,) -> (N, size), float32.

    The features of Vaswani et al. 2017, section 3.5, for positions 0 to 1000.
    """
    rates = torch.exp(-math.log(longest) * torch.arange(size // 2, device=time.device) / (size // 2))
    angles = 1000.0 * time.float()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def grid_positions(frames: int, height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Positions of the tokens of a video: (frames * height * width, 3), each axis in (0, 1).

    Time is the share of the action that has passed, space the share of the frame: a clip spans its whole action
    whatever its length, and positions mean the same at lengths and sizes that were not seen in training.
    """
    axes = [(torch.arange(n, device=device) + 0.5) / n for n in (frames, height, width)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of each position of a picture, independent of the other positions."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> the same shape."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Attention(nn.Module):
    """Multi-head attention of tokens to themselves or to a context, with normalised queries and keys.

    The normalisation (Dehghani et al. 2023, "Scaling Vision Transformers to 22 Billion Parameters", section 2) keeps
    the large learning rates of short trainings stable.

    Args:
        width: D.
        heads: a divisor of D.
        context_width: width of the context's tokens; D if None.
    """

    def __init__(self, width: int, heads: int, context_width: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(context_width or width, 2 * width)
        self.norm = nn.RMSNorm(width // heads, elementwise_affine=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Attention.

        Args:
            x: (N, L, D).
            context: (N, M, context_width); ``x`` itself if None.
            mask: (N, M) bool, True where a context token may be attended to; each sample needs one.

        Returns:
            (N, L, D)
        """
        query = self._split(self.query(x))
        key, value = map(self._split, self.key_value(x if context is None else context).chunk(2, dim=-1))
        where = None if mask is None else mask[:, None, None, :]
        mixed = attend(self.norm(query), self.norm(key), value, where)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax attention, (N, heads, L, d) each; ``mask`` (N, 1, 1, M) is True where a key may be attended to.

    PyTorch's fused kernel for CPUs takes ten times as long backward as the plain products at the short sequences here
    (512 x 4 x 16 x 32 in bf16: 236 ms against 22 ms on one core), so it is used on accelerators only.
    """
    if query.device.type != "cpu":
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1) @ value


def attention_kind() -> str:
    """``attn_implementation`` of transformers' models: the same choice as in :func:`attend`."""
    return "sdpa" if torch.cuda.is_available() else "eager"


class FeedForward(nn.Sequential):
    """Two linear layers with a GELU between them, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))


Reach = Literal["frame", "video", "motion"]
"""How far a block's attention goes; see :class:`ConditionedBlock`."""


class ConditionedBlock(nn.Module):
    """A transformer block over frames or over the whole video.

    Text enters twice: by cross-attention, and by modulation together with everything else that is one vector a sample
    (adaLN-zero; Peebles & Xie 2023, section 3.2). The block starts as the identity.

    Args:
        width: D.
        heads: a divisor of D.
        context_width: width of the text's tokens.
        reach: "frame": the tokens of one frame attend to each other; "video": those of all frames; "motion": likewise,
            but a single frame skips the attention. Attention along time at one position, which is cheaper, cannot
            follow an object that moves: its colour drifted from frame to frame.
        time_mean: whether every token also receives, through a linear layer, the mean over all frames of the tokens at
            its position. It describes the static content, so attention need not learn to average over time.
    """

    def __init__(self, width: int, heads: int, context_width: int, reach: Reach, time_mean: bool = False) -> None:
        super().__init__()
        self.reach = reach
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = Attention(width, heads)
        self.norm_text = nn.LayerNorm(width, elementwise_affine=False)
        self.text_attention = Attention(width, heads, context_width)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.feed_forward = FeedForward(width)
        zeroed(self.text_attention.out)
        self.time_mean = zeroed(nn.Linear(width, width)) if time_mean else None
        self.modulation = nn.Sequential(nn.SiLU(), zeroed(nn.Linear(width, 6 * width)))

    def forward(
        self, x: Tensor, condition: Tensor, text: Tensor, text_mask: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Mix tokens.

        Args:
            x: (N, T, P, D), P tokens a frame.
            condition: (N, D), the vector that modulates the block.
            text: (N, M, context_width).
            text_mask: (N, M) bool.
            mask: bool, True at tokens that the others attend to: (N * T, P) where the reach is a frame, else
                (N, T * P). None: all.

        Returns:
            (N, T, P, D)
        """
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition)[:, None, None].chunk(6, dim=-1)
        normed = self.norm1(x) * (1 + scale1) + shift1
        if self.reach != "motion" or x.shape[1] > 1:
            tokens = normed.flatten(0, 1) if self.reach == "frame" else normed.flatten(1, 2)
            mixed = self.attention(tokens, mask=mask).view_as(x)
            x = x + gate1 * mixed
        if self.time_mean is not None and x.shape[1] > 1:
            x = x + self.time_mean(normed.mean(1, keepdim=True))
        x = x + self.text_attention(self.norm_text(x).flatten(1, 2), text, text_mask).view_as(x)
        return x + gate2 * self.feed_forward(self.norm2(x) * (1 + scale2) + shift2)
