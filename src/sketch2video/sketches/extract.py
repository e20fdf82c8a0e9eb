"""The choice of an extractor, ``sketch.extractor``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sketch2video.files import fingerprint
from sketch2video.params import SketchParams
from sketch2video.sketches.classical import extract_sketches
from sketch2video.sketches.learned import extract_sketches_learned, is_trained, trained_model

MODEL = Path("models/shared/sketcher")
"""The output folder of ``train_sketcher``."""


def draw_lines(frames: np.ndarray, sketch: SketchParams, model: Path = MODEL) -> np.ndarray:
    """Draw the lines of a clip by the extractor that the parameters name.

    Args:
        frames: uint8 (T, H, W, 3), RGB.
        sketch: the extractor and its settings.
        model: folder of the network that the learned one needs.

    Returns:
        uint8 (T, H, W), 255 ink on 0, lines about one pixel wide, in grey levels.

    Raises:
        UserError: the extractor is ``learned``, and the folder holds no trained network.
    """
    if sketch.extractor == "classical":
        return extract_sketches(
            frames, smoothing=sketch.smoothing, contrast=sketch.contrast, min_length=sketch.min_length
        )
    network = trained_model(model)
    return extract_sketches_learned(frames, network, threshold=sketch.threshold, min_length=sketch.min_length)


def made_by(sketch: SketchParams, model: Path = MODEL) -> dict[str, Any]:
    """What the lines depend on besides frames and code, JSON-able: for the keys of derived data.

    For the learned extractor that is the network, too: ``model`` is the fingerprint of its folder, or None if it holds
    no trained network.
    """
    if sketch.extractor == "classical":
        return sketch.model_dump(exclude={"threshold"})
    settings = sketch.model_dump(include={"extractor", "threshold", "min_length"})
    return {**settings, "model": fingerprint([model]) if is_trained(model) else None}
