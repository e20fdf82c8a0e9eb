"""Line extraction by the network that was trained on pictures and drawings of them.

The network gives a probability of ink, whose lines :mod:`~sketch2video.sketches.thinning` draws. Only this module of
``sketches`` needs a network: it imports :mod:`sketch2video.sketches.network` when it draws, so that the classical
extractor never loads PyTorch.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sketch2video.errors import UserError
from sketch2video.files import fingerprint, read_json, write_json
from sketch2video.sketches.thinning import thinned

if TYPE_CHECKING:
    from sketch2video.sketches.network import Sketcher

FRAMES_AT_ONCE = 16

DESCRIPTION = "sketcher.json"
"""File beside the weights, or alone: whether the network was trained."""


def extract_sketches_learned(frames: np.ndarray, model: Sketcher, *, threshold: float, min_length: float) -> np.ndarray:
    """Draw the lines of a clip.

    Args:
        frames: uint8 (T, H, W, 3), RGB.
        model: the network.
        threshold: probability of ink that starts a line; lines continue down to half of it.
        min_length: shortest line that is kept, in frame widths.

    Returns:
        uint8 (T, H, W), 255 ink on 0, lines about one pixel wide, in grey levels.
    """
    if not frames.size:
        return np.zeros(frames.shape[:3], np.uint8)
    return thinned(ink_probability(frames, model), threshold, min_length)


def write_description(folder: Path, trained: bool, **facts: str) -> None:
    """Record in a network's folder whether it was trained, and facts about that; the folder is made if needed."""
    write_json(folder / DESCRIPTION, {"trained": trained, **facts})


def is_trained(folder: Path) -> bool:
    """Whether an output folder of ``train_sketcher`` holds a trained network."""
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
    from sketch2video.networks.precision import device_name
    from sketch2video.sketches.network import load_sketcher

    return load_sketcher(folder).to(device_name())


def ink_probability(frames: np.ndarray, model: Sketcher) -> np.ndarray:
    """Probability of ink for frames uint8 (T, H, W, 3): float32 (T, H, W) in [0, 1]."""
    import torch

    found = []
    with torch.no_grad():
        for part in np.split(frames, range(FRAMES_AT_ONCE, len(frames), FRAMES_AT_ONCE)):
            pixels = torch.from_numpy(np.ascontiguousarray(part)).to(model.device).movedim(-1, 1)
            found.append(model(pixels.float() / 127.5 - 1)[:, 0].sigmoid().float().cpu().numpy())
    return np.concatenate(found)
