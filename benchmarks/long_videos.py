"""Are long videos steady, and what do they cost? ``python -m benchmarks.long_videos [--frames 128 --videos 12]``.

Held-out captions become long videos in several ways, from the same noise and over the same drawings: in windows that
know nothing of each other; by merging windows alone, which is Gen-L-Video; by that after tuning the network on the
video's own first window, as Tune-A-Video does; and with the modules of ``systems/long_video.py`` added one by one. The
embedded scenes, rendered at the same length with the same captions, are the floor. Beside flicker, drift of the
background, seams and the object's identity stand sharpness and motion, so that a blurred or a frozen video cannot win,
and whether the judge sees what was asked in 16 frames spread evenly over the video.

``--lengths`` makes one video of each length instead, and tells seconds and memory.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import pandas as pd
import torch
import typer
from tqdm import tqdm

from benchmarks.clock import weighed
from benchmarks.command import run as run_command
from sketch2video.evaluation.consistency import Steadiness, steadiness
from sketch2video.evaluation.evaluate import Data, evaluated_rows
from sketch2video.evaluation.faithfulness import JOINT, faithfulness
from sketch2video.evaluation.identity import identity
from sketch2video.evaluation.judge import judge_clips, load_judge
from sketch2video.evaluation.seams import borders, changes, seams
from sketch2video.files import replacing, write_json
from sketch2video.models.masked_losses import LossWeights
from sketch2video.models.precision import precision
from sketch2video.models.video_transformer import VideoTransformer
from sketch2video.models.windows import window_starts
from sketch2video.params import EvaluateParams, Params, load_params
from sketch2video.systems.loading import load_pipeline
from sketch2video.systems.long_video import LongVideoPipeline, module_settings
from sketch2video.systems.output import VideoOutput
from sketch2video.training.combined_tuning import tune
from sketch2video.training.pictures import save_sheet
from sketch2video.videos.foreground import moving_foreground
from sketch2video.videos.shards import read_table
from sketch2video.videos.synthetic import Combination, render_scene, sample_scene, scene_rng

LENGTHS = (16, 64, 256, 1024)
JUDGED = 16
"""Frames that the judge sees of a video: as many as it has learned from."""
ONE_SHOT_STEPS, ONE_SHOT_RATE = 100, 1e-4
"""Of tuning on one window; the paper's 250 steps of 2e-6 are for a network of 860 million weights."""

Make = Callable[[str, float, int], np.ndarray]
"""From caption, frame rate and seed to frames uint8 (T, S, S, 3)."""

COLUMNS = {
    "flicker": "flicker",
    "background_drift": "drift of the background",
    "seam": "largest seam",
    "colour_drift": "object's colour drifts",
    "shape_drift": "object's shape drifts",
    "sharpness": "sharpness",
    "motion": "motion",
    "joint": "as asked",
    "seconds": "s a video",
}
"""What is measured, and what the table calls it."""


def ways(base: dict[str, Any], tuned: LongVideoPipeline, params: Params, frames: int) -> dict[str, Make]:
    """Ways to make a long video.

    Args:
        base: components of the sketch system.
        tuned: the system of long videos.
        params: of sampling and of the modules.
        frames: T.
    """
    modules = module_settings(params.long_video)
    merged = modules | {"fusion_times": ()}
    apart = merged | {"stride": tuned.config.window}
    learned = {name: tuned.config[name] for name in ("background_weight", "foreground_weight")}
    settings = params.evaluate

    def made(components: dict[str, Any], one_shot: bool = False, **of: Any) -> Make:
        pipeline = LongVideoPipeline(**components, **of)
        pipeline.set_sampler(settings.sampler)
        pipeline.set_progress_bar_config(disable=True)
        return partial(_made, pipeline, settings, frames, one_shot)

    return {
        "windows apart": made(base, **apart),
        "windows merged (4)": made(base, **merged),
        "one-shot tuning, 4": made(base, one_shot=True, **merged),
        "average fusion, 4": made(base, **modules),
        "combined tuning, 4": made(tuned.components, **merged, **learned),
        "all four": made(tuned.components, **modules, **learned),
    }


def _made(
    pipeline: LongVideoPipeline,
    settings: EvaluateParams,
    frames: int,
    one_shot: bool,
    caption: str,
    fps: float,
    seed: int,
) -> np.ndarray:
    asked = pipeline.call_arguments(settings) | {"num_frames": frames, "fps": fps}

    def answer(**how: str) -> Any:
        return cast(Callable[..., Any], pipeline)(
            [caption], generator=[torch.Generator().manual_seed(seed)], **asked, **how
        )

    untuned = pipeline.transformer
    if one_shot:
        network = tuned_on_one_window(pipeline, caption, fps, seed, answer(output_type="latent"))
        pipeline.register_modules(transformer=network)
    video = answer().frames[0]
    pipeline.register_modules(transformer=untuned)
    return (video * 255).round().astype(np.uint8)


def tuned_on_one_window(
    pipeline: LongVideoPipeline, caption: str, fps: float, seed: int, answer: VideoOutput
) -> VideoTransformer:
    """A copy of the pipeline's network that has learned the first window of a video it made (equation 14 alone).

    Args:
        pipeline: that made it.
        caption, fps, seed: that it was made with.
        answer: the video, as latents.
    """
    first = slice(pipeline.config.window)
    ink = torch.from_numpy(answer.sketches)[:, first, None].float() / 255
    windows = pipeline.windows([(0, caption)], ink, torch.tensor([fps]))
    text = windows.text
    data = pipeline.normalised(answer.frames[:, first])
    network = copy.deepcopy(pipeline.transformer).requires_grad_(True)
    everywhere, whole = torch.ones(()), LossWeights(1.0, 0.0, 0.0)

    def error(step: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        time = pipeline.objective.times(1, generator)
        noise = torch.randn(data.shape, generator=generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision() == "bf16"):
            predicted = network(
                pipeline.objective.noisy(data, noise, time),
                time,
                control=ink,
                text=text and text.hidden,
                text_mask=text and text.mask,
                fps=windows.fps,
            )
        return predicted.float() - pipeline.objective.target(data, noise, time), everywhere, everywhere

    tune(error, network.parameters(), whole, steps=ONE_SHOT_STEPS, learning_rate=ONE_SHOT_RATE, seed=seed)
    return network.requires_grad_(False)


def scenes(rows: pd.DataFrame, size: int, frames: int, seed: int) -> list[np.ndarray]:
    """Embedded scenes of what the captions ask for, uint8 (T, S, S, 3): what real videos of this length look like."""
    asked = [Combination(*row) for row in rows[list(Combination._fields)].itertuples(index=False)]
    drawn = [sample_scene(scene_rng(seed, f"long-{place}"), [what]) for place, what in enumerate(asked)]
    return [render_scene(scene, size, frames).frames for scene in drawn]


def measured(videos: list[np.ndarray], rows: pd.DataFrame, starts: list[int], length: int) -> dict[str, Any]:
    """The numbers of ``COLUMNS`` but for the seconds.

    Args:
        videos: uint8 (T, S, S, 3), one for each row.
        rows: what was asked for.
        starts, length: of the windows, which say where a seam may be.
    """
    steady = [steadiness(video[None]) for video in tqdm(videos, desc="steadiness", leave=False)]
    kept = [identity(video, moving_foreground(video)).summary() for video in videos]
    found = seams(changes(videos), borders(starts, length), 200) if len(starts) > 1 and len(videos) > 1 else {}
    places = np.linspace(0, len(videos[0]) - 1, JUDGED).round().astype(int)
    verdict = judge_clips(load_judge("video"), np.stack([video[places] for video in videos]))
    excess = {name: seam.excess / seam.least for name, seam in found.items() if seam.measurable}
    worst = max(excess, key=lambda name: excess[name], default=None)
    return {
        **Steadiness.concatenate(steady).means(),
        "seam": f"{worst} {found[worst].excess:.4f}" if worst else "none",
        **{name: float(np.nanmean([one[name] for one in kept])) for name in ("colour_drift", "shape_drift")},
        "joint": faithfulness(verdict, rows)[JOINT].value,
    }


def cost(pipeline: LongVideoPipeline, params: Params, frames: int) -> dict[str, Any]:
    """Seconds and memory of one video, the seconds by stage, too."""
    pipeline.set_sampler(params.evaluate.sampler)
    asked = pipeline.call_arguments(params.evaluate) | {"num_frames": frames}
    generator = torch.Generator().manual_seed(params.base.seed)
    begin = time.perf_counter()
    _, mebibytes = weighed(lambda: pipeline("a red circle moves left to right", generator=[generator], **asked))
    seconds = time.perf_counter() - begin
    return {
        "frames": frames,
        "seconds": seconds,
        "milliseconds a frame": 1000 * seconds / frames,
        "MiB added": mebibytes,
        **{f"s of {stage}": value for stage, value in pipeline.timings.seconds.items()},
    }


def report(reports: Path, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as JSON and as a table, and print the table."""
    rows = [{name: None if value != value else value for name, value in row.items()} for row in rows]  # NaN
    table = pd.DataFrame(rows, dtype=object).rename(columns=COLUMNS)
    cells = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    lines = [list(table.columns), ["---"] * len(table.columns), *cells]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
    write_json(reports / f"{name}.json", {"threads": torch.get_num_threads(), "rows": rows})
    with replacing(reports / f"{name}.md") as partial_file:
        partial_file.write_text(text, encoding="utf-8")
    print(text)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def main(
    model: Annotated[Path, typer.Option(help="Pipeline of long videos")] = Path("models/long_video"),
    base: Annotated[Path, typer.Option(help="Pipeline of the sketch system")] = Path("models/sketch_ldm"),
    videos: Annotated[int, typer.Option(min=2, help="Videos of each way")] = 12,
    frames: Annotated[int, typer.Option(min=JUDGED, help="Of each video")] = 128,
    lengths: Annotated[bool, typer.Option(help="Only time videos of 16, 64, 256 and 1024 frames")] = False,
    reports: Annotated[Path, typer.Option(help="Where long_videos.{json,md,png} go")] = Path("reports/bench"),
) -> None:
    """Compare ways to make long videos, or time them."""
    params = load_params()
    tuned = load_pipeline(model)
    if lengths:
        report(reports, "long_video_lengths", [cost(tuned, params, length) for length in LENGTHS])
        return
    data = Data()
    rows, _ = evaluated_rows(read_table(data.clips / "clips.parquet"), videos)
    real = scenes(rows, params.base.size, frames, params.base.seed)
    length = tuned.config.window
    starts = window_starts(frames, length, tuned.config.stride)
    table = [{"way": "real scenes", **measured(real, rows, starts, length), "seconds": math.nan}]
    shown = [real[0]]
    for name, make in ways(load_pipeline(base).components, tuned, params, frames).items():
        apart = name == "windows apart"
        several, seconds = [], 0.0
        asked = zip(rows["caption"], rows["fps"], strict=True)
        for place, (caption, fps) in enumerate(tqdm(asked, desc=name, total=len(rows), unit="video")):
            begin = time.perf_counter()
            several.append(make(caption, float(fps), params.base.seed + place))
            seconds += time.perf_counter() - begin
        where = window_starts(frames, length, length) if apart else starts
        table.append({"way": name, **measured(several, rows, where, length), "seconds": seconds / len(rows)})
        shown.append(several[0])
    report(reports, "long_videos", table)
    save_sheet(reports / "long_videos.png", [video[:: frames // 8][:8] for video in shown])


if __name__ == "__main__":
    run_command(main)
