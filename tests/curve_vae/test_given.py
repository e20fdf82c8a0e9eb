import cv2
import numpy as np
import pytest
import torch

from sketch2video.curve_vae.given import fit_drawing, known_frames, known_strokes, together, visible_strokes
from sketch2video.curves import CurveSequence
from sketch2video.curves.fitting.series import project
from tests.curve_vae.sets import HARMONICS, STROKES, network

HARMONICS_DRAWN = 8


def ring(x: float, y: float, size: float = 0.1, squeeze: float = 1.0) -> np.ndarray:
    out = np.zeros((2, HARMONICS_DRAWN), np.float32)
    out[:, 0] = x, y
    out[0, 1], out[1, 2] = size, squeeze * size
    return out


def drawings(*frames: list[np.ndarray | None]) -> CurveSequence:
    """One frame after the other, a stroke or None in each slot."""
    coefficients = np.zeros((len(frames), len(frames[0]), 2, HARMONICS_DRAWN), np.float32)
    visibility = np.zeros(coefficients.shape[:2], np.float32)
    for frame, strokes in enumerate(frames):
        for slot, stroke in enumerate(strokes):
            if stroke is not None:
                coefficients[frame, slot], visibility[frame, slot] = stroke, 1
    return CurveSequence(coefficients, visibility)


def test_drawn_frames_are_known_and_hold_no_other_strokes() -> None:
    vae = network()
    first, last = drawings([ring(0.2, 0.2), None]), drawings([None, ring(0.7, 0.7, 0.05), ring(0.3, 0.2)])
    known = known_frames(vae, {7: last, 0: first}, 8)
    assert known.shown.shape == (1, STROKES, 8)
    assert known.shown[0].long().sum(1).tolist() == [2, 1, 0, 0]
    assert (known.shown | known.hidden)[0, :, [0, 7]].all()
    assert not (known.shown | known.hidden)[0, :, 1:7].any()
    np.testing.assert_array_equal(known.coefficients[0, 0, 7], last.coefficients[0, 2][:, :HARMONICS])


def test_given_strokes_are_known_in_all_frames_and_leave_the_others_open() -> None:
    sequence = drawings([ring(0.2, 0.2)], [ring(0.2, 0.2)], [None], [ring(0.6, 0.6)])
    known = known_strokes(network(), sequence)
    assert known.shown[0].long().tolist() == [[1, 1, 0, 0], [0, 0, 0, 1], [0] * 4, [0] * 4]
    assert known.hidden[0].long().tolist() == [[0, 0, 1, 1], [1, 1, 1, 0], [0] * 4, [0] * 4]
    two = together([known, known])
    assert two.shown.shape == (2, STROKES, 4)
    torch.testing.assert_close(two.coefficients[1], known.coefficients[0])


def test_frames_outside_of_the_clip_and_too_many_strokes_are_refused() -> None:
    vae, drawing = network(), drawings([ring(0.2, 0.2)])
    for frames in ([0, 8], [-1, 3], []):
        with pytest.raises(ValueError, match="those of a clip are 0 to 7"):
            known_frames(vae, dict.fromkeys(frames, drawing), 8)
    crowd = drawings([ring(0.1 * i, 0.5) for i in range(STROKES + 1)])
    with pytest.raises(ValueError, match=f"{STROKES + 1} strokes, and the network draws at most {STROKES}"):
        known_strokes(vae, crowd)
    with pytest.raises(ValueError, match=f"frame 3 has {STROKES + 1} strokes, and the network draws at most {STROKES}"):
        known_frames(vae, {0: drawing, 3: crowd}, 8)


def test_a_closed_stroke_with_more_harmonics_than_the_network_stays_closed() -> None:
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    star = (0.2 + 0.05 * np.cos(5 * angles))[:, None] * np.stack([np.sin(angles), -np.cos(angles)], 1) + 0.5
    stroke = project(star, 3 * HARMONICS, closed=True)
    sequence = CurveSequence(stroke[None, None], np.ones((1, 1)))
    (cut,) = visible_strokes(sequence, HARMONICS)
    assert cut.shape == (2, HARMONICS)
    points = CurveSequence(cut[None, None], np.ones((1, 1))).points(3)[0, 0]
    np.testing.assert_allclose(points[0], points[-1], atol=1e-6)


def arcs(*parts: tuple[float, float, float]) -> np.ndarray:
    """Ink of arcs of a circle around (x, 64) px, from one angle to another, degrees: uint8 (128, 128)."""
    ink = np.zeros((128, 128), np.uint8)
    for x, begin, end in parts:
        cv2.ellipse(ink, (round(x), 64), (24, 24), 0, begin, end, 255)
    return ink


def test_a_line_in_pieces_is_one_stroke_where_a_clip_has_no_more() -> None:
    ink = arcs((64, 10, 120), (64, 140, 350))
    assert fit_drawing(ink, 4).visible.sum() == 2
    joined = fit_drawing(ink, 1)
    assert joined.visible.sum() == 1
    radius = np.linalg.norm(joined.points(100)[joined.visible] * 128 - 64.5, axis=-1)
    assert np.abs(radius - 24).mean() < 2


def test_a_drawing_that_needs_its_strokes_keeps_them() -> None:
    ink = arcs((34, 0, 360), (94, 0, 360))
    assert fit_drawing(ink, 1).visible.sum() == 2
    with pytest.raises(ValueError, match="frame 0 has 2 strokes"):
        known_frames(network(strokes=1), {0: fit_drawing(ink, 1)}, 8)
