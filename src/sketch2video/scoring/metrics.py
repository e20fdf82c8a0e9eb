"""Metrics of sets of samples: pure functions of arrays, in float64.

Features and probabilities come from a network (see :mod:`sketch2video.scoring.extractors`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, rel_entr

Matrix = NDArray[np.float64]


def frechet_distance(features_a: ArrayLike, features_b: ArrayLike) -> float:
    """Fréchet distance between Gaussians fitted to two sets of features, squared as in FID and FVD.

    ``|μa − μb|² + tr(Σa + Σb − 2 (Σa Σb)^½)`` (Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule",
    eq. 6; Unterthiner et al. 2018, "Towards Accurate Generative Models of Video"), covariances with N − 1.

    With centred features ``A = Qa Ra`` and ``B = Qb Rb`` (QR), the eigenvalues of Σa Σb are the squared singular values
    of ``Ra Rbᵀ``, so the trace of the root is a sum of singular values. No matrix root is taken: nothing is added to
    the diagonal and nothing imaginary is dropped, also where there are fewer samples than dimensions.

    Args:
        features_a: (N, D), N ≥ 2.
        features_b: (M, D), M ≥ 2.

    Returns:
        The distance, ≥ 0. Few samples bias it upwards; compare only numbers of the same N and M.

    Raises:
        ValueError: shapes do not fit, there are fewer than two samples, or a number is not finite.
    """
    a, b = _feature_pair(features_a, features_b)
    mean_a, mean_b = a.mean(0), b.mean(0)
    root_a = np.linalg.qr(a - mean_a)[1] / math.sqrt(len(a) - 1)
    root_b = np.linalg.qr(b - mean_b)[1] / math.sqrt(len(b) - 1)
    return gaussian_distance(mean_a, root_a, mean_b, root_b)


def gaussian_distance(mean_a: Matrix, root_a: Matrix, mean_b: Matrix, root_b: Matrix) -> float:
    """:func:`frechet_distance` of Gaussians that are given by their means and roots of their covariances.

    Args:
        mean_a: (D,).
        root_a: (any, D), any R with ``RᵀR = Σ``.
        mean_b, root_b: the same of the second one.
    """
    trace_of_root = np.linalg.norm(root_a @ root_b.T, "nuc")
    distance = ((mean_a - mean_b) ** 2).sum() + (root_a**2).sum() + (root_b**2).sum() - 2 * trace_of_root
    return max(float(distance), 0.0)


def kernel_distance(features_a: ArrayLike, features_b: ArrayLike) -> float:
    """Squared maximum mean discrepancy with the kernel ``(x·y/D + 1)³``, unbiased, over all samples.

    Bińkowski et al. 2018, "Demystifying MMD GANs", eq. 4 and section 4 (KID; KVD where features are a video network's).

    Args:
        features_a: (N, D), N ≥ 2.
        features_b: (M, D), M ≥ 2.

    Returns:
        The estimate. Its expectation does not depend on N and M; it may be below zero.

    Raises:
        ValueError: as :func:`frechet_distance`.
    """
    a, b = _feature_pair(features_a, features_b)
    within_a, within_b = cubic_kernel(a, a), cubic_kernel(b, b)
    n, m = len(a), len(b)
    mean_a = (within_a.sum() - np.trace(within_a)) / (n * (n - 1))
    mean_b = (within_b.sum() - np.trace(within_b)) / (m * (m - 1))
    return float(mean_a + mean_b - 2 * cubic_kernel(a, b).mean())


def inception_score(probabilities: ArrayLike, splits: int = 10) -> tuple[float, float]:
    """``exp(E[KL(p(y|x) ‖ p(y))])`` (Salimans et al. 2016, "Improved Techniques for Training GANs", section 4).

    Args:
        probabilities: (N, C), each row non-negative with sum 1.
        splits: number of consecutive parts, as equal as possible, that are scored separately.

    Returns:
        Mean and (population) standard deviation over the parts; the score is in [1, C].

    Raises:
        ValueError: not a matrix of distributions, or fewer samples than parts.
    """
    p = _distributions(probabilities)
    if not 1 <= splits <= len(p):
        raise ValueError(f"splits must be between 1 and the number of samples ({len(p)}), got {splits}")
    scores = [math.exp(rel_entr(part, part.mean(0)).sum(1).mean()) for part in np.array_split(p, splits)]
    return float(np.mean(scores)), float(np.std(scores))


def class_entropies(probabilities: ArrayLike) -> tuple[float, float]:
    """Entropies H(y|x) and H(y) of a classifier's predictions, the two parts of the inception score.

    ``H(y|x)`` is the mean entropy of a sample's prediction (lower: the class is certain), ``H(y)`` the entropy of the
    mean prediction (higher: the classes vary). With one split, ``inception_score = exp(H(y) − H(y|x))``. As in the code
    of Bai et al. 2021, "Contrastively Disentangled Sequential Variational Autoencoder" (``test_sprite_cls.py``).

    Args:
        probabilities: (N, C), each row non-negative with sum 1.

    Returns:
        ``H(y|x)`` and ``H(y)`` in nats, each in [0, ln C].

    Raises:
        ValueError: not a matrix of distributions.
    """
    p = _distributions(probabilities)
    return float(entr(p).sum(1).mean()), float(entr(p.mean(0)).sum())


def bootstrap_interval(
    statistic: Callable[..., float],
    *samples: NDArray[Any],
    resamples: int,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Normal interval around ``statistic(*samples)`` with the bootstrap's standard error (Efron 1979).

    The rows of each sample are drawn with replacement, each sample by itself. Only the *spread* of the resampled values
    is used: their centre is no guide for distances between distributions, because repeated rows look like a narrower
    distribution and push a Fréchet distance up.

    Args:
        statistic: takes as many arrays as there are samples, returns a number.
        samples: arrays with a leading sample axis.
        resamples: number of resamples, ≥ 2.
        seed: random seed.
        level: coverage, in (0, 1).

    Returns:
        Lower and upper bound.

    Raises:
        ValueError: an argument is out of its range.
    """
    if resamples < 2:
        raise ValueError(f"resamples must be at least 2 to have a spread, got {resamples}")
    rng = np.random.default_rng(seed)
    values = [statistic(*(s[rng.integers(len(s), size=len(s))] for s in samples)) for _ in range(resamples)]
    value, half = statistic(*samples), _quantile(level) * float(np.std(values, ddof=1))
    return value - half, value + half


def _quantile(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    return NormalDist().inv_cdf((1 + level) / 2)


def cubic_kernel(a: Matrix, b: Matrix) -> Matrix:
    """``(x·y/D + 1)³`` for every row x of (N, D) and y of (M, D): (N, M)."""
    return (a @ b.T / a.shape[1] + 1) ** 3


def _feature_pair(features_a: ArrayLike, features_b: ArrayLike) -> tuple[Matrix, Matrix]:
    a, b = _matrix(features_a, "features_a", least=2), _matrix(features_b, "features_b", least=2)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"both sets of features need the same width, got {a.shape[1]} and {b.shape[1]}")
    return a, b


def _distributions(probabilities: ArrayLike) -> Matrix:
    p = _matrix(probabilities, "probabilities", least=1)
    if p.min() < 0 or not np.allclose(p.sum(1), 1, atol=1e-4):
        raise ValueError("probabilities must be rows of non-negative numbers with sum 1")
    return p


def _matrix(values: ArrayLike, name: str, least: int) -> Matrix:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(f"{name} must be a matrix with one row a sample, got shape {matrix.shape}")
    if len(matrix) < least:
        raise ValueError(f"{name} needs at least {least} samples, got {len(matrix)}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} holds numbers that are not finite (NaN or infinity)")
    return matrix
