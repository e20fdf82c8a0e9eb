from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sketch2video.curves import CurveSequence
from sketch2video.errors import UserError
from sketch2video.generation.drawings import draw_caption
from sketch2video.systems.loading import load_pipeline
from tests.conftest import tiny_vqgan_pipeline


def check_same(pipeline: Any) -> None:
    """The drawing alone is that of the whole call."""
    caption = "a red circle moves left to right"
    for seed, frames in ((3, 6), (4, None)):
        out = pipeline([caption], num_frames=frames, fps=[7.0], generator=[torch.Generator().manual_seed(seed)])
        drawn = draw_caption(pipeline, caption, seed, frames, 7.0)
        assert np.array_equal(drawn.coefficients, out.curves[0].coefficients)
        assert np.array_equal(drawn.visibility, out.curves[0].visibility)


def test_the_drawing_is_that_of_the_pipelines_call(tiny_pipeline_folder: Path) -> None:
    check_same(load_pipeline(tiny_pipeline_folder))


def test_also_of_tokens_that_follow_drawings() -> None:
    check_same(tiny_vqgan_pipeline(control_channels=1))


def test_a_system_that_does_not_draw_says_so(tiny_text_pipeline_folder: Path) -> None:
    with pytest.raises(UserError, match="does not draw"):
        draw_caption(load_pipeline(tiny_text_pipeline_folder), "x", 0, None, 8.0)


def test_mistakes_are_those_of_the_call(tiny_pipeline_folder: Path) -> None:
    with pytest.raises(ValueError, match="fps is 0"):
        draw_caption(load_pipeline(tiny_pipeline_folder), "x", 0, 4, 0.0)


def test_given_frames_are_those_of_the_call(tiny_pipeline_folder: Path) -> None:
    pipeline = load_pipeline(tiny_pipeline_folder)
    first = CurveSequence(np.array([[[[0.4, 0.2], [0.5, 0.1]]]], np.float32), np.ones((1, 1), np.float32))
    out = pipeline("x", num_frames=6, fps=8.0, generator=torch.Generator().manual_seed(3), curves={0: first})
    drawn = draw_caption(pipeline, "x", 3, 6, 8.0, {0: first})
    assert np.array_equal(drawn.coefficients, out.curves[0].coefficients)
    assert not np.array_equal(drawn.coefficients, draw_caption(pipeline, "x", 3, 6, 8.0).coefficients)
