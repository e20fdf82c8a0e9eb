"""Assemble a system's pipeline from its trained networks, and evaluate it."""

from __future__ import annotations

from sketch2video.code import code_digest
from sketch2video.files import CODE, write_json
from sketch2video.params import load_params
from sketch2video.stages.parts import recorded, run_name
from sketch2video.systems.registry import find_system
from sketch2video.systems.spec import REPORTS, named, named_file, report_folder
from sketch2video.tracking.runs import tracked_run


def assemble(system: str) -> dict[str, float]:
    """Write a system's pipeline to ``models/<system>/pipeline``.

    Returns:
        ``megabytes`` of the folder.

    Raises:
        UserError: there is no such system, or a part is missing or damaged.
    """
    params, spec = load_params(), find_system(system)
    with tracked_run(run_name(system, "assemble"), recorded(params, *spec.sections), description=spec.title) as run:
        run.begin(None)
        named(spec.assemble)(spec.folder, **spec.arguments(params))
        write_json(spec.folder / CODE, {"code": code_digest(named_file(spec.pipeline))})
        files = (file for file in spec.folder.rglob("*") if file.is_file())
        values = {"megabytes": sum(file.stat().st_size for file in files) / 1e6}
        run.metrics(values, 0)
        run.folder(spec.folder, "model")
    return values


def evaluate(system: str) -> dict[str, float]:
    """Evaluate a system's pipeline on the test split, write its report and update the comparison of all systems.

    Returns:
        The metrics, and the seconds for each clip.

    Raises:
        UserError: there is no such system, or data or model are missing or damaged.
    """
    from sketch2video.evaluation.compare import compare_with
    from sketch2video.evaluation.evaluate import evaluate as evaluate_model

    params, spec = load_params(), find_system(system)
    reports = report_folder(system)
    with tracked_run(
        run_name(system, "evaluate"), recorded(params, "evaluate", "sketch"), description=spec.title
    ) as run:
        run.begin(None)
        evaluation = evaluate_model(params, system=system, model=spec.folder, reports=reports)
        values = evaluation.metrics() | evaluation.seconds()
        run.metrics(values, 0)
        for name in ("index.html", "evaluation.json"):
            run.figure(reports / name)
    print(compare_with(system, REPORTS))
    return values
