"""Frames that see each other in a network of single pictures: its self-attention looks at another frame, too.

Wu et al. 2023, "Tune-A-Video" (sparse causal attention: the first frame and the one before), and Khachatryan et al.
2023, "Text2Video-Zero" (the first frame). No weight is added: keys and values are made of other frames by the layers
that make them of a frame's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

FrameAttention = Literal["own", "first_and_own", "first_and_former"]
"""Whose keys and values a frame sees: its own, as in a network of pictures; those of its window's first frame and its
own, where without any training it keeps what its own noise says; those of the first and of the frame before, which
Tune-A-Video trains."""

Processor = Callable[..., Tensor]


class CrossFrameAttention:
    """A processor of diffusers' attention that shows each frame two frames of its window.

    Args:
        processor: the one that does the attention.
        kind: not ``own``.
        frames: of a window, K; a batch is made of whole windows, each of which sees itself alone.
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
            ValueError: the batch is not made of whole windows.
        """
        if len(hidden_states) % self.frames:
            raise ValueError(f"a batch of {len(hidden_states)} frames is not made of windows of {self.frames}")
        if encoder_hidden_states is None:
            windows = hidden_states.unflatten(0, (-1, self.frames))
            frame = torch.arange(self.frames, device=hidden_states.device)
            other = frame if self.kind == "first_and_own" else (frame - 1).clamp(min=0)
            encoder_hidden_states = torch.cat([windows[:, 0 * frame], windows[:, other]], dim=2).flatten(0, 1)
        return self.processor(attn, hidden_states, encoder_hidden_states, attention_mask, temb)


def attend_across_frames(unet: UNet2DConditionModel, kind: FrameAttention, frames: int) -> None:
    """Let a network's self-attention see frames by ``kind``, until this function is called again.

    Args:
        unet: its attention to text, and whatever processors it has, stay.
        kind: ``own`` takes cross-frame attention away.
        frames: of the windows that its batches are made of, K.

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
