"""Training alone, on the data as they are: ``python -m flows.train``."""

from __future__ import annotations

from flows.common import execute, stage_flow
from flows.pipeline import in_order, read_graph, run_stages


@stage_flow
def train() -> None:
    """Train every network whose data, parameters or code have changed, and assemble the pipeline."""
    graph = read_graph()
    stages = {stage for stage in graph if stage.startswith("train_")} | {"encode_latents", "assemble"}
    run_stages(in_order(graph, stages))


if __name__ == "__main__":
    execute(train)
