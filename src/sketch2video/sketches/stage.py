"""The data stage ``sketch``: clips → line drawings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sketch2video.files import code_digest
from sketch2video.params import Params
from sketch2video.sketches import classical
from sketch2video.videos.derive import Arrays, derive_shards, shards_of
from sketch2video.videos.shards import write_table


def sketch(params: Params, clips: Path = Path("data/clips"), sketches: Path = Path("data/sketches")) -> None:
    """Draw every clip: ``sketches.parquet`` and ``shards/*.safetensors``.

    The shards hold ``ink`` uint8 (N, T, S, S), and ``cuts`` as those of the clips do.
    A clip whose frames and parameters are unchanged is not drawn again.

    Raises:
        UserError: the clips are missing or damaged.
    """
    table = derive_shards(
        draw_clip,
        ("frames", "cuts"),
        clips,
        sketches,
        shards_of(clips),
        params.sketch.model_dump(),
        code_digest(classical),
        params.base,
        "sketch",
    )
    write_table(table.sort_values("clip_id", ignore_index=True), sketches / "sketches.parquet")


def draw_clip(clip: Arrays, settings: dict[str, Any]) -> tuple[Arrays, dict[str, float]]:
    """Draw one clip, ``frames`` uint8 (T, S, S, 3) and ``cuts``: its ``ink``, and the fact ``ink_coverage``."""
    ink = classical.extract_sketches(
        clip["frames"],
        smoothing=settings["smoothing"],
        contrast=settings["contrast"],
        min_length=settings["min_length"],
    )
    return {"ink": ink, "cuts": clip["cuts"]}, {"ink_coverage": float((ink > 127).mean())}
