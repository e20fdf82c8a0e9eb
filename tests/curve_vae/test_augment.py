"""Training clips that are moved, enlarged, turned, mirrored and played backwards."""

import math

import numpy as np
import pytest
import torch

from sketch2video.curve_vae.augment import CHANGES, FLIPPED, changed, random_changes
from sketch2video.curve_vae.strokes import StrokeSet
from sketch2video.curves import CurveSequence
from tests.curve_vae.sets import smooth


def points_of(strokes: torch.Tensor) -> np.ndarray:
    """Points (S, T, U, 2) of strokes (S, T, 2, K), frame widths."""
    visibility = np.ones(strokes.shape[1::-1], np.float32)
    return CurveSequence(strokes.transpose(0, 1).numpy(), visibility).points(16).swapaxes(0, 1)


def clips_of(coefficients: torch.Tensor) -> StrokeSet:
    """Strokes (N, S, T, 2, K) that live from the second to the fourth of five frames; the last one is not there."""
    life = torch.tensor([0.2, 0.8]).expand(*coefficients.shape[:2], 2).clone()
    present = torch.ones(coefficients.shape[:2], dtype=torch.bool)
    present[:, -1], life[:, -1] = False, 0.0
    return StrokeSet(coefficients, life, present)


def test_drawn_points_are_moved_enlarged_and_turned_about_the_middle_of_the_frame():
    strokes = torch.stack([smooth(3, frames=5), smooth(3, frames=5, seed=1)])
    changes = torch.tensor([[0.1, -0.2, math.log(1.5), 0.3, 0.0, 0.0], [0.0] * CHANGES])
    result = changed(clips_of(strokes), changes)
    turn = 1.5 * np.array([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]])
    expected = (points_of(strokes[0]) - 0.5) @ turn.T + 0.5 + [0.1, -0.2]
    np.testing.assert_allclose(points_of(result.coefficients[0]), expected, atol=1e-5)
    torch.testing.assert_close(result.coefficients[1], strokes[1])
    torch.testing.assert_close(result.life, clips_of(strokes).life)


def test_mirrored_clips_are_drawn_from_the_other_end_and_turned_afterwards():
    strokes = smooth(3, frames=5)[None]
    result = changed(clips_of(strokes), torch.tensor([[0.1, 0.0, 0.0, 0.3, 1.0, 0.0]]))
    turn = np.array([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]])
    mirrored = points_of(strokes[0])[..., ::-1, :] * [-1, 1] + [1, 0]
    expected = (mirrored - 0.5) @ turn.T + 0.5 + [0.1, 0]
    np.testing.assert_allclose(points_of(result.coefficients[0]), expected, atol=1e-5)
    torch.testing.assert_close(result.life, clips_of(strokes).life)


def test_clips_that_are_played_backwards_die_where_they_were_born():
    strokes = clips_of(smooth(3, frames=5)[None])
    strokes.life[0, 0] = torch.tensor([0.0, 0.4])
    result = changed(strokes, torch.tensor([[0.0] * 5 + [1.0]]))
    torch.testing.assert_close(result.coefficients, strokes.coefficients.flip(2))
    torch.testing.assert_close(result.life, torch.tensor([[[0.6, 1.0], [0.2, 0.8], [0.0, 0.0]]]))
    assert (result.visible == strokes.visible.flip(2)).all()


def test_changes_are_about_none_and_as_large_as_asked():
    changes = random_changes(20_000, 0.2, torch.Generator().manual_seed(0))
    assert changes.shape == (20_000, CHANGES)
    assert changes[:, :4].mean(0).abs().max() < 0.005
    assert changes[:, :4].std(0).tolist() == pytest.approx([0.1, 0.1, 0.2, 0.2], rel=0.05)
    assert changes[:, 4:].mean(0).tolist() == pytest.approx([FLIPPED, FLIPPED], abs=0.01)
    assert ((changes[:, 4:] == 0) | (changes[:, 4:] == 1)).all()
    assert not random_changes(8, 0.0, torch.Generator().manual_seed(0)).any()


def test_captions_say_more_often_than_not_which_way_things_move():
    """A mirrored clip that is played backwards moves as before: the direction is that of the caption in most clips."""
    changes = random_changes(20_000, 0.2, torch.Generator().manual_seed(0))
    assert (changes[:, 4] == changes[:, 5]).float().mean() > 0.75
