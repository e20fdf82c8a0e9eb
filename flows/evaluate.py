"""Stage ``evaluate``: ``python -m flows.evaluate``."""

from __future__ import annotations

from flows.common import MODELS, REPORTS, execute, publish, recorded, stage_flow
from sketch2video.evaluation.evaluate import evaluate as evaluate_model
from sketch2video.params import load_params
from sketch2video.tracking.runs import tracked_run


@stage_flow
def evaluate() -> dict[str, float]:
    """Judge the assembled pipeline on the test split and write the report."""
    params = load_params()
    with tracked_run("evaluate", recorded(params, "evaluate")) as run:
        run.begin(None)
        evaluation = evaluate_model(params, model=MODELS / "sketch_ldm", reports=REPORTS)
        metrics = evaluation.metrics()
        run.metrics(metrics, 0)
        for name in ("index.html", "evaluation.json"):
            run.figure(REPORTS / name)
    publish("evaluate", metrics)
    return metrics


if __name__ == "__main__":
    execute(evaluate)
