import numpy as np
import pytest
import torch

from sketch2video.curve_vae.given import known_frames, known_strokes, linked, together
from sketch2video.curves import CurveSequence
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


def test_strokes_that_moved_far_are_linked_by_their_shapes() -> None:
    flat, tall = {"squeeze": 0.2}, {"squeeze": 1.5}
    first = [ring(0.2, 0.5, **flat), ring(0.8, 0.5, **tall), None, None]
    last = [None, None, ring(0.25, 0.5, **tall), ring(0.85, 0.5, **flat)]
    strokes = linked(drawings(first, last))
    assert sorted(sorted(stroke.items()) for stroke in strokes) == [[(0, 0), (1, 3)], [(0, 1), (1, 2)]]


def test_equal_shapes_are_linked_by_the_shorter_way() -> None:
    first = [ring(0.2, 0.2), ring(0.8, 0.8), None, None]
    last = [None, None, ring(0.75, 0.7), ring(0.3, 0.2)]
    assert sorted(sorted(one.items()) for one in linked(drawings(first, last))) == [[(0, 0), (1, 3)], [(0, 1), (1, 2)]]


def test_another_shape_is_another_stroke() -> None:
    strokes = linked(drawings([ring(0.2, 0.2, 0.2), None], [None, ring(0.2, 0.2, 0.05)]))
    assert sorted(sorted(stroke.items()) for stroke in strokes) == [[(0, 0)], [(1, 1)]]


def test_drawn_frames_are_known_and_hold_no_other_strokes() -> None:
    vae = network()
    sequence = drawings([ring(0.2, 0.2), None], [ring(0.3, 0.2), ring(0.7, 0.7, 0.05)])
    known = known_frames(vae, sequence, [0, 7], 8)
    assert known.shown.shape == (1, STROKES, 8)
    assert known.shown[0].long().sum(1).tolist() == [2, 1, 0, 0]
    assert (known.shown | known.hidden)[0, :, [0, 7]].all()
    assert not (known.shown | known.hidden)[0, :, 1:7].any()
    np.testing.assert_array_equal(known.coefficients[0, 0, 7], sequence.coefficients[1, 0][:, :HARMONICS])


def test_given_strokes_are_known_in_all_frames_and_leave_the_others_open() -> None:
    sequence = drawings([ring(0.2, 0.2)], [ring(0.2, 0.2)], [None], [ring(0.6, 0.6)])
    known = known_strokes(network(), sequence)
    assert known.shown[0].long().tolist() == [[1, 1, 0, 0], [0, 0, 0, 1], [0] * 4, [0] * 4]
    assert known.hidden[0].long().tolist() == [[0, 0, 1, 1], [1, 1, 1, 0], [0] * 4, [0] * 4]
    two = together([known, known])
    assert two.shown.shape == (2, STROKES, 4)
    torch.testing.assert_close(two.coefficients[1], known.coefficients[0])


def test_frames_outside_of_the_clip_and_too_many_strokes_are_refused() -> None:
    vae, sequence = network(), drawings([ring(0.2, 0.2)], [ring(0.3, 0.2)])
    for frames in ([0, 8], [-1, 3], [3, 3], [4, 2]):
        with pytest.raises(ValueError, match="those of a clip are 0 to 7"):
            known_frames(vae, sequence, frames, 8)
    crowd = drawings([ring(0.1 * i, 0.5) for i in range(STROKES + 1)])
    with pytest.raises(ValueError, match=f"{STROKES + 1} strokes, and the network draws at most {STROKES}"):
        known_strokes(vae, crowd)
