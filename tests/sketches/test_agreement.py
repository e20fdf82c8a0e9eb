import numpy as np
import pytest

from sketch2video.sketches.agreement import ink_agreement, mean_agreement


def literal_agreement(drawn, true):
    """The definition, pixel by pixel."""

    def share(of, near):
        places, others = np.argwhere(of > 127), np.argwhere(near > 127)
        if not len(places):
            return 1.0
        return sum(any((y - v) ** 2 + (x - w) ** 2 <= 1 for v, w in others) for y, x in places) / len(places)

    precision, recall = share(drawn, true), share(true, drawn)
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("density", [0.0, 0.02, 0.2, 1.0])
def test_it_agrees_with_its_definition(density):
    rng = np.random.default_rng(0)
    for _ in range(5):
        drawn = np.uint8(rng.random((13, 17)) < 0.1) * 255
        true = np.uint8(rng.random((13, 17)) < density) * 255
        assert ink_agreement(drawn, true) == pytest.approx(literal_agreement(drawn, true))
        assert ink_agreement(true, drawn) == pytest.approx(literal_agreement(true, drawn))


def test_a_line_may_be_a_pixel_off_and_not_two():
    true, beside, away = np.zeros((3, 9, 9), np.uint8)
    true[4], beside[5], away[6] = 255, 255, 255
    assert ink_agreement(beside, true).f_score == 1
    assert ink_agreement(away, true).f_score == 0


def test_blank_sheets():
    blank, line = np.zeros((2, 5, 5), np.uint8)
    line[2] = 255
    assert ink_agreement(blank, blank) == (1, 1, 1)
    assert ink_agreement(blank, line) == (1, 0, 0)
    assert ink_agreement(line, blank) == (0, 1, 0)
    assert mean_agreement(np.stack([blank, line]), np.stack([line, line])) == (1, 0.5, 0.5)


def test_sizes_must_agree():
    with pytest.raises(ValueError, match=r"\(4, 5\), the true one \(5, 4\)"):
        ink_agreement(np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.uint8))
