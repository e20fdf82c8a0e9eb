"""Stage ``train_video_ldm``: ``python -m flows.train_video_ldm``."""

from __future__ import annotations

from flows.common import execute, run_training, stage_flow
from sketch2video.training import video_ldm


@stage_flow
def train_video_ldm() -> dict[str, float]:
    """Train the network that paints a video over a sketch, in latents."""
    return run_training("video_ldm", video_ldm.train_video_ldm)


if __name__ == "__main__":
    execute(train_video_ldm)
