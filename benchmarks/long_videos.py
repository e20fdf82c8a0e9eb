"""Steadiness and cost of long videos: ``python -m benchmarks.long_videos [--frames 128 --videos 12]``.

Long videos of held-out captions are generated in several ways, from the same noise and over the same drawings: in
independent windows; in merged windows, which is Gen-L-Video; the same after tuning the network on the video's first
window, as in Tune-A-Video; and with the modules of ``systems/long_video`` added one by one. The embedded scenes,
rendered at the same length with the same captions, are the floor. Flicker, drift of the background, seams and the
object's identity are reported together with sharpness and motion, so that blurred or frozen videos do not win, and with
the judge's verdict on 16 frames spread evenly over the video.

The object's motion is the flow inside its outline, which excludes flow of an unsteady background.

``--clip VIDEO`` uses a real clip instead, and generates videos over its drawing in the same ways. The models must be
trained on it: ``python -m benchmarks.cut VIDEO FOLDER``, then ``sketch2video source FOLDER/captions.csv``, and the
graph.

``--lengths`` generates one video of each length instead, and reports seconds and memory.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import pandas as pd
import torch
import typer
from scipy import ndimage
from tqdm import tqdm

from benchmarks.clock import weighed
from benchmarks.command import run as run_command
from benchmarks.identity import identity
from benchmarks.plots import save_steadiness
from benchmarks.seams import borders, changes, seams
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.curves import CurveSequence, fit_curves
from sketch2video.data.clips.shards import read_table
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.diffusion.windows import window_starts
from sketch2video.errors import UserError
from sketch2video.evaluation.consistency import Steadiness, motion, steadiness
from sketch2video.evaluation.evaluate import Data, evaluated_rows
from sketch2video.judges.faithfulness import JOINT, faithfulness
from sketch2video.judges.shipped import load_judge
from sketch2video.judges.verdict import judge_clips
from sketch2video.media.codec import read_clip
from sketch2video.media.containers import RejectedVideo
from sketch2video.networks.precision import precision
from sketch2video.params import EvaluateParams, Params, load_params
from sketch2video.pipelines.output import VideoOutput
from sketch2video.scenes.synthetic import Combination, render_scene, sample_scene, scene_rng
from sketch2video.sketches import draw_lines
from sketch2video.steadiness.combined_tuning import tune
from sketch2video.steadiness.foreground import moving_foreground
from sketch2video.steadiness.masked_losses import LossWeights
from sketch2video.systems.loading import load_pipeline
from sketch2video.systems.long_video.pipeline import LongVideoPipeline, module_settings
from sketch2video.training.previews import save_sheet

LENGTHS = (16, 64, 256, 1024)
JUDGED = 16
"""Frames that the judge sees of a video: as many as it has learned from."""
APART = "windows apart"
ONE_SHOT_STEPS, ONE_SHOT_RATE = 100, 1e-4
"""Of tuning on one window; the paper's 250 steps of 2e-6 are for a network of 860 million weights."""


@dataclass(frozen=True)
class Subject:
    """The inputs of one video.

    Attributes:
        caption, fps: caption and frame rate.
        seed: seed of the noise.
        curves: its drawing; None: the system generates one.
    """

    caption: str
    fps: float
    seed: int
    curves: CurveSequence | None = None


@dataclass(frozen=True)
class Video:
    """A video that is measured.

    Attributes:
        frames: uint8 (T, S, S, 3).
        where: bool (T, S, S), the object.
    """

    frames: np.ndarray
    where: np.ndarray


Make = Callable[[Subject], Video]

COLUMNS = {
    "flicker": "flicker",
    "background_drift": "drift of the background",
    "seam": "largest seam",
    "colour_drift": "object's colour drifts",
    "shape_drift": "object's shape drifts",
    "sharpness": "sharpness",
    "motion": "motion",
    "object_motion": "object's motion",
    "joint": "correct",
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

    def made(components: dict[str, Any], one_shot: bool = False, **settings_of_modules: Any) -> Make:
        pipeline = LongVideoPipeline(**components, **settings_of_modules)
        pipeline.set_sampler(settings.sampler)
        pipeline.set_progress_bar_config(disable=True)
        return partial(_made, pipeline, settings, frames, one_shot)

    return {
        APART: made(base, **apart),
        "windows merged (4)": made(base, **merged),
        "one-shot tuning, 4": made(base, one_shot=True, **merged),
        "average fusion, 4": made(base, **modules),
        "combined tuning, 4": made(tuned.components, **merged, **learned),
        "all four": made(tuned.components, **modules, **learned),
    }


def _made(
    pipeline: LongVideoPipeline, settings: EvaluateParams, frames: int, one_shot: bool, subject: Subject
) -> Video:
    arguments = pipeline.call_arguments(settings) | {"num_frames": frames, "fps": subject.fps}
    if subject.curves is not None:
        arguments["curves"] = [subject.curves]

    def generate(**more: str) -> Any:
        return cast(Callable[..., Any], pipeline)(
            [subject.caption], generator=[torch.Generator().manual_seed(subject.seed)], **arguments, **more
        )

    untuned = pipeline.transformer
    if one_shot:
        network = tuned_on_one_window(pipeline, subject, generate(output_type="latent"))
        pipeline.register_modules(transformer=network)
    generated = generate()
    pipeline.register_modules(transformer=untuned)
    inside = np.stack([ndimage.binary_fill_holes(ink > 0) for ink in generated.sketches[0]])
    return Video((generated.frames[0] * 255).round().astype(np.uint8), inside)


def tuned_on_one_window(pipeline: LongVideoPipeline, subject: Subject, output: VideoOutput) -> VideoTransformer:
    """A copy of the pipeline's network, tuned on the first window of a video that it generated (equation 14 alone).

    Args:
        pipeline: the pipeline that generated the video.
        subject: inputs of the video.
        output: the video, as latents.
    """
    first = slice(pipeline.config.window)
    network = copy.deepcopy(pipeline.transformer).requires_grad_(True)
    device = network.device
    ink = torch.from_numpy(output.sketches)[:, first, None].to(device).float() / 255
    windows = pipeline.windows([(0, subject.caption)], ink, torch.tensor([subject.fps], device=device))
    text = windows.text
    data = pipeline.normalised(output.frames[:, first].to(device))
    everywhere, whole = torch.ones((), device=device), LossWeights(1.0, 0.0, 0.0)

    def error(step: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        time = pipeline.objective.times(1, generator)
        noise = torch.randn(data.shape, generator=generator, device=device)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision() == "bf16"):
            predicted = network(
                pipeline.objective.noisy(data, noise, time),
                time,
                control=ink,
                text=text and text.hidden,
                text_mask=text and text.mask,
                fps=windows.fps,
            )
        return pipeline.objective.residual(predicted, data, noise, time), everywhere, everywhere

    tune(
        error,
        network.parameters(),
        whole,
        steps=ONE_SHOT_STEPS,
        learning_rate=ONE_SHOT_RATE,
        seed=subject.seed,
        device=device,
    )
    return network.requires_grad_(False)


def scenes(rows: pd.DataFrame, size: int, frames: int, seed: int) -> list[Video]:
    """Embedded scenes with the attributes of the captions, as real videos of this length."""
    requested = [Combination(*row) for row in rows[list(Combination._fields)].itertuples(index=False)]
    drawn = [sample_scene(scene_rng(seed, f"long-{index}"), [what]) for index, what in enumerate(requested)]
    rendered = [render_scene(scene, size, frames) for scene in drawn]
    return [Video(each.frames, each.masks > 0) for each in rendered]


def real_subject(path: Path, params: Params, frames: int, captions: pd.Series) -> tuple[Video, Subject]:
    """A real clip, and the inputs of a video over its drawing.

    Args:
        path: path of the video.
        params: parameters of sketches and curves.
        frames: T, evenly spread over the video.
        captions: training captions of the models, of which the most frequent one is used.

    Raises:
        UserError: the video cannot be read, or has too few frames.
    """
    try:
        clip = read_clip(path, frames, params.base.size, min_frames=frames)
    except RejectedVideo as error:
        raise UserError(f"{error}; name another video or fewer --frames") from error
    curves = fit_curves(draw_lines(clip.frames, params.sketch), clip.cuts, **params.fit.tracking())
    subject = Subject(captions.mode()[0], clip.fps, params.base.seed, curves)
    return Video(clip.frames, moving_foreground(clip.frames)), subject


def measured(videos: list[Video], rows: pd.DataFrame | None, starts: list[int], length: int) -> dict[str, Any]:
    """The measures of ``COLUMNS`` except the seconds.

    Args:
        videos: one for each row.
        rows: requested attributes; None: none that the judge can classify.
        starts, length: first frames and length of the windows, which define possible seams.
    """
    several = [video.frames for video in videos]
    steady = [steadiness(frames[None]) for frames in tqdm(several, desc="steadiness", leave=False)]
    kept = [identity(frames, moving_foreground(frames)).summary() for frames in several]
    found = seams(changes(several), borders(starts, length), 200) if len(starts) > 1 and len(several) > 1 else {}
    excess = {name: seam.excess / seam.least for name, seam in found.items() if seam.measurable}
    worst = max(excess, key=lambda name: excess[name], default=None)
    row = {
        **Steadiness.concatenate(steady).means(),
        "object_motion": float(np.mean([motion(video.frames, video.where) for video in videos])),
        "seam": f"{worst} {found[worst].excess:.4f}" if worst else "none" if found else None,
        **{name: float(np.nanmean([one[name] for one in kept])) for name in ("colour_drift", "shape_drift")},
    }
    if rows is not None:
        indices = np.linspace(0, len(several[0]) - 1, JUDGED).round().astype(int)
        verdict = judge_clips(load_judge("video"), np.stack([frames[indices] for frames in several]))
        row["joint"] = faithfulness(verdict, rows)[JOINT].value
    return row


def cost(pipeline: LongVideoPipeline, params: Params, frames: int) -> dict[str, Any]:
    """Seconds and memory of one video, the seconds by stage, too."""
    pipeline.set_sampler(params.evaluate.sampler)
    arguments = pipeline.call_arguments(params.evaluate) | {"num_frames": frames}
    generator = torch.Generator().manual_seed(params.base.seed)
    begin = time.perf_counter()
    _, mebibytes = weighed(lambda: pipeline("a red circle moves left to right", generator=[generator], **arguments))
    seconds = time.perf_counter() - begin
    return {
        "frames": frames,
        "seconds": seconds,
        "milliseconds a frame": 1000 * seconds / frames,
        "MiB added": mebibytes,
        **{f"s of {stage}": value for stage, value in pipeline.timings.seconds.items()},
    }


def report(reports: Path, name: str, rows: Sequence[dict[str, Any]], page: Path | None = None) -> None:
    """Write rows as JSON and as a table, and show the table."""
    found = pd.DataFrame(rows, dtype=object)
    found = found.where(found.notna(), None)
    table = found.rename(columns=COLUMNS)
    cells = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    text = as_table(list(table.columns), cells)
    publish(name, text, {"threads": torch.get_num_threads(), "rows": found.to_dict("records")}, reports, page)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def main(
    model: Annotated[Path, typer.Option(help="Pipeline of long videos")] = Path("models/long_video"),
    base: Annotated[Path, typer.Option(help="Pipeline of the sketch system")] = Path("models/sketch_ldm"),
    videos: Annotated[int, typer.Option(min=2, help="Videos of each way")] = 12,
    frames: Annotated[int, typer.Option(min=JUDGED, help="Of each video")] = 128,
    clip: Annotated[Path | None, typer.Option(help="A real clip that the models have learned, instead")] = None,
    lengths: Annotated[bool, typer.Option(help="Only time videos of 16, 64, 256 and 1024 frames")] = False,
    reports: Annotated[Path, typer.Option(help="Where the table and two pictures go")] = Path("reports/bench"),
    write: Write = False,
) -> None:
    """Compare ways to make long videos, or time them."""
    name = "long_video_lengths" if lengths else f"long_videos_{clip.stem}" if clip else "long_videos"
    page = page_of(name, write)
    params = load_params()
    tuned = load_pipeline(model)
    if lengths:
        report(reports, name, [cost(tuned, params, length) for length in LENGTHS], page)
        return
    table = read_table(Data().clips / "clips.parquet")
    length = tuned.config.window
    starts = window_starts(frames, length, tuned.config.stride)
    rows = None
    if clip:
        truth, subject = real_subject(clip, params, frames, table["caption"])
        real = [truth]
        subjects = [replace(subject, seed=params.base.seed + index) for index in range(videos)]
    else:
        rows, _ = evaluated_rows(table, videos)
        real = scenes(rows, params.base.size, frames, params.base.seed)
        inputs = zip(rows["caption"], rows["fps"], strict=True)
        subjects = [Subject(*what, params.base.seed + index) for index, what in enumerate(inputs)]
    found = [{"way": f"{clip.stem}, real" if clip else "real scenes", **measured(real, rows, starts, length)}]
    shown = [real[0].frames]
    for way, make in ways(load_pipeline(base).components, tuned, params, frames).items():
        begin = time.perf_counter()
        several = [make(subject) for subject in tqdm(subjects, desc=way, unit="video")]
        seconds = (time.perf_counter() - begin) / len(several)
        if clip:  # its object stays where it was drawn
            several = [replace(video, where=real[0].where) for video in several]
        where = window_starts(frames, length, length) if way == APART else starts
        found.append({"way": way, **measured(several, rows, where, length), "seconds": seconds})
        shown.append(several[0].frames)
    report(reports, name, found, page)
    save_sheet(reports / f"{name}.png", [video[:: frames // 8][:8] for video in shown])
    save_steadiness(reports / f"{name}_plot.png", found)


if __name__ == "__main__":
    run_command(main)
