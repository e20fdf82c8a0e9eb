"""Train the frozen judges of the evaluation again: ``python -m flows.train_judge [video|sketch]``.

Not a stage: the judges are part of the package, so that scores of different clones are comparable. Run it only if the
synthetic scenes change; scores by different judges are not comparable, and the judges' names show the difference.
The stage ``train_judge`` is another one: it trains the judge of the labels of your own data.
"""

from __future__ import annotations

import argparse

from flows.common import execute, stage_flow
from sketch2video.judges import scenes_judge_training as judge_training
from sketch2video.judges.shipped import store_judge
from sketch2video.tracking.runs import tracked_run
from sketch2video.training.checkpoints import folder_for

KINDS = ("video", "sketch")
"""Kinds of judges."""


@stage_flow
def train_judge(kind: str, seed: int = 0) -> None:
    """Train a judge and replace the one of the package.

    Args:
        kind: "video" or "sketch".
        seed: random seed of weights and scenes.
    """
    settings = {"kind": kind, "seed": seed, "training": judge_training.TRAINING.model_dump()}
    with tracked_run("train_judge", settings) as run:
        trained, result = judge_training.train_judge(
            kind,
            checkpoint_folder=folder_for(f"judge_{kind}", settings, [], code=[str(judge_training.__file__)]),
            logger=run,
            seed=seed,
        )
        path = store_judge(trained, kind)
        run.folder(path, path.name)
    found = ", ".join(f"{name} {value:.3f}" for name, value in result.metrics.items())
    print(f"{path}: {found} on held-out scenes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m flows.train_judge", description="Train the frozen judges again")
    parser.add_argument("kind", nargs="?", choices=KINDS, help="by default both")
    kind = parser.parse_args().kind
    for chosen in [kind] if kind else KINDS:
        execute(train_judge, chosen)
