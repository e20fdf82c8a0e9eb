"""Evaluation of systems: scores and the report."""

from sketch2video.scoring.metrics import (
    bootstrap_interval,
    frechet_distance,
    inception_score,
    kernel_distance,
)

__all__ = [
    "bootstrap_interval",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
]
