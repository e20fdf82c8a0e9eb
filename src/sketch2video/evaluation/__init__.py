"""Scores, the judges that give them, and the report."""

from sketch2video.evaluation.metrics import (
    bootstrap_interval,
    frechet_distance,
    inception_score,
    kernel_distance,
    wilson_interval,
)

__all__ = [
    "bootstrap_interval",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "wilson_interval",
]
