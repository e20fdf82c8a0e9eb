"""Stage ``train_long_video``: ``python -m flows.train_long_video``."""

from __future__ import annotations

from functools import partial

from flows.common import execute, run_training, stage_flow
from flows.systems import LONG_VIDEO, find_system
from sketch2video.params import load_params
from sketch2video.steadiness import tuning as long_video


@stage_flow
def train_long_video() -> dict[str, float]:
    """Tune the sketch system's video LDM for long, steady videos."""
    of = find_system(LONG_VIDEO, load_params())
    train = partial(long_video.tune_long_video, steadied=of.latents)
    return run_training("long_video", train, of.parts, of.reports, of.run_name("train"), ["video_ldm"])


if __name__ == "__main__":
    execute(train_long_video)
