"""Stage ``encode_tokens``: ``python -m flows.encode_tokens``."""

from __future__ import annotations

from flows.common import execute, publish, recorded, stage_flow
from flows.systems import VQGAN, find_system
from sketch2video.params import load_params
from sketch2video.tokens import encode as tokens
from sketch2video.tracking.runs import tracked_run


@stage_flow
def encode_tokens() -> dict[str, float]:
    """Turn every clip into tokens once, so that the transformers' training never touches pixels."""
    params = load_params()
    of = find_system(VQGAN, params)
    with tracked_run(of.run_name("encode_tokens"), recorded(params, "vqgan")) as run:
        run.begin(None)
        values = tokens.encode_tokens(vqgan=of.parts / "vqgan", tokens=of.latents)
        run.metrics(values, 0)
    publish(of.run_name("encode_tokens"), values)
    return values


if __name__ == "__main__":
    execute(encode_tokens)
