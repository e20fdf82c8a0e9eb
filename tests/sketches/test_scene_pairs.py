import numpy as np

from sketch2video.sketches import extract_sketches
from sketch2video.sketches.agreement import mean_agreement
from sketch2video.sketches.scene_pairs import HELD_OUT, TRAINING, _Bend, scene_pairs


def test_drawings_lie_on_what_the_pictures_show():
    pictures, ink = scene_pairs(24, 64, seed=0, part=TRAINING)
    assert pictures.shape == (24, 64, 64, 3)
    assert set(np.unique(ink)) == {0, 255}
    agreement = mean_agreement(extract_sketches(pictures), ink)
    assert agreement.precision > 0.85
    assert agreement.recall > 0.85
    shifted = mean_agreement(extract_sketches(pictures), np.roll(ink, 3, axis=2))
    assert shifted.f_score < agreement.f_score - 0.3


def test_a_picture_follows_from_seed_part_and_number_alone():
    first, _ = scene_pairs(3, 32, seed=0, part=TRAINING)
    more, _ = scene_pairs(5, 32, seed=0, part=TRAINING)
    np.testing.assert_array_equal(more[:3], first)
    for seed, part in ((1, TRAINING), (0, HELD_OUT)):
        other, _ = scene_pairs(3, 32, seed=seed, part=part)
        assert not np.array_equal(other, first)


def test_bending_has_an_inverse():
    rng = np.random.default_rng(0)
    for _ in range(20):
        bend, places = _Bend(rng), rng.random((50, 2))
        np.testing.assert_allclose(bend.inverse(bend(places)), places, atol=1e-6)
