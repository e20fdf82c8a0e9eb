"""The transformer over the tokens of one level of a hierarchical VQGAN; see :mod:`~sketch2video.tokens.transformer`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn
from transformers import DynamicCache, GPTNeoXConfig, GPTNeoXModel

from sketch2video.diffusion.video_transformer import ControlStem
from sketch2video.networks.blocks import attention_kind, fourier_features
from sketch2video.tokens.clip_condition import ClipCondition

POSITION_OCTAVES = 6

LEARNED_WIDTH = 112
"""Width of the learned part of a code's vector. With the VQGAN's part alone, copying tokens is hard to learn."""


@dataclass
class Reading:
    """The key-value cache of a level.

    Attributes:
        mask: (N, M) bool, True at real tokens of the captions.
        past: cached keys and values.
        slots: number of cached slots.
    """

    mask: Tensor
    past: DynamicCache
    slots: int = 0


class Past(NamedTuple):
    """The previous frame of each frame of a window.

    Attributes:
        frames: previous frames as code vectors of every level, finest first: (N, W, h, w, C) each.
        missing: (N, W) bool, True if there is none.
    """

    frames: Sequence[Tensor]
    missing: Tensor


class LevelTransformer(nn.Module):
    """Predicts the tokens of one level.

    Args:
        codes: K of the level's codebook.
        code_width: width of the code vectors of the VQGAN; C is larger by ``LEARNED_WIDTH``.
        sides: sides of the grids of all levels, finest first.
        level: index of this level.
        width: D.
        layers, heads: numbers of layers and heads of the decoder; D is a multiple of the heads.
        text_width: width of the text encoder's hidden states.
        control_channels: channels of the control pictures; 0: there are none.
        pixels: side of a token in pixels.
    """

    def __init__(
        self,
        codes: int,
        code_width: int,
        sides: Sequence[int],
        level: int,
        width: int,
        layers: int,
        heads: int,
        text_width: int,
        control_channels: int,
        pixels: int,
    ) -> None:
        super().__init__()
        self.codes, self.side, self.level = codes, sides[level], level
        config = GPTNeoXConfig(
            vocab_size=1,  # tokens come as vectors
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            initializer_range=0.5 * width**-0.5,
            bos_token_id=None,
            eos_token_id=None,
        )
        self.decoder = GPTNeoXModel(config)
        self.decoder.set_attn_implementation(attention_kind())
        vector_width = code_width + LEARNED_WIDTH
        self.token_in = _unit_linear(vector_width, width)
        self.begin_in = nn.Parameter(torch.zeros(width))
        self.before_in = nn.ModuleList(_GridFeatures(vector_width, side, self.side, width) for side in sides)
        self.same_place_in = _unit_linear(vector_width, width)
        self.no_before = nn.Parameter(torch.zeros(width, 1, 1))
        self.above_in = nn.ModuleList(
            _GridFeatures(vector_width, side, self.side, width) for side in sides[level + 1 :]
        )
        mixing = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(mixing.weight)
        self.mixed = nn.Sequential(nn.SiLU(), mixing)
        self.place_in = nn.Linear(3 * 2 * POSITION_OCTAVES, width)
        self.prefix_in = nn.Linear(text_width, width)
        if control_channels:
            self.control_in = ControlStem(control_channels, pixels, width)
            last = nn.Conv2d(width, width, 3, padding=1, bias=False)
            nn.init.zeros_(last.weight)
            self.control_around = nn.Sequential(nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), last)
            self.no_control = nn.Parameter(torch.zeros(width))
        self.head = nn.Linear(width, codes)
        self.code_head = nn.Linear(width, code_width)

    @property
    def length(self) -> int:
        """P, number of tokens of one frame."""
        return self.side**2

    @apply_forward_hook
    def bases(self, past: Past, above: Sequence[Tensor], times: Tensor, condition: ClipCondition) -> Tensor:
        """The input of the slots of some frames without the embeddings of the previous tokens: (N, W, P, D).

        Args:
            past: the previous frames.
            above: code vectors of the upper levels in the same frames, nearest level first: each (N, W, h, w, C).
            times: (N, W), times of the frames in the clip, in [0, 1].
            condition: conditions of the clips, with control pictures of the W frames.
        """
        before = [features(frames) for features, frames in zip(self.before_in, past.frames, strict=True)]
        before.append(self.same_place_in(past.frames[self.level]).flatten(0, 1).movedim(-1, 1))
        x = torch.where(past.missing.flatten()[:, None, None, None], self.no_before, torch.stack(before).sum(0))
        for features, vectors in zip(self.above_in, above, strict=True):
            x = x + features(vectors)
        slots = (x + self.mixed(x)).flatten(2).movedim(1, -1).unflatten(0, times.shape)  # (N, W, P, D)
        slots = slots + condition.vector[:, None, None] + self.place_in(self._positions(times))
        return slots if not hasattr(self, "control_in") else slots + self._control(condition)

    @apply_forward_hook
    def inputs(self, bases: Tensor, vectors: Tensor) -> Tensor:
        """The slots of whole frames as one sequence: (N, W * P, D).

        Args:
            bases: (N, W, P, D), see :meth:`bases`.
            vectors: (N, W, h, w, C), code vectors of the tokens of these frames; the last one is not used.
        """
        tokens = self.token_in(vectors.flatten(1, 3)[:, :-1])
        begin = self.begin_in.to(tokens.dtype).expand(len(tokens), 1, -1)
        return bases.flatten(1, 2) + torch.cat([begin, tokens], dim=1)

    def logits(self, inputs: Tensor, codes: Tensor, condition: ClipCondition) -> Tensor:
        """Logits of the tokens of a sequence of slots (N, L, D), in one pass: (N, L, K) float32.

        Args:
            inputs: the slots.
            codes: (K, code_width), the VQGAN's vectors of the level's codes.
            condition: conditions of the clips.
        """
        prefix = self.prefix_in(condition.tokens)
        samples, words = condition.mask.shape
        slots = inputs.shape[1]
        causal = torch.ones(slots, slots, dtype=torch.bool, device=inputs.device).tril()
        allowed = torch.zeros(samples, words + slots, words + slots, dtype=torch.bool, device=inputs.device)
        allowed[:, :, :words] = condition.mask[:, None]
        allowed[:, words:, words:] = causal
        positions = torch.cat([self._prefix_positions(words, inputs), torch.arange(slots, device=inputs.device)])
        states = self._decoder(torch.cat([prefix, inputs], dim=1), allowed, positions, None)
        return self._scores(states[:, words:], codes)

    def begin(self, condition: ClipCondition) -> Reading:
        """Start a key-value cache with the captions."""
        prefix = self.prefix_in(condition.tokens)
        reading = Reading(condition.mask, DynamicCache(config=self.decoder.config))
        words = condition.mask.shape[1]
        allowed = condition.mask[:, None].expand(-1, words, -1)
        self._decoder(prefix, allowed, self._prefix_positions(words, prefix), reading.past)
        return reading

    def read(self, reading: Reading, inputs: Tensor, codes: Tensor) -> Tensor:
        """Append slots (N, L, D) to the cache: their logits (N, L, K), equal to those of :meth:`logits`."""
        samples, slots = inputs.shape[:2]
        allowed = torch.ones(samples, slots, reading.slots + slots, dtype=torch.bool, device=inputs.device)
        allowed = torch.cat([reading.mask[:, None].expand(-1, slots, -1), allowed.tril(reading.slots)], dim=2)
        positions = torch.arange(reading.slots, reading.slots + slots, device=inputs.device)
        states = self._decoder(inputs, allowed, positions, reading.past)
        reading.slots += slots
        return self._scores(states, codes)

    def _scores(self, states: Tensor, codes: Tensor) -> Tensor:
        """Logits (..., K): a score of each code, plus the product of its vector with a predicted one."""
        return self.head(states).float() + self.code_head(states).float() @ codes.T

    def _decoder(self, inputs: Tensor, allowed: Tensor, positions: Tensor, past: DynamicCache | None) -> Tensor:
        mask = torch.zeros(allowed.shape, dtype=inputs.dtype, device=inputs.device).masked_fill(~allowed, -1e9)
        states: Tensor = self.decoder(
            inputs_embeds=inputs,
            attention_mask=mask[:, None],
            position_ids=positions[None],
            past_key_values=past,
            use_cache=past is not None,
        ).last_hidden_state
        return states

    @staticmethod
    def _prefix_positions(words: int, like: Tensor) -> Tensor:
        """Positions of captions: -1, -2, ..., so that padding does not change the positions of frames."""
        return -1 - torch.arange(words, device=like.device)

    def _positions(self, times: Tensor) -> Tensor:
        """Features of time, y and x of every slot: (N, W, P, 6 * POSITION_OCTAVES)."""
        axis = (torch.arange(self.side, device=times.device) + 0.5) / self.side
        rows, columns = torch.meshgrid(axis, axis, indexing="ij")
        space = torch.stack([rows, columns], dim=-1).flatten(0, 1).expand(*times.shape, -1, -1)
        time = times[..., None, None].expand(-1, -1, self.length, -1)
        return fourier_features(torch.cat([time, space], dim=-1), POSITION_OCTAVES).flatten(3)

    def _control(self, condition: ClipCondition) -> Tensor:
        """The term of the control pictures in every slot: (N, W, P, D), or (D,) without any."""
        if condition.control is None:
            return self.no_control
        pieces = self.control_in(condition.control.flatten(0, 1))
        pieces = pieces + self.control_around(
            pieces
        )  # a wider context: a line alone does not show which side is inside
        slots = pieces.flatten(2).movedim(1, -1).unflatten(0, condition.control.shape[:2])
        if condition.control_mask is None:
            return slots
        return torch.where(condition.control_mask[:, None, None, None], slots, self.no_control)


def _unit_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that keeps the variance, so that copying tokens, the most frequent case, is learned first."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=inputs**-0.5)
    return layer


class _GridFeatures(nn.Sequential):
    """Code vectors on a grid as features on another: (N, W, h, w, C) -> (N * W, D, side, side).

    Args:
        vector_width: C.
        source: side of the vectors' grid.
        side: side of the features' grid; one of both is a multiple of the other.
        width: D.
    """

    def __init__(self, vector_width: int, source: int, side: int, width: int) -> None:
        fold = max(source // side, 1)
        super().__init__(
            nn.PixelUnshuffle(fold),
            nn.Conv2d(vector_width * fold**2, width, 3, padding=1),
            nn.Upsample(scale_factor=max(side // source, 1)),
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """See the class."""
        return super().forward(vectors.flatten(0, 1).movedim(-1, 1))
