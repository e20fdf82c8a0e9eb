"""Stage ``train_autoencoder``: ``python -m flows.train_autoencoder [SYSTEM]``."""

from __future__ import annotations

from functools import partial

from flows.common import execute, run_training, stage_flow
from flows.systems import DEFAULT, DIFFUSION, asked_system, find_system
from sketch2video.autoencoder import training as autoencoder
from sketch2video.params import load_params


@stage_flow
def train_autoencoder(system: str = DEFAULT) -> dict[str, float]:
    """Train a system's frame autoencoder."""
    of = find_system(system, load_params())
    train = partial(autoencoder.train_autoencoder, control=of.control)
    return run_training("autoencoder", train, of.parts, of.reports, of.run_name("train_autoencoder"))


if __name__ == "__main__":
    execute(train_autoencoder, asked_system(train_autoencoder.description, DIFFUSION))
