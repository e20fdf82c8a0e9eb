from pathlib import Path

import numpy as np
import pytest
import torch

from sketch2video.errors import UserError
from sketch2video.files import read_json
from sketch2video.models.autoencoder import SketchAutoencoder
from sketch2video.models.text import TextCondition
from sketch2video.models.video_transformer import VideoTransformer
from sketch2video.training.data import ShardDataset, clips_of_split
from sketch2video.training.latents import encode_latents
from sketch2video.training.loop import SilentLogger, TrainResult
from sketch2video.training.video_ldm import VideoLDMTask, captions_of, near_ink, train_video_ldm, wavering
from tests.training.small import small_params


@pytest.fixture(scope="session")
def encoded(scenes: Path) -> Path:
    """The scenes with an untrained autoencoder and its latents."""
    torch.manual_seed(0)
    SketchAutoencoder(latent_channels=2, halvings=2, width=16).save_pretrained(scenes / "autoencoder")
    encode_latents(clips=scenes / "clips", autoencoder=scenes / "autoencoder", latents=scenes / "latents")
    return scenes


def run(encoded: Path, folder: Path, steps: int, **changes) -> TrainResult:
    names = ("latents", "curves", "autoencoder")
    where = {name: encoded / name for name in names} | {"text_encoder": encoded / "text"}
    params = small_params("video_ldm", steps, width=32, layers=2, heads=2, **changes)
    return train_video_ldm(params, SilentLogger(), folder / "video_ldm", **where, checkpoints=folder / "checkpoints")


def test_training_improves_held_out_clips(encoded: Path, tmp_path: Path) -> None:
    short, long = run(encoded, tmp_path / "short", 1), run(encoded, tmp_path / "long", 30)
    assert long.metrics["loss_test"] < 0.9 * short.metrics["loss_test"]
    assert {"loss", "loss_test", "loss_test_without_sketch", "loss_test_without_text"} <= long.metrics.keys()


def test_the_folder_holds_the_latents_statistics_and_sizes(encoded: Path, tmp_path: Path) -> None:
    run(encoded, tmp_path, 2)
    config = VideoTransformer.from_pretrained(tmp_path / "video_ldm").config
    statistics = read_json(encoded / "latents" / "latents.json")
    np.testing.assert_allclose(config.latent_mean, statistics["mean"])
    np.testing.assert_allclose(config.latent_std, statistics["std"])
    assert (config.sample_size, config.sample_frames, config.factor, config.text_width) == (32, 4, 4, 32)


def test_pictures_show_real_drawn_and_generated(encoded: Path, tmp_path: Path) -> None:
    run(encoded, tmp_path, 2)
    previews = sorted(path.name for path in (tmp_path / "checkpoints").rglob("previews/*"))
    assert previews == ["video_ldm-000002.gif", "video_ldm-000002.png"]


def test_the_same_seed_trains_the_same_network(encoded: Path, tmp_path: Path) -> None:
    first, second = (run(encoded, tmp_path / name, 3).metrics for name in ("first", "second"))
    assert first == second


@pytest.mark.parametrize("condition", ["text", "sketch", "fps"])
def test_a_dropped_condition_has_no_influence(encoded: Path, condition: str) -> None:
    arrays = {"latents": encoded / "latents", "coefficients": encoded / "curves", "visibility": encoded / "curves"}
    dataset = ShardDataset(clips_of_split(encoded / "curves" / "curves.parquet", "train"), arrays, ["fps"])
    batch = dataset.batch(range(8))
    changed = {**batch, "coefficients": 0.8 * batch["coefficients"], "fps": 2 * batch["fps"]}
    sizes = {"latent_channels": 2, "latent_mean": [0.0, 0.0], "latent_std": [1.0, 1.0], "factor": 4}
    torch.manual_seed(0)
    network = VideoTransformer(**sizes, width=16, layers=1, heads=2, text_width=16)
    for parameter in network.parameters():  # away from the zeros that hide all conditions
        parameter.data += 0.1 * torch.randn_like(parameter)
    captions, others = (
        TextCondition(torch.randn(len(dataset), 3, 16), torch.ones(len(dataset), 3, dtype=torch.bool)) for _ in "ab"
    )
    name = {"text": "index", "sketch": "coefficients", "fps": "fps"}[condition]

    def loss(share: float, *, other: bool) -> float:
        kept = {"text_dropout": 0.0, "sketch_dropout": 0.0, "fps_dropout": 0.0, f"{condition}_dropout": share}
        section = small_params("video_ldm", 1, **kept).video_ldm
        text = others if other and condition == "text" else captions
        task = VideoLDMTask(network, section, SketchAutoencoder(2, 2, 16), text, text, dataset)
        seen = {**batch, name: changed[name]} if other else batch
        return float(task.loss(seen, torch.Generator().manual_seed(0), 0.0)[0].detach())

    assert loss(0.0, other=True) != loss(0.0, other=False)
    assert loss(1.0, other=True) == loss(1.0, other=False)


def test_captions_are_cut_to_the_longest_that_is_asked_for() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False], [True, True, True]])
    table = TextCondition(torch.randn(3, 3, 2), mask)
    some = captions_of(table, torch.tensor([1, 0]), torch.device("cpu"))
    torch.testing.assert_close(some.hidden, table.hidden[[1, 0], :2])
    assert some.mask.tolist() == [[True, False], [True, True]]


def test_missing_latents_are_named(encoded: Path, tmp_path: Path) -> None:
    where = {"curves": encoded / "curves", "autoencoder": encoded / "autoencoder", "text_encoder": encoded / "text"}
    with pytest.raises(UserError, match=r"nowhere.*latents\.json is missing"):
        train_video_ldm(small_params("video_ldm", 1), SilentLogger(), tmp_path, latents=tmp_path / "nowhere", **where)


def test_only_positions_at_the_drawing_and_beside_it_weigh_more() -> None:
    ink = torch.zeros(1, 2, 1, 32, 32)
    ink[0, 1, 0, 13, 22] = 0.5
    expected = torch.zeros(1, 2, 4, 4)
    expected[0, 1, 0:3, 1:4] = 0.5  # 8 px a position: the point lies in row 1, column 2
    torch.testing.assert_close(near_ink(ink, (4, 4)), expected)


def test_wavering_is_the_variance_of_an_error_through_time() -> None:
    residual = torch.randn(2, 5, 3, 4, 4)
    variance = torch.var(residual, dim=1, correction=0).mean(1)  # over channels
    torch.testing.assert_close(wavering(residual).mean(1), variance)
    assert wavering(residual[:, :1].expand_as(residual)).max() < 1e-10


def test_wavering_weighs_in_the_loss_by_its_parameter(encoded: Path) -> None:
    arrays = {"latents": encoded / "latents", "coefficients": encoded / "curves", "visibility": encoded / "curves"}
    dataset = ShardDataset(clips_of_split(encoded / "curves" / "curves.parquet", "train"), arrays, ["fps"])
    network = VideoTransformer(
        2, factor=4, width=16, layers=1, heads=2, text_width=16, latent_mean=[0, 0], latent_std=[1, 1]
    )
    text = TextCondition(torch.randn(len(dataset), 3, 16), torch.ones(len(dataset), 3, dtype=torch.bool))
    losses = []
    for weight in (0.0, 1.0, 3.0):
        section = small_params("video_ldm", 1, wavering_weight=weight, ink_weight=0.0).video_ldm
        task = VideoLDMTask(network, section, SketchAutoencoder(2, 2, 16), text, text, dataset)
        loss, terms = task.loss(dataset.batch(range(8)), torch.Generator().manual_seed(0), 0.0)
        losses.append(loss)
    torch.testing.assert_close(losses[0], terms["error"])
    torch.testing.assert_close(losses[1] - losses[0], terms["wavering"])
    torch.testing.assert_close(losses[2] - losses[0], 3 * terms["wavering"])
