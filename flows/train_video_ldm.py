"""Stage ``train_video_ldm``: ``python -m flows.train_video_ldm [SYSTEM]``."""

from __future__ import annotations

from functools import partial

from flows.common import execute, run_training, stage_flow
from flows.systems import DEFAULT, DIFFUSION, asked_system, find_system
from sketch2video.diffusion import training as video_ldm
from sketch2video.params import load_params


@stage_flow
def train_video_ldm(system: str = DEFAULT) -> dict[str, float]:
    """Train a system's denoiser of latent videos."""
    of = find_system(system, load_params())
    train = partial(
        video_ldm.train_video_ldm,
        control=of.control,
        mixture=of.mixture,
        latents=of.latents,
        images=of.images,
        autoencoder=of.parts / "autoencoder",
    )
    others = ["text_ldm"] if of.mixture else []
    return run_training("video_ldm", train, of.parts, of.reports, of.run_name("train_video_ldm"), others)


if __name__ == "__main__":
    execute(train_video_ldm, asked_system(train_video_ldm.description, DIFFUSION))
