"""Clips of one short line each that moves to the right or to the left, as folders of shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sketch2video.data.clips.shards import shard_path, write_shard, write_table

FRAMES, SLOTS, HARMONICS = 4, 2, 4
WORDS = ("to the left", "to the right")


def moving_lines(folder: Path, clips: int) -> pd.DataFrame:
    """Write ``curves`` and ``clips``: every third clip is of the test split.

    Labels: ``label.motion``, null for every tenth clip, which drawings show; ``label.colour``, which they do not.
    """
    rng = np.random.default_rng(0)
    rows, coefficients = [], np.zeros((clips, FRAMES, SLOTS, 2, HARMONICS), np.float32)
    for index in range(clips):
        word = int(rng.integers(2))
        start = rng.uniform(0.3, 0.7, 2)
        coefficients[index, :, 0, :, 0] = start
        coefficients[index, :, 0, 0, 0] += (2 * word - 1) * np.linspace(-0.2, 0.2, FRAMES)
        coefficients[index, :, 0, :, 1] = rng.uniform(0.05, 0.1), rng.uniform(-0.1, 0.1)
        rows.append(
            {
                "clip_id": f"clip{index:03d}",
                "caption": f"a line moves {WORDS[word]}",
                "label": WORDS[word],
                "split": "test" if index % 3 == 2 else "train",
                "fps": 8.0,
                "shard": 0,
                "row": index,
                "slots": 1,
                "label.colour": "red" if rng.random() < 0.5 else "blue",
                "label.motion": None if index % 10 == 3 else WORDS[word],
            }
        )
    visibility = np.zeros((clips, FRAMES, SLOTS), np.float32)
    visibility[:, :, 0] = 1
    table = pd.DataFrame(rows)
    arrays = {"coefficients": coefficients, "visibility": visibility}
    write_shard(shard_path(folder / "curves", 0), arrays, table["clip_id"].tolist(), "curves")
    write_table(table, folder / "curves" / "curves.parquet")
    write_table(table, folder / "clips" / "clips.parquet")
    return table
