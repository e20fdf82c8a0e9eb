"""Stage ``steady_clips``: ``python -m flows.steady_clips``."""

from __future__ import annotations

from flows.common import MODELS, execute, publish, recorded, stage_flow
from flows.systems import DEFAULT, LONG_VIDEO, find_system
from sketch2video.params import load_params
from sketch2video.systems.loading import load_pipeline
from sketch2video.systems.long_video.pipeline import LongVideoPipeline, module_settings
from sketch2video.systems.long_video.steadied import steady_clips as write_steady_clips
from sketch2video.tracking.runs import tracked_run


@stage_flow
def steady_clips() -> dict[str, float]:
    """Give training clips one background each, for the video LDM to be tuned on."""
    params = load_params()
    of = find_system(LONG_VIDEO, params)
    pipeline = LongVideoPipeline(**load_pipeline(MODELS / DEFAULT).components, **module_settings(params.long_video))
    pipeline.set_progress_bar_config(disable=True)
    with tracked_run(of.run_name("steady_clips"), recorded(params, "long_video", "evaluate")) as run:
        run.begin(None)
        values = write_steady_clips(
            pipeline,
            params.evaluate,
            params.long_video.clips,
            params.base.seed,
            params.long_video.steady_source,
            output=of.latents,
        )
        run.metrics(values, 0)
    publish(of.run_name("steady_clips"), values)
    return values


if __name__ == "__main__":
    execute(steady_clips)
