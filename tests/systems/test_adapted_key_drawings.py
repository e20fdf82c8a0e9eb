"""Drawings of some frames of a request to an adapted base."""

import numpy as np
import pytest
import torch

from sketch2video.curves import CurveSequence
from sketch2video.systems.adapted_video.key_drawings import ink_of_key_frames

CPU = torch.device("cpu")


def line(height: float) -> CurveSequence:
    """One frame with a horizontal line."""
    coefficients = np.zeros((1, 1, 2, 2), np.float32)
    coefficients[0, 0, 0] = 0.5, 0.3
    coefficients[0, 0, 1, 0] = height
    return CurveSequence(coefficients, np.ones((1, 1), np.float32))


def test_curves_of_some_frames_are_drawn_as_their_pictures_are() -> None:
    curves = ink_of_key_frames({0: line(0.25), 3: [line(0.5), line(0.75)]}, 2, 4, (32, 32), CPU)
    drawn = {height: line(height).render(32, 32)[0] for height in (0.25, 0.5, 0.75)}
    pictures = {0: drawn[0.25], 3: np.stack([drawn[0.5], drawn[0.75]])}
    assert torch.equal(curves, ink_of_key_frames(pictures, 2, 4, (32, 32), CPU))
    assert curves.shape == (2, 4, 1, 32, 32)
    assert [bool(curves[:, frame].any()) for frame in range(4)] == [True, False, False, True]
    assert torch.equal(curves[0, 0], curves[1, 0])
    rows = curves[:, 3, 0].mean(2).argmax(1).tolist()
    assert rows == [int(np.argmax(drawn[height].mean(1))) for height in (0.5, 0.75)]


def test_frames_after_the_end_are_refused() -> None:
    with pytest.raises(ValueError, match="given for frame 4, but the video has 4"):
        ink_of_key_frames({4: line(0.5)}, 1, 4, (32, 32), CPU)
