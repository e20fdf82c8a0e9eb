"""Stage ``train_autoencoder``: ``python -m flows.train_autoencoder``."""

from __future__ import annotations

from flows.common import execute, run_training, stage_flow
from sketch2video.training import autoencoder


@stage_flow
def train_autoencoder() -> dict[str, float]:
    """Train the network from frame to latent and, with the sketch, back."""
    return run_training("autoencoder", autoencoder.train_autoencoder)


if __name__ == "__main__":
    execute(train_autoencoder)
