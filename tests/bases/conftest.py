"""Clips of ten frames with curves, and tiny bases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sketch2video.data.clips.shards import shard_path, write_shard, write_table
from sketch2video.params import Params, load_params
from sketch2video.scenes.synthetic import Combination, render_scene, sample_scene
from tests.bases.tiny import SAVERS
from tests.scenes_data import as_one_stroke

ROOT = Path(__file__).parents[2]
SIZE, FRAMES, CLIPS = 32, 10, 8


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``clips`` and ``curves`` of eight scenes of 10 x 32 x 32 in two shards."""
    folder = tmp_path_factory.mktemp("ten-frames")
    rng = np.random.default_rng(0)
    rows, arrays = [], []
    for number in range(CLIPS):
        shape, colour = ("circle", "red") if number % 2 else ("square", "blue")
        rendered = render_scene(
            sample_scene(rng, [Combination(shape, colour, "left to right")], frames=FRAMES), SIZE, FRAMES
        )
        visibility = np.zeros((FRAMES, 2), np.float32)
        visibility[:, 0] = 1
        arrays.append((rendered.frames, as_one_stroke(rendered.outlines[:, 0]), visibility))
        split = "test" if number % 4 == 3 else "train"
        about = {"caption": f"a {colour} {shape} moves left to right", "split": split, "fps": 8.0 + number % 2}
        rows.append({"clip_id": f"clip{number}", "path_to_video": f"synthetic/{number}", **about})
    table = pd.DataFrame(rows).assign(shard=np.arange(CLIPS) // 4, row=np.arange(CLIPS) % 4)
    for shard, part in table.groupby("shard"):
        frames, coefficients, visibility = map(np.stack, zip(*(arrays[i] for i in part.index), strict=True))
        ids, number = part["clip_id"].tolist(), int(shard)
        write_shard(shard_path(folder / "clips", number), {"frames": frames}, ids, f"clips {number}")
        curves = {"coefficients": coefficients, "visibility": visibility}
        write_shard(shard_path(folder / "curves", number), curves, ids, f"curves {number}")
    write_table(table, folder / "clips" / "clips.parquet")
    write_table(table, folder / "curves" / "curves.parquet")
    return folder


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of a tiny base of each kind."""
    folder = tmp_path_factory.mktemp("bases")
    return {name: save(folder / name) for name, save in SAVERS.items()}


def adapted_params(base: Path, steps: int = 10, **changes: Any) -> Params:
    """The project's own parameters for these clips, with a short training."""
    values = load_params(ROOT / "params.yaml").model_dump(by_alias=True)
    values["base"] |= {"size": SIZE, "frames": FRAMES}
    values["adapted_video"]["training"] |= {
        "steps": steps, "batch_size": 4, "warmup_steps": 1, "learning_rate": 3e-3, "ema_decay": 0.5,
        "checkpoint_every": 4, "preview_every": 0,
    }  # fmt: skip
    values["adapted_video"] |= {"base": str(base), "rank": 4, "variants": 1, **changes}
    return Params.model_validate(values)
