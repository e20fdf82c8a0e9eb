"""Stage ``train_vqgan``: ``python -m flows.train_vqgan``."""

from __future__ import annotations

from pathlib import Path

from flows.common import execute, run_training, stage_flow
from sketch2video.training import vqgan


@stage_flow
def train_vqgan() -> dict[str, float]:
    """Train the hierarchical VQGAN of single frames."""
    models, reports = Path("models/hierarchical"), Path("reports/hierarchical_vqgan")
    return run_training("vqgan", vqgan.train_vqgan, models, reports, "hierarchical_vqgan_train_vqgan")


if __name__ == "__main__":
    execute(train_vqgan)
