"""Cross-frame attention: self-attention of an image network that also attends to another frame.

Wu et al. 2023, "Tune-A-Video" (sparse causal attention: the first frame and the one before), and Khachatryan et al.
2023, "Text2Video-Zero" (the first frame). No weights are added: the same layers compute keys and values
of the other frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

FrameAttention = Literal["own", "first_and_own", "first_and_former"]
"""The frames whose keys and values a frame attends to: itself, as in an image network; the first one of its window and
itself, which works without training; the first frame and the previous one, which Tune-A-Video trains."""

Processor = Callable[..., Tensor]


class CrossFrameAttention:
    """A processor of diffusers' attention in which each frame attends to two frames of its window.

    Args:
        processor: the one that computes the attention.
        kind: not ``own``.
        frames: of a window, K; a batch consists of whole windows; attention is within a window.
    """

    def __init__(self, processor: Processor, kind: FrameAttention, frames: int) -> None:
        self.processor = processor
        self.kind = kind
        self.frames = frames

    def __call__(
        self,
        attn: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Attention of tokens (N * K, L, C) to the 2 L tokens that each of them may see.

        Raises:
            ValueError: the batch does not consist of whole windows.
        """
        if len(hidden_states) % self.frames:
            raise ValueError(f"a batch of {len(hidden_states)} frames does not consist of windows of {self.frames}")
        if encoder_hidden_states is None:
            windows = hidden_states.unflatten(0, (-1, self.frames))
            frame = torch.arange(self.frames, device=hidden_states.device)
            other = frame if self.kind == "first_and_own" else (frame - 1).clamp(min=0)
            encoder_hidden_states = torch.cat([windows[:, 0 * frame], windows[:, other]], dim=2).flatten(0, 1)
        return self.processor(attn, hidden_states, encoder_hidden_states, attention_mask, temb)


def attend_across_frames(unet: UNet2DConditionModel, kind: FrameAttention, frames: int) -> None:
    """Set the frame attention of a network, until this function is called again.

    Args:
        unet: its attention to text, and its other processors, are kept.
        kind: ``own`` removes cross-frame attention.
        frames: of the windows in its batches, K.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in get_args(FrameAttention):
        raise ValueError(f"frames cannot attend to {kind!r}; choose one of {', '.join(get_args(FrameAttention))}")
    processors = {}
    for name, processor in unet.attn_processors.items():
        plain = processor.processor if isinstance(processor, CrossFrameAttention) else processor
        across = kind != "own" and name.endswith("attn1.processor")
        processors[name] = CrossFrameAttention(plain, kind, frames) if across else plain
    unet.set_attn_processor(processors)
