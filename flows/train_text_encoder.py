"""Stage ``train_text_encoder``: ``python -m flows.train_text_encoder``."""

from __future__ import annotations

from flows.common import execute, run_training, stage_flow
from sketch2video.text import training as text_encoder


@stage_flow
def train_text_encoder() -> dict[str, float]:
    """Train the text encoder that all systems share."""
    return run_training("text_encoder", text_encoder.train_text_encoder)


if __name__ == "__main__":
    execute(train_text_encoder)
