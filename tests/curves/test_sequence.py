import json

import numpy as np
import pytest

from sketch2video.curves import CurveSequence
from sketch2video.errors import UserError


def a_sequence() -> CurveSequence:
    rng = np.random.default_rng(0)
    coefficients = rng.normal(0, 0.1, (3, 4, 2, 5)).astype(np.float32)
    coefficients[:, 1, :, 3:] = 0
    return CurveSequence(coefficients, np.array([[1, 1, 0, 0], [1, 0.6, 0.4, 0], [1, 1, 1, 0]], np.float32))


def test_a_straight_stroke_is_two_harmonics():
    # x(u) = 0.5 - 0.3 cos(pi u) runs from 0.2 to 0.8.
    sequence = CurveSequence(np.array([[[[0.5, -0.3], [0.25, 0.0]]]]), np.ones((1, 1)))
    points = sequence.points(3)[0, 0]
    np.testing.assert_allclose(points, [[0.2, 0.25], [0.5, 0.25], [0.8, 0.25]], atol=1e-6)
    rows, columns = np.nonzero(sequence.render(40, 40)[0] > 127)
    assert set(rows) <= {9, 10}  # y = 10 px is the border between these rows
    assert (columns.min(), columns.max()) == pytest.approx((8, 31), abs=1)


def test_numbers_are_counted_in_the_fullest_frame():
    assert a_sequence().num_parameters == 10 + 6 + 10 + 4


def test_saving_replaces_and_loads_exactly(tmp_path):
    sequence = a_sequence()
    for _ in range(2):
        sequence.save(tmp_path / "curves")
    again = CurveSequence.load(tmp_path / "curves")
    np.testing.assert_array_equal(again.coefficients, sequence.coefficients)
    np.testing.assert_array_equal(again.visibility, sequence.visibility)
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == {"curves.safetensors", "curves.json"}


def test_what_is_no_curve_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="missing"):
        CurveSequence.load(tmp_path / "nothing")
    a_sequence().save(tmp_path / "curves")
    (tmp_path / "curves" / "curves.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="cannot be read"):
        CurveSequence.load(tmp_path / "curves")
    (tmp_path / "curves" / "curves.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(UserError, match="format"):
        CurveSequence.load(tmp_path / "curves")


@pytest.mark.parametrize(
    ("coefficients", "visibility"),
    [
        (np.zeros((2, 3, 2)), np.zeros((2, 3))),
        (np.zeros((2, 3, 2, 4)), np.zeros((2, 4))),
        (np.full((1, 1, 2, 2), np.nan), np.ones((1, 1))),
    ],
)
def test_impossible_arrays_are_refused(coefficients, visibility):
    with pytest.raises(ValueError, match="coefficients"):
        CurveSequence(coefficients, visibility)
