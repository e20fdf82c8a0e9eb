"""Autoregressive transformers over the tokens of a hierarchical VQGAN, one for each level.

The input of a level is one sequence: the caption, then the frames of a window, each in raster order. The input of a
slot is the sum of embeddings of all that precedes its token: the previous token in raster order; the whole previous
frame, the upper levels of the same frame and a control picture, by convolutions around its position; its position in
space and time; and the caption and the frame rate as one vector. The output at the slot predicts its token. So the
probability of a video is factored as in VQ-VAE-2 (Razavi et al. 2019, section 3.2), frame by frame and from the top
level to the bottom one.

Tokens are embedded by the vectors of their codes, so that similar codes have similar embeddings. The first frame of a
window has no previous frame: it is predicted from the caption alone, at any time of the clip. The decoders are
``GPTNeoXModel`` of transformers (rotary positions along the sequence, one projection for queries, keys and values, a
key-value cache; in training on a CPU a third faster than ``Qwen3Model``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from sketch2video.networks.caption_condition import CaptionAndRate
from sketch2video.tokens.clip_condition import ClipCondition
from sketch2video.tokens.level_transformer import LEARNED_WIDTH, LevelTransformer, Past


class TokenTransformer(ModelMixin, ConfigMixin):
    """The transformers of all levels, index 0 being the finest level.

    Args:
        levels: number of levels of the VQGAN.
        codes: K of each level.
        code_width: width of a code's vector in the VQGAN; C is larger by ``LEARNED_WIDTH``.
        sample_size, sample_frames: S and T of the training clips, px and frames; any length can be sampled, at size S.
        halvings: the finest level's grid is 2**halvings times smaller than the frame.
        window: W, maximum number of frames in the context, including the predicted one.
        width: D.
        layers, heads: numbers of layers and heads of each level's decoder.
        text_width: width of the text encoder's hidden states.
        control_channels: channels of the control pictures: 1 for a sketch, 3 for colours, 0 for none.
        control: name of the control; None: see :func:`~sketch2video.controls.control_of_network`.
    """

    codebooks: Tensor

    @register_to_config
    def __init__(
        self,
        levels: int = 2,
        codes: int = 512,
        code_width: int = 16,
        sample_size: int = 64,
        sample_frames: int = 16,
        halvings: int = 3,
        window: int = 6,
        width: int = 192,
        layers: int = 6,
        heads: int = 3,
        text_width: int = 128,
        control_channels: int = 0,
        control: str | None = None,
    ) -> None:
        super().__init__()
        self.caption = CaptionAndRate(text_width, width)
        self.register_buffer("codebooks", torch.randn(levels, codes, code_width))
        self.learned_codes = nn.Parameter(torch.randn(levels, codes, LEARNED_WIDTH))
        pixels = [2 ** (halvings + level) for level in range(levels)]
        sides = [sample_size // span for span in pixels]
        sizes = (width, layers, heads, text_width, control_channels)
        parts = nn.ModuleList(
            LevelTransformer(codes, code_width, sides, level, *sizes, span) for level, span in enumerate(pixels)
        )
        self.parts = cast(Sequence[LevelTransformer], parts)

    def take_codes(self, codebooks: Sequence[Tensor]) -> None:
        """Set the fixed part of the code vectors from a VQGAN's codebooks, standardised level by level.

        Args:
            codebooks: (K, C) of each level, finest first.
        """
        for own, codes in zip(self.codebooks, codebooks, strict=True):
            own.copy_((codes - codes.mean(0)) / codes.std(0).clamp_min(1e-6))

    @apply_forward_hook
    def vectors(self, level: int, tokens: Tensor) -> Tensor:
        """The vectors of tokens of a level: (..., C), those of the VQGAN's codes concatenated with learned ones.

        Args:
            level: 0 is the finest.
            tokens: (...) int64, or (..., K) relaxed one-hot vectors, which receive gradients.
        """
        codes = torch.cat([self.codebooks[level], self.learned_codes[level]], dim=1)
        return tokens @ codes.to(tokens.dtype) if tokens.is_floating_point() else codes[tokens]

    @apply_forward_hook
    def condition(
        self,
        samples: int,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        fps: Tensor | None = None,
        control: Tensor | None = None,
        control_mask: Tensor | None = None,
    ) -> ClipCondition:
        """Conditions of ``samples`` clips; see :class:`ClipCondition`.

        Args:
            samples: N.
            text: (N, L, text_width), hidden states of the captions; None: no clip has a caption.
            text_mask: (N, L) bool; all False for a clip without a caption.
            fps: (N,), frames a second; 0 if unknown. None: unknown for all.
            control, control_mask: see :class:`ClipCondition`.
        """
        tokens, mask = self.caption.tokens(samples, text, text_mask)
        return ClipCondition(tokens, mask, self.caption.vector(tokens, mask, fps), control, control_mask)

    def forward(self, tokens: Sequence[Tensor], times: Tensor, condition: ClipCondition) -> list[Tensor]:
        """Logits of all tokens of a window, each given the preceding ones: (N, W, P, K) float32 for each level.

        Args:
            tokens: tokens of each level, finest first: (N, W, h, w) int64.
            times: (N, W), times of the frames in the clip, in [0, 1].
            condition: conditions of the clips, with control pictures of the W frames.
        """
        return [self.level_logits(level, tokens, tokens, times, condition) for level in range(len(self.parts))]

    def level_logits(
        self, level: int, tokens: Sequence[Tensor], above: Sequence[Tensor], times: Tensor, condition: ClipCondition
    ) -> Tensor:
        """One level's part of :meth:`forward`: (N, W, P, K).

        Args:
            level: 0 is the finest.
            tokens: see :meth:`forward`; the inputs are those of this level, and of all levels in the previous frame.
            above: tokens of all levels like ``tokens``; the inputs are those of the upper levels in the same frame,
                which may be relaxed, see :meth:`vectors`.
            times, condition: see :meth:`forward`.
        """
        part = self.parts[level]
        vectors = [self.vectors(index, each) for index, each in enumerate(tokens)]
        before = [torch.cat([torch.zeros_like(each[:, :1]), each[:, :-1]], dim=1) for each in vectors]
        missing = torch.zeros(vectors[level].shape[:2], dtype=torch.bool, device=vectors[level].device)
        missing[:, 0] = True
        uppers = [self.vectors(upper, above[upper]) for upper in range(level + 1, len(tokens))]
        inputs = part.inputs(part.bases(Past(before, missing), uppers, times, condition), vectors[level])
        logits = part.logits(inputs, self.codebooks[level], condition)
        return logits.unflatten(1, (tokens[level].shape[1], -1))
