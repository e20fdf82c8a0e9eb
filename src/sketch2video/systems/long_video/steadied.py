"""Training clips with a fused background, by separate tuning and average fusion: r' of equation (13).

They are the training data of combined tuning. In the paper r' are videos of the untuned network, r = F_0(h, c); inside
objects, where nothing is fused, a network then learns its own output. With training clips, r can be these instead.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from sketch2video.curves import CurveSequence
from sketch2video.data.clips.datasets import clips_of_split
from sketch2video.data.clips.shards import ShardReader, evenly_spread, shard_path, write_table, writing_shard
from sketch2video.errors import UserError
from sketch2video.params import DiffusionSampling, EvaluateParams, Params, SteadySource
from sketch2video.pipelines.drawing import ink_of
from sketch2video.pipelines.timing import Timings
from sketch2video.steadiness.file_names import STEADIED
from sketch2video.systems.loading import load_pipeline
from sketch2video.systems.long_video.fusion import GeneratedVideo
from sketch2video.systems.long_video.pipeline import LongVideoPipeline, module_settings


def steady_training_clips(output: Path, *, model: Path, params: Params) -> dict[str, float]:
    """Fuse the backgrounds of training clips with the settings of ``long_video``; see :func:`steady_clips`.

    Args:
        output: folder of the shard.
        model: folder of the pipeline whose networks are used.
        params: all parameters; ``long_video``, ``evaluate`` and ``base.seed`` are read.
    """
    section = params.long_video
    pipeline = LongVideoPipeline(**load_pipeline(model).components, **module_settings(section))
    pipeline.set_progress_bar_config(disable=True)
    return steady_clips(
        pipeline, params.evaluate, section.clips, params.base.seed, section.steady_source, output=output
    )


@torch.no_grad()
def steady_clips(
    pipeline: LongVideoPipeline,
    settings: EvaluateParams,
    count: int,
    seed: int,
    source: SteadySource,
    *,
    clips: Path = Path("data/clips"),
    curves: Path = Path("data/curves"),
    output: Path,
) -> dict[str, float]:
    """Fuse the background of training clips, one for each clip, and write them as shards.

    A clip's arrays: ``latents`` float32 (T, C, h, w), normalised; ``foreground`` bool (T, 1, h, w); and its curves.

    Args:
        pipeline: pipeline of the system to be tuned, which fuses backgrounds.
        settings: settings of the sampling.
        count: number of clips, spread evenly over the training split.
        seed: random seed.
        source: r: "clips", the training clips; "painted", clips that the pipeline generates from their drawings.
        clips, curves: folders of shards with the frames and the fitted curves.
        output: folder of the shard and the table.

    Returns:
        ``clips``, their number, and ``foreground``, the share of latent positions with any foreground.

    Raises:
        UserError: clips or curves are missing or damaged, there are no training clips, or fusion is switched off.
    """
    if not pipeline.config.fusion_times:
        raise UserError("long_video.fusion_times is empty, and there is nothing to be tuned for; give times in [0, 1]")
    table = clips_of_split(curves / "curves.parquet", "train")
    chosen, reader = evenly_spread(table, count).reset_index(drop=True), ShardReader(curves)
    frames = ShardReader(clips)
    pipeline.set_sampler(settings.sampler)
    sampling = DiffusionSampling.checked(pipeline.config.sampling, DiffusionSampling.options(settings))
    shares = []
    with writing_shard(shard_path(output, 0), "steadied") as shard:
        for row in tqdm(range(len(chosen)), desc="steady clips", unit="clip"):
            clip = chosen.iloc[row : row + 1]
            arrays = {name: reader.batch(name, clip)[0] for name in ("coefficients", "visibility")}
            generator = torch.Generator().manual_seed(seed + row)
            ink = ink_of(None, [CurveSequence(**arrays)], pipeline.sample_size, pipeline._execution_device)
            if source == "clips":
                video = fused_clip(pipeline, frames.batch("frames", clip)[0], generator, ink)
            else:
                rate = torch.tensor([float(clip["fps"].iloc[0])], device=pipeline._execution_device)
                windows = pipeline.windows([(0, clip["caption"].iloc[0])], ink, rate)
                pipeline.timings = Timings(pipeline._execution_device)
                video = pipeline.sample_video(windows, sampling, generator)
            latents, foreground = video.latents[0].float().cpu().numpy(), video.foreground.cpu().numpy()
            shard.add(clip["clip_id"].iloc[0], {"latents": latents, "foreground": foreground, **arrays})
            shares.append(foreground.mean())
    write_table(chosen.assign(shard=0, row=range(len(chosen))), output / STEADIED)
    return {"clips": float(len(chosen)), "foreground": float(np.mean(shares))}


def fused_clip(
    pipeline: LongVideoPipeline, frames: np.ndarray, generator: torch.Generator, ink: Tensor | None = None
) -> GeneratedVideo:
    """A clip with a fused background, without noise: equations (9) to (11) at time 0.

    Args:
        pipeline: see :func:`steady_clips`.
        frames: uint8 (T, S, S, 3).
        generator: random generator of the frames that are averaged.
        ink: (1, T, 1, S, S) in [0, 1], the drawing; None: there is none.

    Raises:
        UserError: the segmenter cannot be loaded.
    """
    latents = pipeline.latents_of(frames)
    separated = pipeline.separate_frames(frames)
    still = pipeline.transformer.still_positions(ink)
    fused = pipeline.fuse(latents, torch.zeros_like(latents), separated, 0.0, generator, still)
    return GeneratedVideo(fused, separated.foreground)
