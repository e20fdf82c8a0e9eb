import numpy as np
import pytest
import torch

from sketch2video.curves import CurveSequence
from sketch2video.curves.equation.corruption import corrupt_curves, draw_ink

CLIPS, FRAMES, STROKES, HARMONICS = 64, 8, 3, 12


@pytest.fixture
def curves() -> tuple[torch.Tensor, torch.Tensor]:
    """Rings of radius 0.2 about the middle of the frame; the last stroke and the last harmonics are not used."""
    u = np.linspace(0, 1, 100)
    circle = np.stack([np.sin(2 * np.pi * u), -np.cos(2 * np.pi * u)], 1)
    basis = np.cos(np.pi * np.outer(u, np.arange(HARMONICS)))
    coefficients = np.zeros((CLIPS, FRAMES, STROKES, 2, HARMONICS), np.float32)
    coefficients[:, :, :2] = 0.2 * np.linalg.lstsq(basis, circle, rcond=None)[0].T
    coefficients[:, :, :2, :, 0] += 0.5
    coefficients[..., -2:] = 0
    visibility = np.zeros((CLIPS, FRAMES, STROKES), np.float32)
    visibility[..., :2] = 1
    return torch.from_numpy(coefficients), torch.from_numpy(visibility)


def corrupted(
    curves: tuple[torch.Tensor, torch.Tensor], share: float, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    return corrupt_curves(*curves, share, torch.Generator().manual_seed(seed))


def points(coefficients: torch.Tensor) -> torch.Tensor:
    u = torch.linspace(0, 1, 50)
    return coefficients @ torch.cos(torch.pi * torch.arange(HARMONICS)[:, None] * u)


def test_spared_clips_come_back_as_they_were(curves) -> None:
    for before, after in zip(curves, corrupted(curves, 0.0), strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_share_of_damaged_clips_is_as_asked(curves, share: float) -> None:
    coefficients, _ = corrupted(curves, share)
    damaged = (coefficients != curves[0]).flatten(1).any(1).float().mean()
    assert damaged == pytest.approx(share, abs=0.15)


def test_the_generator_decides_everything(curves) -> None:
    first, again, other = (corrupted(curves, 1.0, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_drawing_stays_recognisable(curves) -> None:
    coefficients, visibility = corrupted(curves, 1.0)
    off = (points(coefficients) - points(curves[0])).norm(dim=-2)[:, :, :2]
    assert 0.005 < off.mean() < 0.04, "frame widths"
    assert visibility[..., :2].mean() > 0.95


def test_errors_drift_and_do_not_flicker(curves) -> None:
    off = points(corrupted(curves, 1.0)[0]) - points(curves[0])
    # 1.4 for errors that are independent from frame to frame
    assert off.diff(dim=1).norm(dim=-2).mean() < 0.8 * off.norm(dim=-2).mean()


def test_what_was_not_used_stays_unused(curves) -> None:
    coefficients, visibility = corrupted(curves, 1.0)
    assert not coefficients[..., -2:].any()
    assert not coefficients[:, :, 2, :, 1:].any()
    assert not visibility[..., 2].any()


def test_ink_is_what_the_curves_render(curves) -> None:
    ink = draw_ink(curves[0][:2], curves[1][:2], 16, 24)
    assert ink.shape == (2, FRAMES, 1, 16, 24)
    expected = CurveSequence(curves[0][1].numpy(), curves[1][1].numpy()).render(16, 24)
    np.testing.assert_array_equal((ink[1, :, 0] * 255).round().numpy(), expected)


def test_without_a_visible_stroke_the_sheet_is_blank(curves) -> None:
    ink = draw_ink(curves[0][0], torch.zeros_like(curves[1][0]), 16, 16)
    assert ink.shape == (FRAMES, 1, 16, 16)
    assert not ink.any()
