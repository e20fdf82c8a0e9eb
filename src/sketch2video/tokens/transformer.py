"""The transformers over a hierarchical VQGAN's tokens: one a level, each predicts a frame's tokens one after the other.

A level reads a clip as one sequence: the caption, then the frames of a window, each in raster order. What stands in a
slot of that sequence is all that is known before its token is: the token before it in raster order; the whole frame
before, the upper levels of the same frame and a control picture, as convolutions see them around its place; its place
in space and time; and the caption and the frame rate as one vector. The state of the slot predicts its token. So the
probability of a video is factored as in VQ-VAE-2 (Razavi et al. 2019, section 3.2), frame by frame and from the top
level to the bottom one.

Tokens are seen as the vectors of their codes, so that what was learned of one code holds for those that are near it.
The first frame of a window has no frame before it: it is predicted from the caption alone, wherever in the clip the
window lies. The decoders are transformers' own (``GPTNeoXModel``: rotary positions along the sequence, one product for
queries, keys and values, a key-value cache; in training on a CPU a third faster than ``Qwen3Model``).
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
        levels: of the VQGAN.
        codes: K of each level.
        code_width: width of a code's vector in the VQGAN; C is more by ``LEARNED_WIDTH``.
        sample_size, sample_frames: S and T of the training clips, px and frames; lengths are free, the size is not.
        halvings: the finest level's grid is 2**halvings times smaller than the frame.
        window: W, the most frames that a level sees at once, the one that it predicts counted.
        width: D.
        layers, heads: of each level's decoder.
        text_width: width of the text encoder's hidden states.
        control_channels: of the control pictures: 1 for a sketch, 3 for colours, 0 for none.
        control: name of these pictures; None: see :func:`~sketch2video.controls.control_of_network`.
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
        """Take the vectors by which tokens are seen from a VQGAN's codebooks, standardised level by level.

        Args:
            codebooks: (K, C) of each level, finest first.
        """
        for own, codes in zip(self.codebooks, codebooks, strict=True):
            own.copy_((codes - codes.mean(0)) / codes.std(0).clamp_min(1e-6))

    @apply_forward_hook
    @apply_forward_hook
    def vectors(self, level: int, tokens: Tensor) -> Tensor:
        """The vectors of tokens of a level: (..., C), those of the VQGAN's codes beside learned ones.

        Args:
            level: 0 is the finest.
            tokens: (...) int64, or (..., K) relaxed one-hot vectors, through which gradients flow.
        """
        codes = torch.cat([self.codebooks[level], self.learned_codes[level]], dim=1)
        return tokens @ codes.to(tokens.dtype) if tokens.is_floating_point() else codes[tokens]

    @apply_forward_hook
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
        """What the levels are told about ``samples`` clips; see :class:`ClipCondition`.

        Args:
            samples: N.
            text: (N, L, text_width), hidden states of the captions; None: no clip has a caption.
            text_mask: (N, L) bool; a row without any has no caption.
            fps: (N,), frames a second; 0 where it is unknown. None: unknown for all.
            control, control_mask: see :class:`ClipCondition`.
        """
        tokens, mask = self.caption.tokens(samples, text, text_mask)
        return ClipCondition(tokens, mask, self.caption.vector(tokens, mask, fps), control, control_mask)

    def forward(self, tokens: Sequence[Tensor], times: Tensor, condition: ClipCondition) -> list[Tensor]:
        """Logits of all tokens of a window, each given what stands before it: one (N, W, P, K) float32 a level.

        Args:
            tokens: of each level, finest first: (N, W, h, w) int64.
            times: (N, W), where in the clip the frames lie, in [0, 1].
            condition: of the clips, its control pictures those of the W frames.
        """
        return [self.level_logits(level, tokens, tokens, times, condition) for level in range(len(self.parts))]

    def level_logits(
        self, level: int, tokens: Sequence[Tensor], above: Sequence[Tensor], times: Tensor, condition: ClipCondition
    ) -> Tensor:
        """One level's part of :meth:`forward`: (N, W, P, K).

        Args:
            level: 0 is the finest.
            tokens: see :meth:`forward`; this level reads its own, and those of all levels in the frame before.
            above: of all levels, as ``tokens``; it also reads those of the upper levels in the same frame, which may be
                relaxed, see :meth:`vectors`.
            times, condition: see :meth:`forward`.
        """
        part = self.parts[level]
        seen = [self.vectors(place, each) for place, each in enumerate(tokens)]
        before = [torch.cat([torch.zeros_like(each[:, :1]), each[:, :-1]], dim=1) for each in seen]
        missing = torch.zeros(seen[level].shape[:2], dtype=torch.bool, device=seen[level].device)
        missing[:, 0] = True
        uppers = [self.vectors(upper, above[upper]) for upper in range(level + 1, len(tokens))]
        inputs = part.inputs(part.bases(Past(before, missing), uppers, times, condition), seen[level])
        logits = part.logits(inputs, self.codebooks[level], condition)
        return logits.unflatten(1, (tokens[level].shape[1], -1))
