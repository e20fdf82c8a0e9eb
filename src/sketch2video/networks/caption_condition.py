"""Caption and frame rate as conditions of video transformers: tokens to attend to, and one vector per sample.

On small data colours are learned from the vector; the tokens encode which words belong together. Either can be missing
per sample, which classifier-free guidance needs (Ho & Salimans 2022).
"""

from __future__ import annotations

import math

import torch
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.networks.blocks import fourier_features

FPS_OCTAVES = 4
FPS_RANGE = 256.0


class CaptionAndRate(nn.Module):
    """From hidden states of a frozen text encoder, and from frames a second, to a network's conditions.

    Args:
        text_width: width of the hidden states.
        width: D, of the vector.
    """

    text_mean: Tensor
    text_std: Tensor

    def __init__(self, text_width: int, width: int) -> None:
        super().__init__()
        self.fps_in = nn.Sequential(nn.Linear(2 * FPS_OCTAVES, width), nn.SiLU(), nn.Linear(width, width))
        self.no_fps = nn.Parameter(torch.zeros(width))
        self.register_buffer("text_mean", torch.zeros(text_width))
        self.register_buffer("text_std", torch.ones(text_width))
        self.no_text = nn.Parameter(torch.randn(text_width))
        self.text_in = nn.Sequential(nn.Linear(text_width, width), nn.SiLU(), nn.Linear(width, width))

    def centre(self, text: Tensor, mask: Tensor) -> None:
        """Take the statistics of the text encoder's features from captions, by which all captions are standardised.

        The tokens of frozen encoders share a large common component, which hides their differences; see :func:`pooled`.
        The statistics are saved with the weights.

        Args:
            text: (N, L, text_width), hidden states of the training captions.
            mask: (N, L) bool.
        """
        words = text[mask].float()
        self.text_mean.copy_(words.mean(0))
        self.text_std.copy_(words.std(0).clamp_min(1e-4))

    @apply_forward_hook
    def tokens(self, samples: int, text: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The captions after a learned token that all of them share: (N, 1 + L, text_width) and its mask.

        Without it a sample that has no caption would have nothing to attend to.

        Args:
            samples: N.
            text: (N, L, text_width), hidden states; None: no sample has a caption.
            mask: (N, L) bool, True at real tokens; a row without any has no caption. All True if None.
        """
        null = self.no_text.expand(samples, 1, -1)
        always = torch.ones(samples, 1, dtype=torch.bool, device=null.device)
        if text is None:
            return null, always
        present = mask.bool() if mask is not None else always.expand(-1, text.shape[1])
        standardised = (text - self.text_mean) / self.text_std
        return torch.cat([null, standardised], dim=1), torch.cat([always, present], dim=1)

    @apply_forward_hook
    def vector(self, tokens: Tensor, mask: Tensor, fps: Tensor | None) -> Tensor:
        """Caption and frame rate as one vector: (N, D).

        Args:
            tokens, mask: as returned by :meth:`tokens`.
            fps: (N,), frames a second; 0 where it is unknown. None: unknown for all.
        """
        words = torch.cat([~mask[:, 1:].any(1, keepdim=True), mask[:, 1:]], dim=1)
        return self._rate(len(tokens), fps) + self.text_in(pooled(tokens, words))

    def _rate(self, samples: int, fps: Tensor | None) -> Tensor:
        if fps is None:
            return self.no_fps.expand(samples, -1)
        octave = fps.float().clamp(1e-3, FPS_RANGE).log2() / math.log2(FPS_RANGE)
        return torch.where((fps > 0)[:, None], self.fps_in(fourier_features(octave, FPS_OCTAVES)), self.no_fps)


def pooled(tokens: Tensor, mask: Tensor) -> Tensor:
    """The mean (N, D) of tokens (N, L, D) where the mask (N, L) is True, scaled to a root mean square of 1.

    The mean of tokens that were centred over the training captions keeps only what distinguishes a caption from the
    others. The scaling makes that difference as large as the features of the time, so that it is learned as early.
    """
    mean = (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return functional.rms_norm(mean, mean.shape[-1:])
