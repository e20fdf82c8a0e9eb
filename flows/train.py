"""Training alone, on the present data: ``python -m flows.train``."""

from __future__ import annotations

from flows.common import execute, stage_flow
from flows.pipeline import read_graph, run_stages


@stage_flow
def train() -> None:
    """Train every network of the project's own ``dvc.yaml`` that is out of date, and assemble the pipeline.

    Other systems are trained by the flow ``pipeline``, whose target is a stage of theirs.
    """
    graph = read_graph()
    stages = {stage for stage in graph if stage.startswith(("train_", "encode_")) or stage == "assemble"}
    run_stages(graph, stages)


if __name__ == "__main__":
    execute(train)
