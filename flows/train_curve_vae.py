"""Stage ``train_curve_vae``: ``python -m flows.train_curve_vae``."""

from __future__ import annotations

from flows.common import execute, run_training, stage_flow
from sketch2video.curve_vae import training


@stage_flow
def train_curve_vae() -> dict[str, float]:
    """Train the autoencoder of strokes, and the prior from caption and noise to sets of them."""
    return run_training("curve_vae", training.train_curve_vae)


if __name__ == "__main__":
    execute(train_curve_vae)
