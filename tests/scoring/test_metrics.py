"""Metrics against other people's implementations, closed forms and definitions written out."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from sketch2video.evaluation import (
    bootstrap_interval,
    frechet_distance,
    inception_score,
    kernel_distance,
)
from sketch2video.scoring.metrics import class_entropies


def features(n, d, seed, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, scale, (n, d)) @ np.diag(np.linspace(0.2, 2, d))


def frechet_by_matrix_root(a, b):
    root = scipy.linalg.sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False))
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(
        np.cov(a, rowvar=False) + np.cov(b, rowvar=False) - 2 * root.real
    )


@pytest.mark.parametrize(("n", "m", "d"), [(200, 300, 16), (64, 500, 48), (30, 1000, 12)])
def test_frechet_distance_equals_scipys_matrix_root(n, m, d):
    a, b = features(n, d, 1), features(m, d, 2, scale=1.3, shift=0.2)
    assert frechet_distance(a, b) == pytest.approx(frechet_by_matrix_root(a, b), rel=1e-7)


def test_frechet_distance_with_fewer_samples_than_dimensions_equals_the_nuclear_norm_form():
    a, b = features(9, 40, 3), features(14, 40, 4, scale=0.7)
    centred = [(x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (a, b)]
    cross = np.linalg.norm(centred[0] @ centred[1].T, "nuc")
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + sum((c**2).sum() for c in centred) - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-10)


def test_frechet_distance_in_one_dimension_is_the_closed_form():
    a, b = features(50, 1, 5), features(70, 1, 6, scale=3, shift=2)
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-10)


def test_frechet_distance_of_a_shifted_copy_is_the_squared_shift_and_rotation_changes_nothing():
    a = features(100, 8, 7)
    shift = np.arange(8.0)
    assert frechet_distance(a, a + shift) == pytest.approx((shift**2).sum(), rel=1e-10)
    b = features(90, 8, 8, scale=2)
    rotation = scipy.stats.ortho_group.rvs(8, random_state=0)
    assert frechet_distance(a @ rotation, b @ rotation) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_float32_features_are_scored_in_float64():
    a, b = features(60, 8, 9).astype(np.float32), features(60, 8, 10).astype(np.float32)
    assert frechet_distance(a, b) == frechet_distance(a.astype(np.float64), b.astype(np.float64))


def test_kernel_distance_is_its_definition_summed_pair_by_pair():
    a, b = features(7, 5, 11), features(6, 5, 12, shift=0.5)

    def k(x, y):
        return (x @ y / 5 + 1) ** 3

    within = [np.mean([k(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]) for s in (a, b)]
    expected = sum(within) - 2 * np.mean([k(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-10)


def test_kernel_distance_does_not_grow_with_few_samples_as_the_frechet_distance_does():
    draws = [(features(12, 6, 100 + i), features(12, 6, 900 + i)) for i in range(400)]
    kernel = [kernel_distance(a, b) for a, b in draws]
    assert abs(np.mean(kernel)) < 4 * np.std(kernel) / np.sqrt(len(kernel))
    assert np.mean([frechet_distance(a, b) for a, b in draws]) > 1


def test_inception_score_is_the_exponential_of_the_mutual_information():
    p = np.random.default_rng(13).dirichlet(np.full(7, 0.3), 500)
    entropy = scipy.stats.entropy
    mean, std = inception_score(p, splits=1)
    assert mean == pytest.approx(np.exp(entropy(p.mean(0)) - entropy(p, axis=1).mean()), rel=1e-9)
    assert std == 0


def test_class_entropies_are_scipys_and_make_up_the_inception_score():
    p = np.random.default_rng(13).dirichlet(np.full(7, 0.3), 500)
    certain, varied = class_entropies(p)
    assert certain == pytest.approx(scipy.stats.entropy(p, axis=1).mean(), rel=1e-12)
    assert varied == pytest.approx(scipy.stats.entropy(p.mean(0)), rel=1e-12)
    assert np.exp(varied - certain) == pytest.approx(inception_score(p, splits=1)[0], rel=1e-12)


def test_class_entropies_of_sure_and_of_clueless_predictions():
    sure = np.eye(9)[np.arange(90) % 9]
    assert class_entropies(sure) == pytest.approx((0, np.log(9)))
    assert class_entropies(np.full((5, 9), 1 / 9)) == pytest.approx((np.log(9), np.log(9)))
    assert class_entropies(sure[:1]) == (0, 0)
    with pytest.raises(ValueError, match="sum 1"):
        class_entropies(np.ones((2, 3)))


def test_inception_score_of_parts_is_the_mean_and_spread_of_their_scores():
    p = np.random.default_rng(14).dirichlet(np.ones(4), 90)
    parts = [inception_score(part, splits=1)[0] for part in np.split(p, 3)]
    assert inception_score(p, splits=3) == pytest.approx((np.mean(parts), np.std(parts)))


@pytest.mark.parametrize(
    ("probabilities", "splits", "reason"),
    [
        (np.full((4, 3), 0.5), 1, "sum 1"),
        (np.array([[1.5, -0.5]]), 1, "non-negative"),
        (np.full((4, 2), 0.5), 5, "number of samples"),
        (np.full((4, 2), np.nan), 1, "not finite"),
    ],
)
def test_what_is_not_a_set_of_distributions_is_refused(probabilities, splits, reason):
    with pytest.raises(ValueError, match=reason):
        inception_score(probabilities, splits)


def test_bootstrap_interval_of_a_mean_is_the_textbook_interval():
    x = np.random.default_rng(15).normal(3, 2, 400)
    low, high = bootstrap_interval(lambda s: float(s.mean()), x, resamples=2000, seed=1)
    half = 1.96 * x.std(ddof=1) / 20
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.06 * half)
    assert (low, high) == bootstrap_interval(lambda s: float(s.mean()), x, resamples=2000, seed=1)


def test_bootstrap_interval_needs_a_spread():
    with pytest.raises(ValueError, match="at least 2"):
        bootstrap_interval(lambda s: 0.0, np.zeros(3), resamples=1)
