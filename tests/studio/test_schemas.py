from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sketch2video.studio.schemas import MOST_FRAMES, MOST_HARMONICS, MOST_NUMBERS, Drawing

ROW = [0.0] * MOST_HARMONICS


def full_stroke(name: str) -> dict[str, Any]:
    """A stroke with as many coefficients and key frames as one may have."""
    rows = [ROW] * MOST_FRAMES
    keys = [{"frame": frame, "x": ROW, "y": ROW} for frame in range(MOST_FRAMES)]
    return {"id": name, "x": rows, "y": rows, "visible": [True] * MOST_FRAMES, "keys": keys}


def test_coefficients_of_all_strokes_and_key_frames_together_are_bounded() -> None:
    of_one = 4 * MOST_FRAMES * MOST_HARMONICS
    most = MOST_NUMBERS // of_one
    assert most >= 1
    strokes = [full_stroke(f"s{i}") for i in range(most + 1)]
    settings = {"frames": MOST_FRAMES, "fps": 8.0}
    drawing = Drawing.model_validate({**settings, "strokes": strokes[:-1]})
    assert sum(stroke.size for stroke in drawing.strokes) == most * of_one
    with pytest.raises(ValidationError, match=f"the drawing has more than {MOST_NUMBERS} coefficients"):
        Drawing.model_validate({**settings, "strokes": strokes})
