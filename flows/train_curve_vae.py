"""Stage ``train_curve_vae``: ``python -m flows.train_curve_vae``."""

from __future__ import annotations

from flows.common import execute, run_training, stage_flow
from sketch2video.training import curve_vae


@stage_flow
def train_curve_vae() -> dict[str, float]:
    """Train the network from caption and noise to a sequence of curves."""
    return run_training("curve_vae", curve_vae.train_curve_vae)


if __name__ == "__main__":
    execute(train_curve_vae)
