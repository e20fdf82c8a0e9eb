import numpy as np

from sketch2video.curves.fitting.registration import HIDDEN, Registration
from sketch2video.curves.fitting.series import planes, samples


def test_the_solution_is_that_of_the_ridge_problem():
    generator = np.random.default_rng(0)
    onto = Registration(64, 12, 0.001)
    prior = generator.normal(size=(3, 2, 12))
    target = samples(prior) + generator.normal(size=(3, onto.n, 2))
    weight = generator.uniform(0, 3, (3, onto.n)) * (generator.random((3, onto.n)) < 0.7)
    found = onto.solve(prior, weight, planes(target), np.zeros(3, bool), 4.0)
    for i in range(3):
        hidden = 1 - (weight[i] > 0).mean()
        ridge = 0.01 + 4.0 * 0.001 * onto.n * np.arange(12) ** 2 * (1 + HIDDEN * hidden)
        rows = np.concatenate([np.sqrt(weight[i])[:, None] * onto.basis, np.diag(np.sqrt(ridge))])
        right = np.concatenate([np.sqrt(weight[i])[:, None] * target[i], np.sqrt(ridge)[:, None] * prior[i].T])
        np.testing.assert_allclose(found[i], np.linalg.lstsq(rows, right, rcond=None)[0].T, atol=1e-9)
