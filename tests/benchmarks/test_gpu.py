"""The measurement of large bases, on small ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu import BASES, BUCKETS, adapted, main, markdown, measure, random_base
from sketch2video.bases.buckets import Bucket, checked
from sketch2video.errors import UserError
from sketch2video.params import load_params

SMALL: dict[str, dict[str, Any]] = {
    "Wan 2.1 1.3B": {"num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 32, "num_layers": 2},
    "LTX-Video 2B": {
        "num_attention_heads": 2, "attention_head_dim": 12, "cross_attention_dim": 24, "num_layers": 2,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", BASES)
def test_a_step_of_a_base_of_random_weights_is_measured(name: str) -> None:
    kind, config, _ = BASES[name]
    base = random_base(kind, config | SMALL[name])
    bucket = Bucket(64, 64, 9)
    settings = load_params().adapted_video.model_copy(update={"rank": 2, "gradient_checkpointing": True})
    found = measure(adapted(base, 2, torch.device("cpu")), bucket, settings, 8, 1)
    positions = (64 // base.side_step) ** 2 * ((9 - 1) // base.frame_step + 1)
    assert found["tokens"] == positions
    assert found["seconds"] > 0
    table = markdown([{"base": name, "bucket": bucket.name, "checkpointing": True, **found}], 2)
    assert f"| {name} " in table
    missing = {"base": name, "bucket": bucket.name, "checkpointing": False, "tokens": 0}
    assert "out of memory" in markdown([missing | {"gib": float("inf"), "seconds": float("inf")}], 2)


@pytest.mark.parametrize("name", BASES)
def test_buckets_are_videos_of_the_full_bases(name: str) -> None:
    kind, config, _ = BASES[name]
    base = random_base(kind, config)
    for text in BUCKETS[name]:
        bucket = Bucket(*map(int, text.split("x")))
        assert checked(bucket, base, text) == bucket
    with torch.device("meta"):
        weights = sum(weight.numel() for weight in base.classes["transformer"](**config).parameters())
    assert 1.2e9 < weights < 2.1e9


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="there is no GPU here"):
        main()
