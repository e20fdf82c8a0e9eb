"""Stage ``train_sketcher``: ``python -m flows.train_sketcher``."""

from __future__ import annotations

from flows.common import execute, run_training, stage_flow
from sketch2video.training import sketcher


@stage_flow
def train_sketcher() -> dict[str, float]:
    """Train the network from photograph to drawing, where ``sketch.extractor`` asks for it."""
    return run_training("sketcher", sketcher.train_sketcher)


if __name__ == "__main__":
    execute(train_sketcher)
