"""A user's drawings and strokes as known strokes of a clip, which condition the prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from sketch2video.curve_vae.known import Known
from sketch2video.curve_vae.linking import is_closed, linked
from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.strokes import lives_of
from sketch2video.curves import CurveSequence, fit_curves
from sketch2video.curves.equation.measure import POINTS, nearest_distances
from sketch2video.curves.fitting.series import close

REACH, COVERED = 0.03, 0.95
"""A drawing is fitted with fewer strokes if this share of its ink is as near to them as this, frame widths."""


def fit_drawing(ink: np.ndarray, most: int, **settings: Any) -> CurveSequence:
    """Fit the drawing of one frame, with as few strokes as a clip may have if these draw all of it.

    A line that is drawn in pieces, or a stray mark, would otherwise make a drawing unusable.

    Args:
        ink: uint8 (H, W), 255 ink on 0.
        most: strokes of a clip.
        settings: of :func:`~sketch2video.curves.fit_curves`.

    Returns:
        One frame; with more than ``most`` strokes if so few cannot draw it.
    """
    curves = fit_curves(ink[None], **settings)
    if curves.visible.sum() <= most:
        return curves
    fewer = fit_curves(ink[None], **{**settings, "strokes": most})
    rows, columns = np.nonzero(ink > 127)
    pixels = (np.stack([columns, rows], axis=1) + 0.5) / ink.shape[1]
    there, _ = nearest_distances(pixels, fewer.points(POINTS)[fewer.visible].reshape(-1, 2))
    return fewer if (there < REACH).mean() >= COVERED else curves


def fit_for(vae: CurveVAE, ink: np.ndarray) -> CurveSequence:
    """Fit the drawing of one frame, uint8 (H, W), for a network; see :func:`fit_drawing`."""
    return fit_drawing(ink, vae.config.strokes, harmonics=vae.config.harmonics)


def known_frames(vae: CurveVAE, drawings: Mapping[int, CurveSequence], num_frames: int) -> Known:
    """One clip of which some frames are drawn.

    Args:
        vae: its config gives the number of strokes of a clip.
        drawings: one frame of curves each, by the index of the frame in the clip. Slots have no meaning: which strokes
            are the same is found by :func:`~sketch2video.curve_vae.linking.linked`.
        num_frames: T.

    Returns:
        For one clip: the strokes that are drawn, and no others in these frames.

    Raises:
        ValueError: a frame is not one of the clip, or its drawing has more strokes than a clip may have.
    """
    frames = sorted(drawings)
    if not frames or frames[0] < 0 or frames[-1] >= num_frames:
        raise ValueError(f"drawings are given for frames {frames}; those of a clip are 0 to {num_frames - 1}")
    drawn = [visible_strokes(drawings[frame], vae.config.harmonics) for frame in frames]
    for frame, strokes in zip(frames, drawn, strict=True):
        if len(strokes) > vae.config.strokes:
            raise ValueError(too_many(f"the drawing of frame {frame} has", len(strokes), vae))
    known = _nothing_known(vae, num_frames)
    known.hidden[0, :, frames] = True
    for stroke, series in enumerate(linked(drawn, vae.config.strokes)):
        for drawing, coefficients in series.items():
            frame = frames[drawing]
            known.coefficients[0, stroke, frame] = torch.from_numpy(coefficients)
            known.shown[0, stroke, frame], known.hidden[0, stroke, frame] = True, False
    return known


def known_strokes(vae: CurveVAE, strokes: CurveSequence) -> Known:
    """One clip of which some strokes are drawn in all frames; the others are not known.

    Args:
        vae: its config gives the number of strokes of a clip.
        strokes: T frames; each life of a slot is a stroke.

    Raises:
        ValueError: they are more than a clip may have.
    """
    lives = lives_of(strokes.visibility)
    if len(lives) > vae.config.strokes:
        raise ValueError(too_many("strokes= has", len(lives), vae))
    known = _nothing_known(vae, len(strokes))
    for stroke, (slot, birth, end) in enumerate(lives):
        drawn = slice(birth, end)
        series = _fitting(strokes.coefficients[drawn, slot], vae.config.harmonics)
        known.coefficients[0, stroke, drawn] = torch.from_numpy(series)
        known.shown[0, stroke, drawn] = True
        known.hidden[0, stroke] = ~known.shown[0, stroke]
    return known


def together(clips: Sequence[Known], device: torch.device | None = None) -> Known:
    """The known strokes of several clips, as a batch; on a device, or where they are."""
    return Known(*(torch.cat(parts).to(device) for parts in zip(*clips, strict=True)))


def visible_strokes(drawing: CurveSequence, harmonics: int) -> np.ndarray:
    """The strokes that a drawing of one frame shows: (n, 2, harmonics) float32, frame widths."""
    strokes = drawing.coefficients[0, drawing.visible[0]]
    fitting = _fitting(strokes, harmonics)
    for before, stroke in zip(strokes, fitting, strict=True):
        if is_closed(before) and not is_closed(stroke):  # harmonics were cut
            stroke[:] = close(stroke)
    return fitting


def too_many(subject: str, strokes: int, vae: CurveVAE) -> str:
    """The message about more strokes than a clip may have."""
    return (
        f"{subject} {strokes} strokes, and the network draws at most {vae.config.strokes} a clip;"
        " leave out the shortest"
    )


def _nothing_known(vae: CurveVAE, frames: int) -> Known:
    shape = (1, vae.config.strokes, frames)
    nothing = torch.zeros(shape, dtype=torch.bool)
    return Known(torch.zeros(*shape, 2, vae.config.harmonics), nothing, nothing.clone())


def _fitting(coefficients: np.ndarray, harmonics: int) -> np.ndarray:
    """Coefficients (..., 2, K) with so many harmonics: cut, or filled with zeros."""
    out = np.zeros((*coefficients.shape[:-1], harmonics), np.float32)
    shared = min(harmonics, coefficients.shape[-1])
    out[..., :shared] = coefficients[..., :shared]
    return out
