import numpy as np
import pytest

from sketch2video.curves.equation.nearest import are_near, nearest_points, put_distances_of_groups


def brute_force(points: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """All distances: (P, 2) and (N, 2) -> (N, P)."""
    return np.linalg.norm(queries[:, None] - points[None], axis=-1)


def line(count: int) -> np.ndarray:
    return np.stack([np.linspace(0, 90, count), np.full(count, 7.0)], 1)


GENERATOR = np.random.default_rng(0)
SETS = {
    "evenly spread": GENERATOR.uniform(0, 64, (300, 2)),
    "clusters": np.concatenate([GENERATOR.normal(c, 0.3, (60, 2)) for c in (5, 30, 60)]),
    "a line": line(100),
    "one point": np.array([[3.0, 4.0]]),
    "one point, many times": np.full((9, 2), 12.0),
    "outliers": np.concatenate([GENERATOR.uniform(0, 64, (50, 2)), GENERATOR.normal(0, 1e6, (9, 2))]),
}


@pytest.mark.parametrize("reach", [0.7, 4.0, np.inf])
@pytest.mark.parametrize("queried", SETS)
@pytest.mark.parametrize("name", SETS)
def test_the_nearest_points_are_those_of_all_distances(name, queried, reach):
    points, queries = SETS[name], SETS[queried]
    exact = brute_force(points, queries)
    distance, index = nearest_points(points, queries, reach)
    near = exact.min(1) < reach
    np.testing.assert_allclose(distance[near], exact.min(1)[near], atol=1e-9)
    np.testing.assert_allclose(exact[near, index[near]], exact.min(1)[near], atol=1e-9)
    assert np.isinf(distance[~near]).all()
    assert (index[~near] == -1).all()
    if np.isfinite(reach):
        np.testing.assert_array_equal(are_near(points, queries, reach), near)


def test_distances_of_groups_are_written_where_within_reach():
    groups, queries = GENERATOR.uniform(-5, 55, (3, 16, 2)), GENERATOR.uniform(0, 50, (40, 2))
    exact = np.stack([brute_force(group, queries).min(1) for group in groups])
    assert (exact <= 4).any()
    assert (exact > 4).any()
    starts = np.array([0, 100, 45])
    out = np.full(150, np.inf)
    put_distances_of_groups(groups, queries, 4.0, out, starts)
    for start, distances in zip(starts, exact, strict=True):
        found = out[start : start + 40]
        np.testing.assert_allclose(found, np.where(distances <= 4, distances, np.inf))
        out[start : start + 40] = np.inf
    assert np.isinf(out).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_points_that_are_not_finite_are_near_to_none(bad):
    points, queries = SETS["evenly spread"].copy(), SETS["clusters"].copy()
    points[[0, 7]], queries[[0, 5], 1] = bad, bad
    distance, index = nearest_points(points, queries)
    finite = np.isfinite(queries).all(1)
    valid = np.isfinite(points).all(1)
    np.testing.assert_allclose(distance[finite], brute_force(points[valid], queries[finite]).min(1))
    assert (index[~finite] == -1).all()
    assert (nearest_points(np.full((4, 2), bad), queries)[1] == -1).all()


def test_without_points_there_is_no_neighbour():
    none, some = np.zeros((0, 2)), SETS["clusters"]
    assert (nearest_points(none, some)[1] == -1).all()
    assert not are_near(none, some, 3.0).any()
    assert [len(found) for found in nearest_points(some, none)] == [0, 0]
