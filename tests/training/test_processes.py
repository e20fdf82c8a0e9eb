"""Two processes (gloo, on the CPU) that share batches, against one process that has them for itself."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate.commands.launch import launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from safetensors.torch import load_file

from sketch2video.autoencoder.latents import encode_latents
from sketch2video.autoencoder.network import FrameAutoencoder
from sketch2video.bases.adapted_transformer import WEIGHTS
from sketch2video.bases.encoded_clips import encode_clips
from sketch2video.data.clips.shards import ShardReader, read_table, shard_path, write_shard, write_table
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.steadiness.tuning import STEADIED
from sketch2video.tokens.vqgan.encode import token_array
from sketch2video.tokens.vqgan.network import HierarchicalVQGAN
from sketch2video.training.checkpoints import FILE
from tests.bases.conftest import adapted_params
from tests.bases.conftest import clips as clips
from tests.bases.tiny import save_own, save_stable_diffusion, save_wan
from tests.curve_vae.rings import write_project
from tests.training import shared

ROOT = Path(__file__).parents[2]


def write_tokens(folder: Path) -> None:
    """Random tokens of clips of 8 frames, and an untrained VQGAN."""
    rng = np.random.default_rng(0)
    ids = [f"clip{i:02d}" for i in range(24)]
    split = ["test" if i % 6 == 5 else "train" for i in range(24)]
    table = pd.DataFrame({"clip_id": ids, "caption": "a circle", "split": split, "fps": 8.0, "shard": 0})
    tokens = {token_array(level): rng.integers(16, size=(24, 8, side, side)) for level, side in enumerate((4, 2))}
    write_shard(shard_path(folder / "tokens", 0), tokens, ids, "tokens")
    write_table(table.assign(row=range(24)), folder / "clips" / "clips.parquet")
    torch.manual_seed(0)
    HierarchicalVQGAN(codes=16, code_width=4, width=16, blocks=1).save_pretrained(folder / "vqgan")


def write_steadied(folder: Path) -> None:
    """Random latents of eight of the scenes, a corner of which is foreground, and an untrained network."""
    table = read_table(folder / "curves" / "curves.parquet").iloc[:8].assign(shard=0, row=range(8))
    curves = {name: ShardReader(folder / "curves").batch(name, table) for name in ("coefficients", "visibility")}
    foreground = np.zeros((8, 4, 1, 8, 8), bool)
    for i in range(8):
        foreground[i, :, :, : i + 1, :3] = True
    latents = np.random.default_rng(0).normal(size=(8, 4, 4, 8, 8)).astype(np.float32)
    arrays = {"latents": latents, "foreground": foreground, **curves}
    write_shard(shard_path(folder / "steadied", 0), arrays, table["clip_id"].tolist(), "steadied")
    write_table(pd.DataFrame(table), folder / "steadied" / STEADIED)
    torch.manual_seed(0)
    sizes = {"factor": 4, "width": 32, "layers": 1, "heads": 2, "text_width": 32}
    network = VideoTransformer(**sizes, sample_size=32, sample_frames=4, control_channels=1)
    network.save_pretrained(folder / "video_ldm")


@pytest.fixture(scope="module")
def data(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of all trainings."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    shutil.copytree(scenes, folder)
    torch.manual_seed(0)
    FrameAutoencoder(latent_channels=2, halvings=2, width=16).save_pretrained(folder / "autoencoder")
    encode_latents(folder / "latents", clips=folder / "clips", autoencoder=folder / "autoencoder")
    clips = read_table(folder / "clips" / "clips.parquet").assign(shape=None, colour=None, motion=None)
    write_table(clips, folder / "captions" / "clips.parquet")
    write_project(folder / "rings")
    write_steadied(folder)
    write_tokens(folder / "drawn")
    encoded = {"clips": folder / "clips", "curves": folder / "curves"}
    encode_clips(folder / "encoded", params=adapted_params(save_own(folder / "base")), **encoded)
    return folder


def launch(folder: Path, processes: int, *scenarios: str, **variables: str) -> dict[str, list[Any]]:
    """What the processes return of each scenario."""
    # What `accelerate launch` calls for several GPUs; for CPUs it needs mpirun.
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | variables
    command = [*launcher, str(Path(shared.__file__)), str(folder), *scenarios]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found = {name: [folder / f"{name}-{process}.json" for process in range(processes)] for name in scenarios}
    return {name: [json.loads(path.read_text()) for path in paths] for name, paths in found.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have written."""
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def both(folder: Path) -> dict[str, list[Any]]:
    """What two processes return."""
    return launch(folder, 2, "undisturbed", "interrupted", "refused", "pieces")


def assert_alike(curve: list[dict[str, float]], expected: list[dict[str, float]], tolerance: float) -> None:
    assert len(curve) == len(expected)
    for point, other in zip(curve, expected, strict=True):
        assert point == pytest.approx(other, rel=tolerance, abs=1e-6)


def test_two_processes_train_as_one(both: dict[str, list[Any]], tmp_path: Path) -> None:
    (first, second), alone = both["undisturbed"], shared.undisturbed(tmp_path)
    assert_alike(first["history"], alone["history"], 1e-5)
    assert first["weights"] == pytest.approx(alone["weights"], rel=1e-5, abs=1e-6)
    assert first["metrics"] == pytest.approx(alone["metrics"], rel=1e-5)
    for name in ("history", "weights", "metrics"):
        assert second[name] == first[name], name


def test_the_main_process_alone_writes(both: dict[str, list[Any]], folder: Path, tmp_path: Path) -> None:
    (first, second), alone = both["undisturbed"], shared.undisturbed(tmp_path)
    assert first["saved"] == alone["saved"] == 4  # at steps 0, 5, 10 and 12
    assert first["logged"] == alone["logged"] == {"begin": 1, "metrics": 13, "figure": 3}
    assert (second["saved"], second["logged"]) == (0, {})
    assert [path.name for path in (folder / "undisturbed").iterdir() if path.is_file()] == [FILE]


def test_two_processes_resume_to_the_same_weights(both: dict[str, list[Any]]) -> None:
    for expected, found in zip(both["undisturbed"], both["interrupted"], strict=True):
        assert found == {name: expected[name] for name in found}


def test_one_process_goes_on_with_what_two_have_begun(both: dict[str, list[Any]], folder: Path) -> None:
    expected = both["undisturbed"][0]
    halfway = folder / "halfway"  # the interrupted training of both processes has left its checkpoint there
    task = shared.Weighted(shared.layers())
    shared.run(task, halfway)
    assert shared.weights(task) == pytest.approx(expected["weights"], rel=1e-5, abs=1e-6)


def test_what_cannot_be_shared_is_refused(both: dict[str, list[Any]], tmp_path: Path) -> None:
    for reasons in both["refused"]:
        assert "a batch of 7 samples cannot be divided evenly among 2 processes" in reasons["batch"]
        assert "toy: BatchNorm1d normalises by the whole batch" in reasons["normalisation"]
    assert shared.refused(tmp_path) == {"batch": "", "normalisation": ""}


def test_two_processes_draw_and_quantise_what_one_does(both: dict[str, list[Any]], tmp_path: Path) -> None:
    whole, shares = shared.pieces(tmp_path), both["pieces"]
    for name, values in whole["drawn"].items():
        assert [values[0::2], values[1::2]] == [share["drawn"][name] for share in shares], name
    for name in ("ragged", "indices"):
        assert [whole[name][0::2], whole[name][1::2]] == [share[name] for share in shares], name
    for share in shares:
        assert share["perplexity"] == pytest.approx(whole["perplexity"], rel=1e-5)
        for name, buffer in whole["codebook"].items():
            np.testing.assert_allclose(share["codebook"][name], buffer, rtol=1e-4, atol=1e-5, err_msg=name)
    assert shares[0]["codebook"] == shares[1]["codebook"]


@pytest.mark.slow
def test_every_network_learns_from_two_processes_as_from_one(data: Path) -> None:
    one, two = (shutil.copytree(data, data.with_name(name)) for name in ("one", "two"))
    alone, shares = launch(one, 1, "networks", "adapters"), launch(two, 2, "networks", "adapters")
    for scenario, (expected,) in alone.items():
        for curves in shares[scenario]:
            assert curves.keys() == expected.keys()
            for name, curve in curves.items():
                assert_alike(curve, expected[name], 2e-5)


def fsdp_variables() -> dict[str, str]:
    """What ``accelerate launch`` sets for the command of docs/large_bases.md."""
    command = re.search(r"accelerate launch (--use_fsdp.*?) \\\n", (ROOT / "docs/large_bases.md").read_text())
    assert command is not None
    plain = {
        "mixed_precision": "no",
        "dynamo_backend": "no",
        "num_processes": 2,
        "num_machines": 1,
        "main_process_port": 0,
    }
    more = [word for name, value in plain.items() for word in (f"--{name}", str(value))]
    found = prepare_multi_gpu_env(launch_command_parser().parse_args([*command[1].split(), *more, "script.py"]))
    return {name: value for name, value in found.items() if name.startswith(("FSDP_", "ACCELERATE_USE_FSDP"))}


@pytest.mark.slow
@pytest.mark.parametrize("save", [save_wan, save_stable_diffusion])
def test_adapters_of_a_sharded_base_learn_as_those_of_a_whole_one(save: Any, clips: Path, tmp_path: Path) -> None:
    data = tmp_path / "whole"
    encoded = {"clips": clips / "clips", "curves": clips / "curves"}
    encode_clips(data / "encoded", params=adapted_params(save(data / "base")), **encoded)
    copy = shutil.copytree(data, tmp_path / "parts")
    (expected,), shares = (
        launch(data, 1, "sharded")["sharded"],
        launch(copy, 2, "sharded", **fsdp_variables())["sharded"],
    )
    for share in shares:
        for name in ("undisturbed", "interrupted"):
            assert_alike(share[name]["history"], expected["undisturbed"]["history"], 1e-4)
            assert share[name]["metrics"] == pytest.approx(expected["undisturbed"]["metrics"], rel=1e-3, abs=1e-6)
        assert share["interrupted"] == share["undisturbed"], "resumed exactly"
        assert share["held"] < 0.75 * expected["held"], "frozen weights are divided"
    found, whole = (load_file(folder / "undisturbed" / "adapters" / WEIGHTS) for folder in (copy, data))
    assert found.keys() == whole.keys()
    for name, weight in whole.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=1e-4, msg=name)
