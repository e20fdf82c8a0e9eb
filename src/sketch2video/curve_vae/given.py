"""A user's drawings and strokes as known strokes of a clip, which condition the prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from sketch2video.curve_vae.known import Known
from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.strokes import MIN_SIZE, lives_of
from sketch2video.curves import CurveSequence

ALIKE = 0.5
"""Two strokes of different drawings can match if the distance of their centred points is at most this share of the
larger one's size."""
FARNESS = 0.2
"""Weight of the distance between two such strokes, relative to the difference of their shapes."""


def known_frames(vae: CurveVAE, drawings: CurveSequence, frames: Sequence[int], num_frames: int) -> Known:
    """One clip of which some frames are drawn.

    Args:
        vae: its config gives the number of strokes of a clip.
        drawings: a frame for each of ``frames``; a slot that is visible in two of them is one stroke.
        frames: their indices in the clip, ascending.
        num_frames: T.

    Returns:
        For one clip: the strokes that are drawn, and no others in these frames.

    Raises:
        ValueError: the frames are not those of a clip of T frames, or the drawings have more strokes than a clip may.
    """
    if list(frames) != sorted(set(frames)) or not frames or frames[0] < 0 or frames[-1] >= num_frames:
        raise ValueError(f"drawings are given for frames {list(frames)}; those of a clip are 0 to {num_frames - 1}")
    strokes = linked(drawings)
    known = _nothing_known(vae, num_frames, len(strokes), "the drawings have")
    known.hidden[0, :, list(frames)] = True
    for stroke, index_of in enumerate(strokes):
        for drawing, slot in index_of.items():
            frame = frames[drawing]
            known.coefficients[0, stroke, frame] = _fitting(drawings.coefficients[drawing, slot], vae.config.harmonics)
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
    known = _nothing_known(vae, len(strokes), len(lives), "strokes= has")
    for stroke, (slot, birth, end) in enumerate(lives):
        drawn = slice(birth, end)
        known.coefficients[0, stroke, drawn] = _fitting(strokes.coefficients[drawn, slot], vae.config.harmonics)
        known.shown[0, stroke, drawn] = True
        known.hidden[0, stroke] = ~known.shown[0, stroke]
    return known


def together(clips: Sequence[Known]) -> Known:
    """The known strokes of several clips, as a batch."""
    return Known(*(torch.cat(parts) for parts in zip(*clips, strict=True)))


def linked(drawings: CurveSequence) -> list[dict[int, int]]:
    """The strokes of drawings that belong to one clip: for each, its slot in every drawing that shows it.

    Tracking follows strokes that move a little. Strokes that end in one drawing and others that begin in a later one
    are matched by their shapes (Kuhn and Munkres' assignment), since a stroke may move far between two drawings.
    """
    strokes = [
        {drawing: int(slot) for drawing in range(birth, end)} for slot, birth, end in lives_of(drawings.visibility)
    ]
    strokes.sort(key=lambda stroke: (min(stroke), stroke[min(stroke)]))
    while True:
        ended = [stroke for stroke in strokes if max(stroke) < len(drawings) - 1]
        begun = [stroke for stroke in strokes if min(stroke) > 0]
        cost = np.array(
            [[_unlikeness(drawings, one, other) for other in begun] for one in ended] or np.zeros((0, len(begun)))
        ).reshape(len(ended), len(begun))
        pairs = [(a, b) for a, b in zip(*linear_sum_assignment(np.minimum(cost, 1e3)), strict=True) if cost[a, b] < 1e3]
        if not pairs:
            return strokes
        one, other = min(pairs, key=lambda pair: cost[pair])
        ended[one].update(begun[other])
        strokes = [stroke for stroke in strokes if stroke is not begun[other]]


def _unlikeness(drawings: CurveSequence, one: dict[int, int], other: dict[int, int]) -> float:
    """Cost of matching ``one`` with a later ``other``; infinite where they cannot match."""
    last, first = max(one), min(other)
    if last >= first:
        return np.inf
    a, b = drawings.coefficients[last, one[last]], drawings.coefficients[first, other[first]]
    sizes = [np.sqrt((c[:, 1:] ** 2).sum() / 2) for c in (a, b)]
    bent = np.sqrt(((a - b)[:, 1:] ** 2).sum() / 2) / max(*sizes, MIN_SIZE)
    if bent > ALIKE:
        return np.inf
    return float(bent + FARNESS * np.hypot(*(a - b)[:, 0]))


def _nothing_known(vae: CurveVAE, frames: int, strokes: int, subject: str) -> Known:
    config = vae.config
    if strokes > config.strokes:
        raise ValueError(
            f"{subject} {strokes} strokes, and the network draws at most {config.strokes} a clip;"
            " leave out the shortest"
        )
    shape = (1, config.strokes, frames)
    nothing = torch.zeros(shape, dtype=torch.bool)
    return Known(torch.zeros(*shape, 2, config.harmonics), nothing, nothing.clone())


def _fitting(coefficients: np.ndarray, harmonics: int) -> torch.Tensor:
    """Coefficients (..., 2, K) with so many harmonics: cut, or filled with zeros."""
    out = np.zeros((*coefficients.shape[:-1], harmonics), np.float32)
    shared = min(harmonics, coefficients.shape[-1])
    out[..., :shared] = coefficients[..., :shared]
    return torch.from_numpy(out)
