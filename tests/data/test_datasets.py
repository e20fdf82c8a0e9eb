from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

from sketch2video.data.clips.datasets import ShardDataset, TensorDataset, batch_indices, clips_of_split
from sketch2video.data.clips.shards import shard_path, write_shard, write_table
from sketch2video.errors import UserError


def test_every_epoch_shows_every_sample_once_and_in_another_order():
    order = [index for position in range(50) for index in batch_indices(7, position, 4, 10)]
    epochs = [order[start : start + 10] for start in range(0, 200, 10)]
    assert all(Counter(epoch) == Counter(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 20


def test_order_depends_on_seed_and_position_alone():
    assert batch_indices(7, 33, 4, 10) == batch_indices(7, 33, 4, 10)
    assert batch_indices(7, 0, 8, 1000) != batch_indices(8, 0, 8, 1000)
    assert batch_indices(7, 2, 2, 10) + batch_indices(7, 3, 2, 10) == batch_indices(7, 1, 4, 10)


def test_a_batch_may_be_larger_than_the_data():
    assert Counter(batch_indices(0, 0, 7, 3)).keys() == {0, 1, 2}


def test_tensors_must_be_equally_long():
    with pytest.raises(ValueError, match="differ in length"):
        TensorDataset({"a": torch.zeros(2), "b": torch.zeros(3)})


@pytest.fixture
def folder(tmp_path):
    rows = []
    for shard in range(2):
        ids = [f"{shard}{row}" for row in range(3)]
        frames = np.stack([np.full((2, 4, 4), 10 * shard + row, np.uint8) for row in range(3)])
        write_shard(shard_path(tmp_path, shard), {"ink": frames}, ids, "key")
        rows += [
            {"clip_id": clip, "shard": shard, "row": row, "split": "train" if row else "test", "fps": 8.0 + row}
            for row, clip in enumerate(ids)
        ]
    write_table(pd.DataFrame(rows), tmp_path / "clips.parquet")
    return tmp_path


def test_clips_are_read_by_number(folder):
    table = clips_of_split(folder / "clips.parquet", "train")
    data = ShardDataset(table, {"ink": folder}, columns=["fps"])
    assert len(data) == 4
    batch = data.batch([3, 0, 0])
    assert batch["ink"].shape == (3, 2, 4, 4)
    assert batch["ink"].dtype == torch.uint8
    assert batch["ink"][:, 0, 0, 0].tolist() == [12, 1, 1]
    assert batch["fps"].tolist() == [10.0, 9.0, 9.0]
    assert batch["index"].tolist() == [3, 0, 0]


def test_a_missing_split_is_named(folder):
    with pytest.raises(UserError, match="no clip of the valid split"):
        clips_of_split(folder / "clips.parquet", "valid")
