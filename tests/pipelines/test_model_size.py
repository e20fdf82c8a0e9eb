from __future__ import annotations

import torch

from sketch2video.pipelines.model_size import fit_to_size


def test_lines_stay_dark_when_they_shrink_and_other_pictures_keep_their_mean() -> None:
    picture = torch.zeros(1, 1, 1, 32, 32)
    picture[..., 12, :] = 1.0
    lines, other = fit_to_size(picture, 8, lines=True), fit_to_size(picture, 8)
    assert lines.shape == other.shape == (1, 1, 1, 8, 8)
    assert lines.amax() == 1
    assert other.amax() < 0.5
    torch.testing.assert_close(other.mean(), picture.mean(), atol=1e-3, rtol=0)
