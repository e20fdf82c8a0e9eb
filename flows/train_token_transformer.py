"""Stage ``train_token_transformer``: ``python -m flows.train_token_transformer``."""

from __future__ import annotations

from functools import partial

from flows.common import execute, run_training, stage_flow
from flows.systems import VQGAN, find_system
from sketch2video.params import load_params
from sketch2video.tokens import transformer_training as token_transformer


@stage_flow
def train_token_transformer() -> dict[str, float]:
    """Train the transformers over the VQGAN's tokens."""
    of = find_system(VQGAN, load_params())
    train = partial(token_transformer.train_token_transformer, tokens=of.latents, vqgan=of.parts / "vqgan")
    return run_training("token_transformer", train, of.parts, of.reports, of.run_name("train_token_transformer"))


if __name__ == "__main__":
    execute(train_token_transformer)
