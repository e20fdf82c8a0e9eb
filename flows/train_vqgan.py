"""Stage ``train_vqgan``: ``python -m flows.train_vqgan``."""

from __future__ import annotations

from flows.common import execute, run_training, stage_flow
from flows.systems import VQGAN, find_system
from sketch2video.params import load_params
from sketch2video.tokens import vqgan_training as vqgan


@stage_flow
def train_vqgan() -> dict[str, float]:
    """Train the hierarchical VQGAN of single frames."""
    of = find_system(VQGAN, load_params())
    return run_training("vqgan", vqgan.train_vqgan, of.parts, of.reports, of.run_name("train_vqgan"))


if __name__ == "__main__":
    execute(train_vqgan)
