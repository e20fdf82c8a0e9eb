"""A tiny token transformer and what it reads, for several tests."""

from __future__ import annotations

import torch

from sketch2video.tokens.clip_condition import ClipCondition
from sketch2video.tokens.transformer import TokenTransformer

CODES, FRAMES = 8, 3


def tiny_transformer(**settings: int) -> TokenTransformer:
    torch.manual_seed(0)
    sizes = {"sample_size": 16, "sample_frames": 4, "halvings": 2, "window": 4, "width": 16, "layers": 2, "heads": 2}
    return TokenTransformer(**{"codes": CODES, "code_width": 4, "text_width": 6, **sizes, **settings}).eval()


def tokens_of(samples: int = 2, frames: int = FRAMES, sides: tuple[int, ...] = (4, 2)) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(CODES, (samples, frames, side, side), generator=generator) for side in sides]


def condition_of(model: TokenTransformer, samples: int = 2) -> ClipCondition:
    generator = torch.Generator().manual_seed(2)
    text = torch.randn(samples, 5, 6, generator=generator)
    lengths = torch.arange(2, 2 + samples).clamp(max=5)
    mask = torch.arange(5) < lengths[:, None]
    return model.condition(samples, text, mask, torch.full((samples,), 8.0))


def times_of(samples: int = 2, frames: int = FRAMES) -> torch.Tensor:
    return ((torch.arange(frames) + 0.5) / frames).expand(samples, -1)
