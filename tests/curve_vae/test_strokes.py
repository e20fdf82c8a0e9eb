import numpy as np
import pytest
import scipy.fft
import torch

from sketch2video.curve_vae.strokes import (
    alive,
    decompose,
    frame_times,
    from_series,
    into_slots,
    lives_of,
    rms_distance,
    stroke_sets,
    strokes_needed,
    to_series,
)
from sketch2video.curves import CurveSequence
from tests.curve_vae.sets import smooth, strokes


def test_place_is_the_mean_of_a_strokes_points_and_size_their_spread() -> None:
    coefficients = smooth(3, frames=5)[0][:, None]
    parts = decompose(coefficients)
    points = CurveSequence(coefficients.numpy(), np.ones((5, 1), np.float32)).points(20001)  # the trapezoid rule over u
    weight = np.r_[0.5, np.ones(19999), 0.5][:, None] / 20000
    mean = (points * weight).sum(2)
    spread = np.sqrt((((points - mean[:, :, None]) ** 2) * weight).sum((2, 3)))
    np.testing.assert_allclose(parts.position, mean, atol=1e-5)
    np.testing.assert_allclose(parts.log_size.exp(), spread, rtol=1e-4)
    torch.testing.assert_close(parts.coefficients(), coefficients)


def test_a_dot_has_a_finite_size() -> None:
    parts = decompose(torch.zeros(1, 2, 4))
    assert torch.isfinite(parts.log_size).all()
    assert (parts.coefficients() == 0).all()


def test_distances_are_those_between_drawn_points() -> None:
    one, other = smooth(2, frames=3)
    apart = [CurveSequence(c.numpy()[:, None], np.ones((3, 1), np.float32)).points(4001) for c in (one, other)]
    expected = np.sqrt(((apart[0] - apart[1]) ** 2).sum(-1).mean(-1))[:, 0]
    np.testing.assert_allclose(rms_distance(one - other), expected, rtol=1e-3)


def test_series_in_time_are_the_discrete_cosine_transform() -> None:
    values = torch.randn(3, 8, 2)
    series = to_series(values, 8)
    expected = scipy.fft.dct(values.numpy(), type=2, axis=1) / 8
    expected[:, 0] /= 2
    np.testing.assert_allclose(series, expected, atol=1e-5)
    torch.testing.assert_close(from_series(series, frame_times(8)), values, atol=1e-5, rtol=1e-4)


def test_few_terms_are_the_least_squares_and_few_frames_go_through_all() -> None:
    values = torch.randn(8, 1)
    basis = np.cos(np.pi * np.outer(frame_times(8).numpy(), np.arange(3)))
    np.testing.assert_allclose(to_series(values, 3), np.linalg.lstsq(basis, values.numpy(), rcond=None)[0], atol=1e-5)
    few = torch.randn(2, 1)
    torch.testing.assert_close(from_series(to_series(few, 5), frame_times(2)), few, atol=1e-5, rtol=1e-4)


def test_a_life_holds_the_frames_whose_middles_lie_in_it() -> None:
    shown = alive(torch.tensor([[0.25, 0.5], [0.0, 1.0], [0.6, 0.4]]), 8)
    assert shown.long().tolist() == [[0, 0, 1, 1, 0, 0, 0, 0], [1] * 8, [0] * 8]
    assert alive(torch.tensor([0.25, 0.5]), 16).long().nonzero()[:, 0].tolist() == [4, 5, 6, 7]


def test_every_life_of_a_slot_is_a_stroke_held_where_it_is_not_visible() -> None:
    coefficients = smooth(2, frames=6).transpose(0, 1)[None].numpy().copy()
    coefficients[:, :, 0, :, 1] += 1.0  # more ink in the first slot
    visibility = np.ones((1, 6, 2), np.float32)
    visibility[0, 2:4, 0] = 0
    visibility[0, 5, 1] = 0.4
    sets = stroke_sets(coefficients, visibility, 5)
    assert sets.present.tolist() == [[True, True, True, False, False]]
    assert sorted(map(tuple, (sets.life[0, :3] * 6).round().long().tolist())) == [(0, 2), (0, 5), (4, 6)]
    early = int(((sets.life[0, :, 0] == 0) & (sets.life[0, :, 1] < 0.5)).nonzero()[0])
    held = sets.coefficients[0, early].numpy()
    np.testing.assert_array_equal(held[:2], coefficients[0, :2, 0])
    np.testing.assert_array_equal(held[2:], np.repeat(coefficients[0, 1:2, 0], 4, axis=0))
    assert sets.visible[0].sum() == (visibility > 0.5).sum()


def test_what_is_beyond_the_limit_is_the_least_ink() -> None:
    coefficients = np.zeros((1, 2, 3, 2, 3), np.float32)
    coefficients[0, :, :, 0, 1] = [0.1, 0.3, 0.2]
    visibility = np.ones((1, 2, 3), np.float32)
    assert stroke_sets(coefficients, visibility, 2).coefficients[0, :, 0, 0, 1].tolist() == pytest.approx([0.3, 0.2])


def test_strokes_needed_hold_almost_all_lives() -> None:
    counts = np.array([1] * 99 + [4])
    assert strokes_needed(counts, 10) == 3  # 99 + 3 of 103 lives
    assert strokes_needed(counts, 2) == 2
    assert strokes_needed(np.zeros(3, int), 4) == 1


def test_slots_hold_the_strokes_that_sets_were_made_of() -> None:
    sets = strokes(frames=8)
    out, seen = into_slots(sets.coefficients[0], sets.visible[0], 3)
    assert seen.sum() == sets.visible[0].sum()
    assert (out[seen == 0] == 0).all()
    again = stroke_sets(out[None].numpy(), seen[None].numpy(), 4)
    for part in (sets.visible[0], again.visible[0]):
        assert part.any(1).sum() == 3

    def drawn(one):
        return sorted(float(c[v].abs().sum()) for c, v in zip(one.coefficients[0], one.visible[0], strict=True))

    assert drawn(again) == pytest.approx(drawn(sets), rel=1e-5)


def test_a_slot_is_used_again_after_a_rest_and_the_least_ink_goes_without() -> None:
    coefficients = torch.ones(3, 6, 2, 2) * torch.tensor([1.0, 2.0, 3.0])[:, None, None, None]
    visible = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 1, 0]]).bool()
    out, seen = into_slots(coefficients, visible, 2)
    assert seen.T.long().tolist() == [[1, 1, 0, 1, 1, 1], [0, 1, 1, 1, 1, 0]]
    assert out[:, 0, 0, 0].tolist() == [1, 1, 0, 2, 2, 2]
    _, one = into_slots(coefficients, visible, 1)
    assert one[:, 0].tolist() == [0, 1, 1, 1, 1, 0]
    first, _ = into_slots(coefficients, visible, 1, torch.tensor([False, True, False]))
    assert first[3:, 0, 0, 0].tolist() == [2, 2, 2]


def test_lives_are_the_runs_of_a_slot() -> None:
    visibility = np.array([[1, 0], [0, 0], [1, 1], [1, 0.5]], np.float32)
    assert lives_of(visibility).tolist() == [[0, 0, 1], [0, 2, 4], [1, 2, 3]]
    assert lives_of(np.zeros((3, 2))).shape == (0, 3)
