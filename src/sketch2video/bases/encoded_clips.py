"""Encode clips, drawings and captions once with a base, so that training loads neither autoencoder nor text encoder.

Layout of the folder::

    latents.json                  the base, hashes of its networks, buckets, numbers of clips
    clips.parquet                 one row a clip: caption, split, fps, bucket, shard, row
    left_out.csv                  one row for each clip that is dropped or cut, with the reason
    832x480x49/shards/0007.safetensors
        latents   float32 (N, t, C, h, w), normalised
        control   float32 (N, V, t, C, h, w), drawings: the correct one of all frames, then variants
        drawn     bool (N, V, T), False at frames that are not drawn
    text/<hash>.safetensors       hidden (L, D), the encoded caption; text/none.safetensors without a caption
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from sketch2video.bases.base import Base
from sketch2video.bases.buckets import Bucket, checked, parse_buckets
from sketch2video.bases.registry import open_base
from sketch2video.bases.training_clips import TrainingClip, clips_of_ingest, clips_of_videos, report_rows
from sketch2video.bases.weights_hash import weights_hash
from sketch2video.code import code_digest
from sketch2video.controls import Control, find_control
from sketch2video.data.clips.derive import Arrays
from sketch2video.data.clips.shards import shard_path, sweep, update_shard, write_table
from sketch2video.errors import UserError
from sketch2video.files import remove_partial, replacing, sha256_of_value, write_json
from sketch2video.networks.precision import device_name
from sketch2video.params import AdaptedVideoParams, Params
from sketch2video.text.encoder import TextCondition

STATISTICS, TABLE, LEFT_OUT, TEXT = "latents.json", "clips.parquet", "left_out.csv", "text"

NO_CAPTION = "none"
"""Name of the condition of unconditional videos."""

MOST_DRAWN = 4
"""Largest number of frames that a sparse drawing has."""

BLANK = 0.0
"""Value of frames of a control video that are not drawn, in [-1, 1]: neither ink nor paper."""

CAPTIONS_AT_ONCE = 16


def encode_clips(
    output: Path,
    *,
    params: Params,
    clips: Path = Path("data/clips"),
    curves: Path = Path("data/curves"),
) -> dict[str, float]:
    """Encode the training data of a base; see the module. What is unchanged is not encoded again.

    Args:
        output: the folder.
        params: all parameters; ``adapted_video`` and ``base`` are read, with buckets also ``ingest``, ``sketch`` and
            ``fit``.
        clips, curves: folders of the data stages.

    Returns:
        Numbers of ``clips``, of those that are ``cut``, and of ``dropped`` videos.

    Raises:
        UserError: base, data or control cannot be used, or no clip is left.
    """
    settings = params.adapted_video
    base, control = open_base(settings.base), find_control(settings.control, "adapted_video.control")
    if control.channels not in (1, 3):
        raise UserError(
            f"adapted_video.control: {control.name} has {control.channels} channels, and a base encodes pictures of 1"
            " or 3; choose another control"
        )
    if settings.buckets:
        chosen, left_out = clips_of_videos(parse_buckets(settings.buckets, base), params, control, clips)
    else:
        frames = base.frames_of(params.base.frames)
        bucket = checked(Bucket(params.base.size, params.base.size, frames), base, "base.size and base.frames")
        chosen, left_out = clips_of_ingest(bucket, control, clips, curves), []
    if not chosen:
        reason = left_out[0]["reason"] if left_out else "there is no clip"
        raise UserError(f"no clip can be used for adapted_video; the first: {reason}")
    device = torch.device(device_name())
    hashes, table = _encode_videos(output, base, control, settings, chosen, device)
    hashes |= {"text_encoder": _encode_captions(output / TEXT, base, sorted(set(table["caption"])), device)}
    report = report_rows(chosen, left_out)
    with replacing(output / LEFT_OUT) as partial:
        report.to_csv(partial, index=False)
    write_table(table, output / TABLE)
    numbers = {"clips": len(table), "cut": len(report) - len(left_out), "dropped": len(left_out)}
    used = sorted(set(table["bucket"]))
    write_json(output / STATISTICS, {"base": base.name, "hashes": hashes, "buckets": used, **numbers})
    return {name: float(value) for name, value in numbers.items()}


def _encode_videos(
    output: Path,
    base: Base,
    control: Control,
    settings: AdaptedVideoParams,
    clips: Sequence[TrainingClip],
    device: torch.device,
) -> tuple[dict[str, str], pd.DataFrame]:
    """Write the shards; returns the hash of the autoencoder, and the table."""
    vae = base.load_vae()
    hashes = {"vae": weights_hash(vae)}
    vae.to(device)
    code = code_digest(__file__, *control.code)
    made_by = {"vae": hashes["vae"], "control": control.name, "code": code} | settings.model_dump(
        include={"variants", "sketch_corruption", "sparse"}
    )
    groups: dict[tuple[str, int], list[TrainingClip]] = {}
    for clip in clips:
        groups.setdefault((clip.bucket.name, clip.shard), []).append(clip)
    rows: list[dict[str, Any]] = []
    with tqdm(total=len(clips), desc="encode clips", unit="clip") as bar:
        for (bucket, shard), members in sorted(groups.items()):
            by_id = {clip.clip_id: clip for clip in members}

            def make(clip_id: str, by_id: dict[str, TrainingClip] = by_id) -> tuple[Arrays, dict[str, Any]]:
                bar.set_postfix(clip=clip_id[:24], refresh=False)
                return _encode_clip(base, vae, control, settings, clip_id, by_id[clip_id].read(), device), {}

            keys = {
                clip_id: sha256_of_value({"made_of": clip.made_of(), "bucket": bucket, **made_by})
                for clip_id, clip in by_id.items()
            }
            notes = update_shard(shard_path(output / bucket, shard), keys, make)
            rows += [
                {
                    "clip_id": fact["clip_id"],
                    **by_id[fact["clip_id"]].about,
                    "bucket": bucket,
                    "shard": shard,
                    "row": row,
                }
                for row, fact in enumerate(notes["clips"])
            ]
            bar.update(len(members))
    for folder in [path for path in output.iterdir() if path.is_dir() and path.name != TEXT]:
        shards = [shard for bucket, shard in groups if bucket == folder.name]
        if shards:
            sweep(folder, shards)
        else:
            shutil.rmtree(folder, ignore_errors=True)  # of buckets that there were before
    return hashes, pd.DataFrame(rows).drop(columns="cut")


@torch.no_grad()
def _encode_clip(
    base: Base,
    vae: nn.Module,
    control: Control,
    settings: AdaptedVideoParams,
    clip_id: str,
    arrays: Arrays,
    device: torch.device,
) -> Arrays:
    frames = torch.from_numpy(arrays["frames"])
    count, height, width = frames.shape[:3]
    batch = {name: torch.from_numpy(array)[None] for name, array in arrays.items()}
    latents = base.encode(vae, (frames.movedim(-1, 1).float() / 127.5 - 1)[None].to(device))
    controls, masks = [], []
    for variant in range(1 + settings.variants):
        seed = hashlib.sha256(f"{clip_id}/{variant}".encode()).digest()[:7]
        generator = torch.Generator().manual_seed(int.from_bytes(seed, "big"))
        corrupted = (settings.sketch_corruption, generator) if variant else ()
        pictures = control.pictures(batch, height, width, *corrupted)
        assert pictures is not None
        drawn = torch.ones(1, count, dtype=torch.bool)
        if variant and torch.rand((), generator=generator) < settings.sparse:
            drawn = few_frames(count, generator)[None]
        controls.append(encode_control(base, vae, pictures.to(device), drawn.to(device))[0])
        masks.append(drawn[0])
    return {
        "latents": latents[0].cpu().numpy(),
        "control": torch.stack(controls).cpu().numpy(),
        "drawn": torch.stack(masks).numpy(),
    }


def few_frames(count: int, generator: torch.Generator) -> Tensor:
    """A mask (count,) of 1 to ``MOST_DRAWN`` random frames, the first frame in half of the cases."""
    number = int(torch.randint(1, min(MOST_DRAWN, count) + 1, (), generator=generator))
    order = torch.randperm(count, generator=generator)[:number]
    if torch.rand((), generator=generator) < 0.5:
        order[0] = 0
    return torch.zeros(count, dtype=torch.bool).index_fill(0, order, True)


def encode_control(base: Base, vae: nn.Module, pictures: Tensor, drawn: Tensor) -> Tensor:
    """The latents (N, t, C, h, w) of control pictures as a video.

    Args:
        base: the base.
        vae: its autoencoder.
        pictures: (N, T, 1 or 3, H, W) in [0, 1]; a single channel becomes grey.
        drawn: (N, T) bool, False at frames that are not drawn.
    """
    video = (2 * pictures - 1).expand(-1, -1, 3, -1, -1)
    return base.encode(vae, torch.where(drawn[:, :, None, None, None], video, BLANK))


@torch.no_grad()
def _encode_captions(folder: Path, base: Base, captions: Sequence[str], device: torch.device) -> str:
    """Write the encoded captions; returns the hash of the text encoder."""
    encoder: Any
    tokenizer, encoder = base.load_text()
    digest = weights_hash(encoder)
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial(folder)
    missing = [caption for caption in captions if not text_path(folder, caption, digest).exists()]
    encoder.to(device)
    parts = [missing[start : start + CAPTIONS_AT_ONCE] for start in range(0, len(missing), CAPTIONS_AT_ONCE)]
    with tqdm(total=len(missing), desc="encode captions", unit="caption") as bar:
        for part in parts:
            _write_text(
                [text_path(folder, caption, digest) for caption in part],
                base.encode_text(tokenizer, encoder, part, device),
                encoder.dtype,
            )
            bar.update(len(part))
    _write_text([text_path(folder, None, digest)], base.no_text(tokenizer, encoder, device), encoder.dtype)
    keep = {text_path(folder, caption, digest) for caption in [None, *captions]}
    for path in set(folder.glob("*.safetensors")) - keep:
        path.unlink()
    return digest


def text_path(folder: Path, caption: str | None, encoder: str) -> Path:
    """Path of an encoded caption; None: that of unconditional videos.

    Args:
        folder: of the encoded captions.
        caption: the caption.
        encoder: hash of the text encoder.
    """
    name = NO_CAPTION if caption is None else sha256_of_value([caption, encoder])[:32]
    return folder / f"{name}.safetensors"


def _write_text(paths: Iterable[Path], text: TextCondition, dtype: torch.dtype) -> None:
    for path, hidden, mask in zip(paths, text.hidden, text.mask, strict=True):
        with replacing(path) as partial:
            save_file({"hidden": hidden[mask].to(dtype).cpu().contiguous()}, partial)
