from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sketch2video.autoencoder.training import to_network
from sketch2video.data.clips.shards import read_shard, shard_path
from sketch2video.errors import UserError
from sketch2video.tokens.vqgan.codebook import perplexity
from sketch2video.tokens.vqgan.encode import encode_tokens
from sketch2video.tokens.vqgan.network import HierarchicalVQGAN

CODES = 16


@pytest.fixture
def project(scenes: Path, tmp_path: Path) -> Path:
    """Clips and a VQGAN that has seen some of them."""
    shutil.copytree(scenes / "clips", tmp_path / "clips")
    torch.manual_seed(0)
    model = HierarchicalVQGAN(codes=CODES, code_width=4, width=16, blocks=1)
    frames = torch.from_numpy(read_shard(shard_path(tmp_path / "clips", 0))["frames"]).flatten(0, 1)
    model.quantise(to_network(frames))
    model.save_pretrained(tmp_path / "vqgan")
    return tmp_path


def encode(folder: Path) -> dict[str, float]:
    return encode_tokens(folder / "tokens", clips=folder / "clips", vqgan=folder / "vqgan")


def test_tokens_are_those_of_the_vqgan(project: Path) -> None:
    perplexities = encode(project)
    model = HierarchicalVQGAN.from_pretrained(project / "vqgan").eval()
    found: list[list[torch.Tensor]] = [[], []]
    for shard in (0, 1):
        frames = torch.from_numpy(read_shard(shard_path(project / "clips", shard))["frames"])
        tokens = read_shard(shard_path(project / "tokens", shard))
        with torch.no_grad():
            expected = model.encode(to_network(frames.flatten(0, 1)))
        for level, side in enumerate((4, 2)):
            mine = tokens[f"tokens_{level}"]
            assert (mine.shape, mine.dtype) == ((12, 4, side, side), np.int64)
            agreement = (torch.from_numpy(mine).flatten(0, 1) == expected[level]).float().mean()
            assert agreement > 0.95  # sums in bfloat16 may turn a close choice
            found[level].append(torch.from_numpy(mine))
    for level, parts in enumerate(found):
        assert perplexities[f"perplexity_{level}"] == pytest.approx(float(perplexity(torch.cat(parts), CODES)))
        assert perplexities[f"perplexity_{level}"] > 1.5


def test_only_what_changed_is_encoded_again(project: Path) -> None:
    encode(project)
    first, second = (shard_path(project / "tokens", shard) for shard in (0, 1))
    before = first.stat().st_mtime_ns, second.read_bytes()
    second.unlink()
    encode(project)
    assert (first.stat().st_mtime_ns, second.read_bytes()) == before

    HierarchicalVQGAN(codes=CODES, code_width=4, width=16, blocks=1).save_pretrained(project / "vqgan")
    encode(project)
    assert first.stat().st_mtime_ns != before[0]


def test_a_missing_vqgan_is_named(project: Path) -> None:
    shutil.rmtree(project / "vqgan")
    with pytest.raises(UserError, match="dvc repro train_vqgan"):
        encode(project)
