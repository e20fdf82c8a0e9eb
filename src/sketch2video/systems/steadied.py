"""Training clips made steady by separate tuning and average fusion: r' of equation (13), for combined tuning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from sketch2video.curves import CurveSequence
from sketch2video.errors import UserError
from sketch2video.params import EvaluateParams
from sketch2video.systems.ink import ink_of
from sketch2video.systems.long_video import Guidance, LongVideoPipeline
from sketch2video.systems.timing import Timings
from sketch2video.training.data import clips_of_split
from sketch2video.training.long_video import STEADIED
from sketch2video.videos.shards import ShardReader, shard_path, write_table, writing_shard


@torch.no_grad()
def steady_clips(
    pipeline: LongVideoPipeline,
    settings: EvaluateParams,
    count: int,
    seed: int,
    *,
    curves: Path = Path("data/curves"),
    output: Path = Path("data/long_video/steadied"),
) -> dict[str, float]:
    """Paint training clips over their own drawings, with one background each, and write them as shards.

    A clip's arrays: ``latents`` float32 (T, C, h, w), normalised; ``foreground`` bool (T, 1, h, w); and its curves.

    Args:
        pipeline: of the system that is going to be tuned, which fuses backgrounds.
        settings: how it is sampled.
        count: clips, spread evenly over the training split.
        seed: of all randomness.
        curves: folder of shards with the fitted curves.
        output: folder that gets one shard and the table.

    Returns:
        ``clips``, and ``foreground``, the share of the latents' places in which there is some.

    Raises:
        UserError: the curves are missing or damaged, there are no training clips, or backgrounds are not fused.
    """
    if not pipeline.config.fusion_times:
        raise UserError("long_video.fusion_times is empty, and there is nothing to be tuned for; give times in [0, 1]")
    table = clips_of_split(curves / "curves.parquet", "train")
    places = np.unique(np.linspace(0, len(table) - 1, min(count, len(table))).round().astype(int))
    chosen, reader = table.iloc[places].reset_index(drop=True), ShardReader(curves)
    pipeline.set_sampler(settings.sampler)
    guidance = Guidance(settings.guidance_scale, settings.control_guidance_scale)
    shares = []
    with writing_shard(shard_path(output, 0), "steadied") as shard:
        for row in tqdm(range(len(chosen)), desc="steady clips", unit="clip"):
            clip = chosen.iloc[row : row + 1]
            arrays = {name: reader.batch(name, clip)[0] for name in ("coefficients", "visibility")}
            ink = ink_of(None, [CurveSequence(**arrays)], pipeline.sample_size, pipeline.device)
            rate = torch.tensor([float(clip["fps"].iloc[0])], device=pipeline.device)
            windows = pipeline.windows([(0, clip["caption"].iloc[0])], ink, rate)
            pipeline.timings = Timings(pipeline.device)
            generator = torch.Generator().manual_seed(seed + row)
            painted = pipeline.paint(windows, guidance, settings.num_inference_steps, generator)
            latents, foreground = painted.latents[0].float().cpu().numpy(), painted.foreground.cpu().numpy()
            shard.add(clip["clip_id"].iloc[0], {"latents": latents, "foreground": foreground, **arrays})
            shares.append(foreground.mean())
    write_table(chosen.assign(shard=0, row=range(len(chosen))), output / STEADIED)
    return {"clips": float(len(chosen)), "foreground": float(np.mean(shares))}
