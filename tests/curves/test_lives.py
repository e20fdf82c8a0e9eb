import cv2
import numpy as np
import pytest

from sketch2video.curves import CurveSequence, fit_curves
from sketch2video.curves.fitting.centre_lines import centre_lines
from sketch2video.curves.fitting.ink_map import InkFrame
from sketch2video.curves.fitting.lives import Life, Shot, cover, join
from sketch2video.curves.fitting.series import project

SIZE, REACH, GAP = 96, 2.4, 3.0
N = 64


def ring(column: float, row: float, radius: float) -> np.ndarray:
    angle = (np.arange(N) + 0.5) / N * 2 * np.pi
    return np.stack([column + radius * np.sin(angle), row - radius * np.cos(angle)], 1)


def square(column: float, row: float, half: float) -> np.ndarray:
    corners = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
    at = (np.arange(N) + 0.5) / N * 4
    points = np.stack([np.interp(at, np.arange(5), corners[:, axis]) for axis in (0, 1)], 1)
    return points + np.array([column, row])


def life(first: int, lines: list[np.ndarray], closed: bool = True) -> Life:
    return Life(first, np.stack([project(points, 32, closed) for points in lines]), closed)


def drawn(frames: list[list[np.ndarray]], hider: np.ndarray | None = None) -> np.ndarray:
    """Closed outlines (n, 2) of each frame as ink; the hider covers what it goes round, and is drawn itself."""
    ink = np.zeros((len(frames), SIZE, SIZE), np.uint8)
    for picture, outlines in zip(ink, frames, strict=True):
        for points in outlines:
            cv2.polylines(picture, [(points * 16 - 8).round().astype(np.int32)], True, 255, 1, cv2.LINE_8, 4)
        if hider is not None:
            pixels = [(hider * 16 - 8).round().astype(np.int32)]
            cv2.fillPoly(picture, pixels, 0, cv2.LINE_8, 4)
            cv2.polylines(picture, pixels, True, 255, 1, cv2.LINE_8, 4)
    return ink


def shot(ink: np.ndarray) -> Shot:
    return Shot.of([InkFrame.of(*centre_lines(picture)) for picture in ink], REACH, GAP)


def lives(sequence: CurveSequence) -> int:
    seen = np.pad(sequence.visible, ((1, 0), (0, 0)))
    return int((seen[1:] & ~seen[:-1]).sum())


def covered(candidates: list[Life], ink: Shot) -> list[Life]:
    return [one.life for one in cover(ink.measured(candidates), ink)]


@pytest.mark.parametrize("row", [46, 50])
@pytest.mark.parametrize("outline", [ring, square])
def test_an_outline_that_passes_behind_another_is_one_stroke(outline, row):
    centres = [12 + 4.0 * t for t in range(19)]
    sequence = fit_curves(drawn([[outline(x, row, 9)] for x in centres], ring(48, 48, 22)))
    assert lives(sequence) == 2
    assert sequence.visible[:, :2].all()
    middle = sequence.points(65)[:, :2, :-1].mean(2) * SIZE
    passing = int(np.argmax(np.ptp(middle[..., 0], axis=0)))
    away = np.linalg.norm(middle[:, passing] - np.stack([centres, np.full(19, float(row))], 1), axis=1)
    assert away.max() < 5  # hidden or not


def test_what_is_hidden_gives_way_where_others_have_its_slot():
    """A circle passes behind another; while it is hidden a third one, elsewhere, has the second of two slots."""
    frames = [[ring(10 + 4.0 * t, 49, 8)] + [ring(80, 14, 9)] * (7 < t < 11) for t in range(21)]
    sequence = fit_curves(drawn(frames, ring(48, 48, 14)), strokes=2)
    assert (sequence.visible.sum(1) <= 2).all()
    others = np.abs(sequence.points(65)[9, :, :-1].mean(1) * SIZE - [80, 14]).max(1)
    assert others[sequence.visible[9]].min() < 2


def test_what_is_hidden_in_part_all_along_stays_one_stroke():
    sequence = fit_curves(drawn([[ring(30 + t, 48, 12)] for t in range(8)], square(52, 48, 14)))
    assert lives(sequence) == 2


def test_lives_of_one_form_are_joined_across_what_hides_them():
    early, late = ([ring(12 + 4.0 * t, 48, 8) for t in range(*bounds)] for bounds in ((0, 6), (13, 18)))
    ink = drawn([*([r] for r in early), *7 * [[]], *([r] for r in late)], ring(48, 48, 22))
    both = join(life(0, early), life(13, late), shot(ink))
    assert both is not None
    assert (both.first, both.end) == (0, 18)
    np.testing.assert_allclose(both.coefficients[:, 0, 0], 12 + 4.0 * np.arange(18), atol=0.1)


def test_the_start_of_a_joined_stroke_does_not_jump():
    early, late = ([ring(20, 48, 8)] * 3, [np.roll(ring(20, 48, 8), 20, axis=0)] * 3)
    both = join(life(0, early), life(3, late), shot(drawn(6 * [[ring(20, 48, 8)]])))
    assert both is not None
    np.testing.assert_allclose(both.coefficients[0], both.coefficients[-1], atol=0.2)


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(square(0, 0, 10) * [1, 0.2] + [40, 48], id="another form"),
        pytest.param(ring(40, 48, 20), id="another size"),
        pytest.param(ring(80, 80, 8), id="far away"),
    ],
)
def test_lives_of_different_strokes_are_not_joined(late):
    early = life(0, [ring(32, 48, 8), ring(34, 48, 8)])
    hiding = shot(drawn(6 * [[]], ring(48, 48, 44)))
    assert join(early, life(4, 2 * [ring(40, 48, 8)]), hiding) is not None
    assert join(early, life(4, 2 * [late]), hiding) is None


def test_lives_are_not_joined_where_nothing_hides_what_is_between():
    lines = [ring(32 + 2.0 * t, 48, 8) for t in range(6)]
    ink = drawn([[lines[0]], [lines[1]], [], [], [lines[4]], [lines[5]]])
    assert join(life(0, lines[:2]), life(4, lines[4:]), shot(ink)) is None


def test_a_piece_of_an_outline_that_is_drawn_as_a_whole_is_not_needed():
    ink = drawn(6 * [[ring(48, 48, 20)]])
    whole, piece = life(0, 6 * [ring(48, 48, 20)]), life(2, 3 * [ring(48, 48, 20)[5:30]], closed=False)
    for candidates in ([whole, piece], [piece, whole]):
        chosen = covered(candidates, shot(ink))
        assert len(chosen) == 1
        assert chosen[0].closed


def test_a_stroke_lives_only_while_it_draws_what_others_do_not():
    ink = drawn([*3 * [[ring(48, 48, 20)]], *3 * [[ring(48, 48, 20), ring(15, 15, 8)]]])
    chosen = covered([life(0, 6 * [ring(48, 48, 20)]), life(0, 6 * [ring(15, 15, 8)])], shot(ink))
    assert sorted((one.first, one.end) for one in chosen) == [(0, 6), (3, 6)]
