"""Training clips that are moved, enlarged and turned."""

import math

import numpy as np
import pytest
import torch

from sketch2video.curve_vae.augment import CHANGES, changed, random_changes
from sketch2video.curves import CurveSequence
from tests.curve_vae.sets import smooth


def points_of(strokes: torch.Tensor) -> np.ndarray:
    """Points (S, T, U, 2) of strokes (S, T, 2, K), frame widths."""
    visibility = np.ones(strokes.shape[1::-1], np.float32)
    return CurveSequence(strokes.transpose(0, 1).numpy(), visibility).points(16).swapaxes(0, 1)


def test_drawn_points_are_moved_enlarged_and_turned_about_the_middle_of_the_frame():
    strokes = torch.stack([smooth(3, frames=5), smooth(3, frames=5, seed=1)])
    changes = torch.tensor([[0.1, -0.2, math.log(1.5), 0.3], [0.0, 0.0, 0.0, 0.0]])
    result = changed(strokes, changes)
    turn = 1.5 * np.array([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]])
    expected = (points_of(strokes[0]) - 0.5) @ turn.T + 0.5 + [0.1, -0.2]
    np.testing.assert_allclose(points_of(result[0]), expected, atol=1e-5)
    torch.testing.assert_close(result[1], strokes[1])


def test_changes_are_about_none_and_as_large_as_asked():
    changes = random_changes(20_000, 0.2, torch.Generator().manual_seed(0))
    assert changes.shape == (20_000, CHANGES)
    assert changes.mean(0).abs().max() < 0.005
    assert changes.std(0).tolist() == pytest.approx([0.1, 0.1, 0.2, 0.2], rel=0.05)
    assert not random_changes(8, 0.0, torch.Generator().manual_seed(0)).any()
