"""Small networks and sets of strokes for the tests of this folder."""

import torch
from torch import Tensor

from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.strokes import StrokeSet, frame_times
from sketch2video.text.encoder import TextCondition

STROKES, SLOTS, HARMONICS, TEXT = 4, 3, 6, 12


def network(**changes: int) -> CurveVAE:
    """An untrained network in which everything matters: no layer is zero."""
    torch.manual_seed(0)
    settings = {"strokes": STROKES, "slots": SLOTS, "harmonics": HARMONICS, "text_width": TEXT, "latent_dim": 5}
    settings |= {"hidden": 24, "time_terms": 4, "width": 16, "layers": 2, "heads": 2, "budget": 40}
    vae = CurveVAE(**settings | {"num_inference_steps": 6} | changes)
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return vae.eval()


def captions(count: int = 2, words: int = 4) -> TextCondition:
    generator = torch.Generator().manual_seed(9)
    return TextCondition(
        torch.randn(count, words, TEXT, generator=generator), torch.ones(count, words, dtype=torch.bool)
    )


def smooth(*shape: int, frames: int, seed: int = 0) -> Tensor:
    """Coefficients (*shape, T, 2, K) that fall with k and move slowly."""
    generator = torch.Generator().manual_seed(seed)
    fall = torch.arange(1, HARMONICS + 1).pow(-1.5)
    first, way = (0.15 * torch.randn(*shape, 1, 2, HARMONICS, generator=generator) * fall for _ in range(2))
    coefficients = first + way * torch.cos(torch.pi * frame_times(frames))[:, None, None]
    coefficients[..., 0] += 0.5
    return coefficients


def strokes(clips: int = 2, frames: int = 8, seed: int = 0) -> StrokeSet:
    """Strokes of which one is absent, one is born late and one dies early in the first clip."""
    life = torch.tensor([0.0, 1.0]).repeat(clips, STROKES, 1)
    life[0, 1, 0], life[0, 2, 1] = 0.25, 0.5
    present = torch.ones(clips, STROKES, dtype=torch.bool)
    present[0, 3] = False
    coefficients = smooth(clips, STROKES, frames=frames, seed=seed) * present[..., None, None, None]
    first, last = frames // 4, frames // 2 - 1
    coefficients[0, 1, :first], coefficients[0, 2, last:] = coefficients[0, 1, first], coefficients[0, 2, last]
    return StrokeSet(coefficients, life * present[..., None], present)


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
