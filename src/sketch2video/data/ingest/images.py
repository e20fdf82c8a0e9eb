"""Captioned images in shards: ``data/images``, made by the stage ``ingest`` beside the clips.

They come from a CSV ``path_to_image,caption`` (``ingest.images``) or are stills of the embedded scenes
(``ingest.synthetic.images``). A model that is trained on images and clips learns appearance from many images
and motion from few clips.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sketch2video.code import code_digest
from sketch2video.data.clips.columns import IMAGE_COLUMNS, IMAGE_TABLE
from sketch2video.data.clips.shards import update_shard, write_table
from sketch2video.data.ingest.build import Rows, digest_of, make_rows, make_shards, write_rejected
from sketch2video.data.sources.captions import read_image_captions
from sketch2video.files import sha256_of_value
from sketch2video.media import pictures
from sketch2video.params import Params
from sketch2video.scenes import synthetic


def ingest_images(params: Params, images: Path = Path("data/images")) -> None:
    """Make the images: ``images.parquet``, ``rejected.csv`` and ``shards/*.safetensors``.

    The shards hold ``frames`` uint8 (N, 1, S, S, 3), clips of one frame; the middle square is cut out as it is for
    videos. Where there are no images the table is empty and there is no shard.

    Raises:
        UserError: the CSV cannot be read, more rows than ``ingest.max_rejected`` cannot be used, or none can.
    """
    (images / IMAGE_TABLE).unlink(missing_ok=True)
    rows = _stills(params, images) if params.ingest.images is None else _pictures(params, params.ingest.images, images)
    table = (
        pd.DataFrame(rows)
        .rename(columns={"clip_id": "image_id"})
        .reindex(columns=list(IMAGE_COLUMNS))
        .astype(IMAGE_COLUMNS)
    )
    write_table(table.sort_values("image_id", ignore_index=True), images / IMAGE_TABLE)


def _pictures(params: Params, captions: str, images: Path) -> Rows:
    """Read the images of a CSV."""
    source = read_image_captions(Path(params.ingest.folder).absolute(), captions)
    files = {row.id: source.base / row.path for row in source.rows}
    return make_rows(_picture_shard, source, files, {"size": params.base.size}, params, images)


def _picture_shard(target: Path, files: Sequence[tuple[str, Path]], settings: dict[str, Any]) -> dict[str, Any]:
    """Read the images of one shard, id and file each, as far as they are new; returns the shard's notes."""
    file_of = dict(files)
    digests = {image_id: digest_of(path) for image_id, path in files}
    made_of = {"settings": settings, "code": code_digest(pictures)}
    keys = {image_id: sha256_of_value({"image": digests[image_id], **made_of}) for image_id in file_of}

    def read(image_id: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | str:
        try:
            picture = pictures.read_picture(file_of[image_id])
        except pictures.RejectedPicture as error:
            return error.reason
        height, width = picture.shape[:2]
        facts = {"source_width": width, "source_height": height, "image_sha256": digests[image_id]}
        return {"frames": pictures.middle_square(picture, settings["size"])[None]}, facts

    return update_shard(target, keys, read)


def _stills(params: Params, images: Path) -> Rows:
    """Render stills of the embedded scenes; they have the attributes of training clips, so all are for training."""
    section, count = params.ingest, 0
    if section.source == "synthetic":
        count = section.synthetic.images
    side = synthetic.sides(section.synthetic.held_out_combinations, section.seed)["train"]
    what_of = {}
    for number in range(count):
        image_id = f"still-{number:06d}"
        choice = synthetic.scene_rng(section.seed, f"{image_id} and what")
        what_of[image_id] = side[choice.integers(len(side))]
    settings = {"seed": section.seed, "size": params.base.size}
    rows, _ = make_shards(_still_shard, what_of, settings, params, images)
    write_rejected([], images, "image")
    return [{**row, "split": "train"} for row in rows]


def _still_shard(
    target: Path, stills: Sequence[tuple[str, synthetic.Combination]], settings: dict[str, Any]
) -> dict[str, Any]:
    """Render the stills of one shard, id and object each, as far as they are new; returns the shard's notes."""
    what_of = dict(stills)
    made_of = {"settings": settings, "code": code_digest(synthetic)}
    keys = {
        image_id: sha256_of_value({"image_id": image_id, "object": what, **made_of})
        for image_id, what in what_of.items()
    }

    def render(image_id: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        rng, size = synthetic.scene_rng(settings["seed"], image_id), settings["size"]
        scene = synthetic.sample_scene(rng, [what_of[image_id]])
        frames = synthetic.render_at(scene, size, rng.uniform(0, 1, 1)).frames
        facts = {
            "path_to_image": f"synthetic/{image_id}",
            "caption": synthetic.still_caption_of(scene, rng),
            "source_width": size,
            "source_height": size,
            "image_sha256": hashlib.sha256(frames.data).hexdigest(),
        }
        return {"frames": frames}, facts

    return update_shard(target, keys, render)
