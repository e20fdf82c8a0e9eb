"""Stage ``train_sketcher``: ``python -m flows.train_sketcher``.

With the classical extractor, the default, there is nothing to train. Then the stage says so in its outputs and ends,
before it has loaded Prefect, MLflow and PyTorch, which takes longer than anything else that it would do.
"""

from __future__ import annotations

from pathlib import Path

from sketch2video.errors import UserError, border
from sketch2video.files import replacing, write_json
from sketch2video.params import load_params
from sketch2video.sketches.learned import write_description

OUTPUT = Path("models/sketcher")
REPORT = Path("reports/train_sketcher.json")
CURVE = Path("reports/plots/train_sketcher.csv")


def main() -> None:
    """Train the network from photograph to drawing as a flow, or leave the note that nothing was trained."""
    if not is_wanted():
        with border("train_sketcher"):
            leave_note()
        return
    from flows.common import execute, run_training, stage_flow
    from sketch2video.sketches import training as sketcher

    @stage_flow
    def train_sketcher() -> dict[str, float]:
        """Train the network from photograph to drawing."""
        return run_training("sketcher", sketcher.train_sketcher)

    execute(train_sketcher)


def is_wanted() -> bool:
    """Whether ``sketch.extractor`` is ``learned``. What is wrong with the parameters the flow says."""
    try:
        return load_params().sketch.extractor == "learned"
    except UserError:
        return True


def leave_note() -> None:
    """Write the stage's outputs without a network: a description in place of the model, a report, an empty curve."""
    with replacing(OUTPUT) as partial:
        write_description(partial, False, reason="sketch.extractor is classical")
    write_json(REPORT, {"trained": 0})
    with replacing(CURVE) as partial:
        partial.write_text("step,learning_rate,loss\n", encoding="utf-8")


if __name__ == "__main__":
    main()
