"""Stage ``evaluate``: ``python -m flows.evaluate [SYSTEM]``."""

from __future__ import annotations

from flows.common import REPORTS, execute, publish, recorded, stage_flow
from flows.systems import DEFAULT, asked_system, find_system
from sketch2video.evaluation.compare import compare_with
from sketch2video.evaluation.evaluate import evaluate as evaluate_model
from sketch2video.params import load_params
from sketch2video.tracking.runs import tracked_run


@stage_flow
def evaluate(system: str = DEFAULT) -> dict[str, float]:
    """Judge a system's pipeline on the test split, write its report and bring the table of all systems up to date."""
    params = load_params()
    of = find_system(system, params)
    with tracked_run(of.run_name("evaluate"), recorded(params, "evaluate")) as run:
        run.begin(None)
        evaluation = evaluate_model(params, model=of.pipeline, reports=of.reports)
        metrics = evaluation.metrics()
        run.metrics(metrics | evaluation.seconds(), 0)
        for name in ("index.html", "evaluation.json"):
            run.figure(of.reports / name)
    publish(of.run_name("evaluate"), metrics | evaluation.seconds())
    print(compare_with(of.name, REPORTS))
    return metrics


if __name__ == "__main__":
    execute(evaluate, asked_system(evaluate.description))
