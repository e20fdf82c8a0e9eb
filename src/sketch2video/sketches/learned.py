"""Photograph → lines, by the network that was trained on pictures and drawings of them.

The network gives a probability of ink. Its lines are the crests of that (non-maximum suppression across them, as HED's
edges are thinned: Xie & Tu 2015, section 4), as far as hysteresis keeps them (Canny 1986), without short pieces. This
module alone of ``sketches`` needs a network: it imports :mod:`sketch2video.models.sketcher` when it draws, so that the
classical extractor never loads PyTorch.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from skimage.filters import apply_hysteresis_threshold
from skimage.morphology import skeletonize

from sketch2video.errors import UserError
from sketch2video.files import fingerprint, read_json, write_json

if TYPE_CHECKING:
    from sketch2video.models.sketcher import Sketcher

FRAMES_AT_ONCE = 16

CREST_BLUR = 0.7
"""Pixels: more merges lines that run side by side, less finds crests in noise."""

DESCRIPTION = "sketcher.json"
"""Beside a network's weights, or in their place: whether it was trained."""


def extract_sketches_learned(frames: np.ndarray, model: Sketcher, *, threshold: float, min_length: float) -> np.ndarray:
    """Draw the lines of a clip.

    Args:
        frames: uint8 (T, H, W, 3), RGB.
        model: the network.
        threshold: probability of ink that starts a line; lines go on down to half of it.
        min_length: shortest line that is kept, in frame widths.

    Returns:
        uint8 (T, H, W), 255 ink on 0, lines one pixel wide.
    """
    if not frames.size:
        return np.zeros(frames.shape[:3], np.uint8)
    return lines_of(ink_probability(frames, model), threshold, min_length)


def write_description(folder: Path, trained: bool, **facts: str) -> None:
    """Say in a network's folder whether it was trained, and facts about that; the folder is made if needed."""
    write_json(folder / DESCRIPTION, {"trained": trained, **facts})


def is_trained(folder: Path) -> bool:
    """Whether a folder that ``train_sketcher`` left holds a trained network."""
    return (folder / DESCRIPTION).is_file() and bool(read_json(folder / DESCRIPTION)["trained"])


def trained_model(folder: Path) -> Sketcher:
    """The network of a folder, on the accelerator if there is one; it is read again when its files change.

    Raises:
        UserError: the folder holds no trained network, or a damaged one.
    """
    if not is_trained(folder):
        raise UserError(
            f"sketch.extractor is learned, but {folder} holds no trained sketcher; run `dvc repro train_sketcher`"
            " or choose classical"
        )
    return _loaded(folder, fingerprint([folder]))


@lru_cache(maxsize=1)
def _loaded(folder: Path, content: str) -> Sketcher:
    import torch

    from sketch2video.models.sketcher import load_sketcher

    return load_sketcher(folder).to("cuda" if torch.cuda.is_available() else "cpu")


def ink_probability(frames: np.ndarray, model: Sketcher) -> np.ndarray:
    """What the network makes of frames uint8 (T, H, W, 3): float32 (T, H, W) in [0, 1]."""
    import torch

    found = []
    with torch.no_grad():
        for part in np.split(frames, range(FRAMES_AT_ONCE, len(frames), FRAMES_AT_ONCE)):
            pixels = torch.from_numpy(np.ascontiguousarray(part)).to(model.device).movedim(-1, 1)
            found.append(model(pixels.float() / 127.5 - 1)[:, 0].sigmoid().float().cpu().numpy())
    return np.concatenate(found)


def lines_of(probability: np.ndarray, threshold: float, min_length: float) -> np.ndarray:
    """Lines one pixel wide along the crests of a probability (T, H, W) float32: uint8 (T, H, W)."""
    return np.stack([_lines(each, threshold, min_length) for each in probability])


def _lines(probability: np.ndarray, threshold: float, min_length: float) -> np.ndarray:
    crests = np.where(_is_crest(probability), probability, 0)
    # Where a crest is flat on top, both of its pixels are on it.
    thin = skeletonize(apply_hysteresis_threshold(crests, threshold / 2, threshold))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(thin.astype(np.uint8), connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] >= min_length * probability.shape[1]
    kept[0] = False
    return np.where(kept[labels], np.uint8(255), np.uint8(0))


def _is_crest(probability: np.ndarray) -> np.ndarray:
    """Where (H, W) no neighbour across the line is more likely; across is where the surface curves down most."""
    smooth = cv2.GaussianBlur(probability, (0, 0), CREST_BLUR)
    dxx, dyy, dxy = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((2, 0), (0, 2), (1, 1)))
    along = 0.5 * np.arctan2(2 * dxy, dxx - dyy)
    dx, dy = -np.sin(along), np.cos(along)
    y, x = np.mgrid[: len(smooth), : smooth.shape[1]].astype(np.float32)
    beside = (
        cv2.remap(smooth, x + side * dx, y + side * dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for side in (-1, 1)
    )
    return np.logical_and.reduce([smooth >= other for other in beside])
