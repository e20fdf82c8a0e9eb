from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sketch2video.autoencoder.latents import encode_latents
from sketch2video.autoencoder.network import FrameAutoencoder
from sketch2video.controls import NONE, SKETCH
from sketch2video.data.clips.datasets import ShardDataset, clips_of_split
from sketch2video.data.clips.shards import ShardReader, shard_path, write_shard
from sketch2video.diffusion import training
from sketch2video.diffusion.mixed_data import MixedDataset
from sketch2video.diffusion.training import (
    VideoLDMTask,
    captions_of,
    frames_per_latent,
    near_ink,
    train_video_ldm,
    wavering,
)
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.errors import UserError
from sketch2video.files import read_json
from sketch2video.networks.flow_matching import sampling_times
from sketch2video.networks.temporal_spectrum import still_positions
from sketch2video.params import MixtureParams
from sketch2video.text.encoder import TextCondition
from sketch2video.training.loop import SilentLogger, TrainResult, train
from tests.small_data import small_params


@pytest.fixture(scope="session")
def encoded(scenes: Path) -> Path:
    """The scenes with an untrained autoencoder and its latents."""
    torch.manual_seed(0)
    FrameAutoencoder(latent_channels=2, halvings=2, width=16).save_pretrained(scenes / "autoencoder")
    encode_latents(scenes / "latents", clips=scenes / "clips", autoencoder=scenes / "autoencoder")
    return scenes


def run(encoded: Path, folder: Path, steps: int, control: str = "sketch", **changes) -> TrainResult:
    names = ("latents", "clips", "curves", "autoencoder")
    where = {name: encoded / name for name in names} | {"text_encoder": encoded / "text"}
    params = small_params("video_ldm", steps, width=32, layers=2, heads=2, **changes)
    where["checkpoints"] = folder / "checkpoints"
    return train_video_ldm(params, SilentLogger(), folder / "video_ldm", control=control, **where)


def test_training_improves_held_out_clips(encoded: Path, tmp_path: Path) -> None:
    short, long = run(encoded, tmp_path / "short", 1), run(encoded, tmp_path / "long", 60)
    assert long.metrics["loss_test"] < 0.95 * short.metrics["loss_test"]
    assert {"loss", "loss_test", "loss_test_without_control", "loss_test_without_text"} <= long.metrics.keys()
    assert {"control_gap", "control_gap_error"} <= long.metrics.keys()


@pytest.mark.parametrize("objective", ["v_prediction", "epsilon"])
def test_training_to_predict_velocities_or_noise_of_a_diffusion_improves(
    encoded: Path, tmp_path: Path, objective: str
) -> None:
    short, long = (run(encoded, tmp_path / str(steps), steps, objective=objective) for steps in (1, 60))
    assert long.metrics["loss_test"] < 0.95 * short.metrics["loss_test"]
    assert VideoTransformer.from_pretrained(tmp_path / "60" / "video_ldm").config.objective == objective


def test_the_folder_holds_the_latents_statistics_and_sizes(encoded: Path, tmp_path: Path) -> None:
    run(encoded, tmp_path, 2)
    config = VideoTransformer.from_pretrained(tmp_path / "video_ldm").config
    statistics = read_json(encoded / "latents" / "latents.json")
    np.testing.assert_allclose(config.latent_mean, statistics["mean"])
    np.testing.assert_allclose(config.latent_std, statistics["std"])
    assert config.temporal_deviations == statistics["temporal_deviations"]
    assert len(config.temporal_deviations) == 4
    assert config.whitening == 0.5
    assert (config.sample_size, config.sample_frames, config.factor, config.text_width) == (32, 4, 4, 32)


def test_without_a_sketch_no_curve_is_read(encoded: Path, tmp_path: Path) -> None:
    where = {name: encoded / name for name in ("latents", "clips", "autoencoder")} | {"text_encoder": encoded / "text"}
    params = small_params("video_ldm", 2, width=32, layers=2, heads=2, whitening=0.75, undrawn_whitening=0.125)
    result = train_video_ldm(
        params,
        SilentLogger(),
        tmp_path / "video_ldm",
        control="none",
        **where,
        curves=tmp_path / "nowhere",
        checkpoints=tmp_path / "checkpoints",
    )
    assert "loss_test_without_control" not in result.metrics
    config = VideoTransformer.from_pretrained(tmp_path / "video_ldm").config
    assert config.control_channels == 0
    assert config.whitening == 0.125, "the exponent for networks without a drawing"
    assert list((tmp_path / "checkpoints").rglob("previews/*.gif"))


def test_pictures_show_real_drawn_and_generated(encoded: Path, tmp_path: Path) -> None:
    run(encoded, tmp_path, 2)
    previews = sorted(path.name for path in (tmp_path / "checkpoints").rglob("previews/*"))
    assert previews == ["video_ldm-000002.gif", "video_ldm-000002.png"]


def test_the_same_seed_trains_the_same_network(encoded: Path, tmp_path: Path) -> None:
    first, second = (run(encoded, tmp_path / name, 3).metrics for name in ("first", "second"))
    assert first == second


def test_the_loss_of_a_flow_is_the_distance_to_its_velocity(encoded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ShardDataset(
        clips_of_split(encoded / "curves" / "curves.parquet", "train"), {"latents": encoded / "latents"}, ["fps"]
    )
    sizes = {"latent_channels": 2, "latent_mean": [0.0, 0.0], "latent_std": [1.0, 1.0], "factor": 4}
    network = VideoTransformer(**sizes, width=16, layers=1, heads=2, text_width=16, control_channels=0)
    monkeypatch.setattr(network, "forward", lambda latents, time, **_: 2 * latents)
    captions = TextCondition(torch.zeros(len(dataset), 1, 16), torch.ones(len(dataset), 1, dtype=torch.bool))
    section = small_params("video_ldm", 1, time_shift=4.0, wavering_weight=0.0).video_ldm
    task = VideoLDMTask(network, section, NONE, FrameAutoencoder(2, 2, 16), captions, captions, dataset)
    batch = dataset.batch(range(4))
    found, _ = task.loss(batch, torch.Generator().manual_seed(3), 0.0)

    generator, data = torch.Generator().manual_seed(3), batch["latents"]
    time = torch.sigmoid(torch.randn(4, generator=generator))
    time = (4 * time / (1 + 3 * time)).view(4, 1, 1, 1, 1)
    noise = torch.randn(data.shape, generator=generator)
    expected = (2 * ((1 - time) * data + time * noise) - (noise - data)).square().mean()
    torch.testing.assert_close(found, expected)


class Seen(VideoTransformer):
    """A network that knows the sign of the best prediction, and from a drawing more of its size: by ``use``."""

    use = 0.0

    def forward(self, latents, timestep, control=None, **conditions):
        seen = 0.0 if control is None else control.mean((1, 2, 3, 4)).view(-1, 1, 1, 1, 1)
        return (0.2 + self.use * seen) * (2 * timestep - 1).view(-1, 1, 1, 1, 1) * latents


@pytest.mark.parametrize(("use", "ignored"), [(0.0, True), (2.0, False), (-2.0, True)])
def test_a_network_that_ignores_its_control_is_told_from_one_that_uses_it(
    encoded: Path, use: float, ignored: bool
) -> None:
    arrays = {"latents": encoded / "latents", "coefficients": encoded / "curves", "visibility": encoded / "curves"}
    dataset = ShardDataset(clips_of_split(encoded / "curves" / "curves.parquet", "train"), arrays, ["fps"])
    statistics = read_json(encoded / "latents" / "latents.json")
    sizes = {"latent_channels": 2, "latent_mean": statistics["mean"], "latent_std": statistics["std"], "factor": 4}
    network = Seen(**sizes, width=16, layers=1, heads=2, text_width=16)
    network.use = use
    text = TextCondition(torch.zeros(len(dataset), 3, 16), torch.ones(len(dataset), 3, dtype=torch.bool))
    section = small_params("video_ldm", 1).video_ldm
    task = VideoLDMTask(network, section, SKETCH, FrameAutoencoder(2, 2, 16), text, text, dataset)
    gap, metrics = task.control_gap(), task.metrics()
    assert gap.ignored == ignored
    assert gap.clips == len(dataset)
    assert (metrics["control_gap"] > 3 * metrics["control_gap_error"]) == (not ignored)
    assert metrics["control_gap"] == pytest.approx(metrics["loss_test_without_control"] - metrics["loss_test"])


def test_without_a_control_there_is_no_gap(encoded: Path) -> None:
    table = clips_of_split(encoded / "clips" / "clips.parquet", "train")
    dataset = ShardDataset(table, {"latents": encoded / "latents"}, ["fps"])
    sizes = {"latent_channels": 2, "latent_mean": [0.0, 0.0], "latent_std": [1.0, 1.0], "factor": 4}
    network = VideoTransformer(**sizes, width=16, layers=1, heads=2, text_width=16, control_channels=0)
    text = TextCondition(torch.zeros(len(dataset), 3, 16), torch.ones(len(dataset), 3, dtype=torch.bool))
    section = small_params("video_ldm", 1).video_ldm
    task = VideoLDMTask(network, section, NONE, FrameAutoencoder(2, 2, 16, 0), text, text, dataset)
    assert task.control_gap() is None
    assert "control_gap" not in task.metrics()


@pytest.mark.parametrize("condition", ["text", "control", "fps"])
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
    name = {"text": "index", "control": "coefficients", "fps": "fps"}[condition]

    def loss(share: float, *, other: bool) -> float:
        kept = {"text_dropout": 0.0, "control_dropout": 0.0, "fps_dropout": 0.0, f"{condition}_dropout": share}
        section = small_params("video_ldm", 1, **kept).video_ldm
        text = others if other and condition == "text" else captions
        task = VideoLDMTask(network, section, SKETCH, FrameAutoencoder(2, 2, 16), text, text, dataset)
        seen = {**batch, name: changed[name]} if other else batch
        return float(task.loss(seen, torch.Generator().manual_seed(0), 0.0)[0].detach())

    assert loss(0.0, other=True) != loss(0.0, other=False)
    assert loss(1.0, other=True) == loss(1.0, other=False)


OFF = MixtureParams(known_frames=0.0, half_rate=0.0, image_share=0.0, image_steps=0)


def run_mixed(encoded: Path, folder: Path, steps: int, mixture: MixtureParams | None) -> TrainResult:
    where = {name: encoded / name for name in ("latents", "clips", "autoencoder")} | {"text_encoder": encoded / "text"}
    params = small_params("video_ldm", steps, width=32, layers=2, heads=2)
    return train_video_ldm(
        params,
        SilentLogger(),
        folder / "video_ldm",
        control="none",
        mixture=mixture,
        **where,
        checkpoints=folder / "checkpoints",
    )


def test_a_mixture_of_nothing_is_the_plain_training(encoded: Path, tmp_path: Path) -> None:
    plain, off = (run_mixed(encoded, tmp_path / str(bool(m)), 3, m) for m in (None, OFF))
    assert plain.metrics == off.metrics
    config = VideoTransformer.from_pretrained(tmp_path / "True" / "video_ldm").config
    assert not config.known_frames
    assert not config.image_prior


def test_a_mixture_of_everything_trains_and_goes_on_where_it_was(encoded: Path, tmp_path: Path) -> None:
    everything = MixtureParams(known_frames=0.6, half_rate=0.3, image_share=0.3, image_steps=2)
    result = run_mixed(encoded, tmp_path / "whole", 12, everything)
    network = VideoTransformer.from_pretrained(tmp_path / "whole" / "video_ldm")
    assert network.config.known_frames
    assert network.config.image_prior
    assert network.config.whitening == 0, "after single frames, clips are processed frame by frame"
    assert result.metrics["loss_test_between"] != result.metrics["loss_test"]
    for frames in (1, 4, 16):
        assert network(torch.randn(2, frames, 2, 8, 8), torch.rand(2)).isfinite().all()
    assert run_mixed(encoded, tmp_path / "again", 12, everything).metrics == result.metrics


def test_what_single_frames_teach_stands_when_clips_come(encoded: Path, tmp_path: Path) -> None:
    run_mixed(encoded, tmp_path, 6, OFF.model_copy(update={"image_steps": 6}))
    network = VideoTransformer.from_pretrained(tmp_path / "video_ldm")
    latents, time, fps = torch.randn(2, 5, 2, 8, 8), torch.rand(2), torch.tensor([8.0, 0.0])
    alone = [network(latents[:, [frame]], time, fps=fps) for frame in range(5)]
    assert alone[0].abs().max() > 0.01, "something was learned"
    torch.testing.assert_close(network(latents, time, fps=fps), torch.cat(alone, 1), atol=1e-5, rtol=1e-4)


class Wild(VideoTransformer):
    """No velocity, but a wild one at frames that it was shown."""

    def forward(self, latents, timestep, known=None, known_mask=None, **conditions):
        return known_mask.view(8, -1, 1, 1, 1) * 1e6 + 0.0 * latents


def test_known_frames_bring_no_loss(encoded: Path) -> None:
    dataset = ShardDataset(
        clips_of_split(encoded / "clips" / "clips.parquet", "train"), {"latents": encoded / "latents"}, ["fps"]
    )
    sizes = {"latent_channels": 2, "latent_mean": [0.0, 0.0], "latent_std": [1.0, 1.0], "factor": 4}
    network = Wild(**sizes, width=16, layers=1, heads=2, text_width=16, control_channels=0, known_frames=True)
    text = TextCondition(torch.randn(len(dataset), 3, 16), torch.ones(len(dataset), 3, dtype=torch.bool))
    mixture = OFF.model_copy(update={"known_frames": 1.0})
    section = small_params("video_ldm", 1).video_ldm
    task = VideoLDMTask(network, section, NONE, FrameAutoencoder(2, 2, 16, 0), text, text, dataset, mixture)
    for seed in range(10):
        loss, terms = task.loss(dataset.batch(range(8)), torch.Generator().manual_seed(seed), 0.0)
        assert 0 < float(loss) < 100
        total = float(terms["error"]) + section.wavering_weight * float(terms["wavering"])
        assert total == pytest.approx(float(loss))


def test_images_teach_a_word_that_no_clip_shows(tmp_path: Path) -> None:
    """Two clips at -1 and 1 of one channel, an image at 1 of the other: their words are asked for as clips."""
    levels = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]).view(3, 1, 2, 1, 1)
    write_shard(shard_path(tmp_path, 0), {"latents": levels[:2].expand(2, 4, 2, 4, 4).numpy()}, ["a", "b"], "clips")
    write_shard(shard_path(tmp_path / "images", 0), {"latents": levels[2:].expand(1, 1, 2, 4, 4).numpy()}, ["c"], "")
    table = pd.DataFrame({"shard": 0, "row": [0, 1], "fps": 8.0})
    clips = ShardDataset(table, {"latents": tmp_path}, ["fps"])
    section = small_params("video_ldm", 120, text_dropout=0.1, time_shift=1.0).video_ldm
    words = torch.randn(3, 1, 16, generator=torch.Generator().manual_seed(0))
    text = TextCondition(words, torch.ones(3, 1, dtype=torch.bool))

    def shown(images: int) -> torch.Tensor:
        """Mean level of each channel of a generated clip for the image's word."""
        torch.manual_seed(0)
        sizes = {"latent_channels": 2, "latent_mean": [0.0] * 2, "latent_std": [1.0] * 2, "factor": 4}
        network = VideoTransformer(
            **sizes, width=32, layers=2, heads=2, text_width=16, control_channels=0, image_prior=True
        )
        pictures = pd.DataFrame({"shard": 0, "row": range(images)})
        mixture = OFF.model_copy(update={"image_share": 0.5})
        data = MixedDataset(clips, pictures, ShardReader(tmp_path / "images"), mixture, 4, 1)
        task = VideoLDMTask(network, section, NONE, FrameAutoencoder(2, 2, 16, 0), text, text, clips, mixture)
        name = {"name": "video_ldm", "checkpoint_folder": tmp_path / f"with-{images}"}
        train(task, data, section.training, **name, seed=0, logger=SilentLogger())
        latents = torch.randn(8, 4, 2, 4, 4, generator=torch.Generator().manual_seed(0))
        for time in sampling_times(10):
            with torch.no_grad():
                velocity = network(
                    latents, torch.full((8,), time), text=words[2:].expand(8, -1, -1), fps=torch.full((8,), 8.0)
                )
            latents = latents - 0.1 * velocity
        return latents.mean((0, 1, 3, 4))

    assert shown(1)[1] > 0.6
    assert shown(0)[1].abs() < 0.4


def test_captions_are_cut_to_the_longest_that_is_asked_for() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False], [True, True, True]])
    table = TextCondition(torch.randn(3, 3, 2), mask)
    some = captions_of(table, torch.tensor([1, 0]), torch.device("cpu"))
    torch.testing.assert_close(some.hidden, table.hidden[[1, 0], :2])
    assert some.mask.tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize(
    ("chosen", "mixture", "expected"),
    [
        (None, None, 2),
        (None, MixtureParams(known_frames=0.2, half_rate=0.0, image_share=0.0, image_steps=0), 1),
        (None, MixtureParams(known_frames=0.0, half_rate=0.0, image_share=0.0, image_steps=5), 1),
        (4, None, 4),
        (1, MixtureParams(known_frames=0.2, half_rate=0.0, image_share=0.0, image_steps=0), 1),
    ],
)
def test_the_spectrum_says_how_many_frames_share_a_latent(chosen, mixture, expected: int) -> None:
    section = small_params("video_ldm", 1, frames_per_latent=chosen).video_ldm
    assert frames_per_latent(section, mixture, [3.0, 1.0, 0.1, 0.1]) == expected


def test_known_frames_cannot_share_a_latent() -> None:
    section = small_params("video_ldm", 1, frames_per_latent=2).video_ldm
    mixture = MixtureParams(known_frames=0.2, half_rate=0.0, image_share=0.0, image_steps=0)
    with pytest.raises(UserError, match=r"video_ldm.frames_per_latent is 2, .*; set it to 1"):
        frames_per_latent(section, mixture, [1.0])


def test_a_network_whose_frames_share_latents_learns(encoded: Path, tmp_path: Path) -> None:
    short = run(encoded, tmp_path / "short", 2, frames_per_latent=2)
    long = run(encoded, tmp_path / "long", 60, frames_per_latent=2)
    assert long.metrics["loss_test"] < 0.95 * short.metrics["loss_test"]
    assert VideoTransformer.from_pretrained(tmp_path / "long" / "video_ldm").config.frames_per_latent == 2


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
        task = VideoLDMTask(network, section, SKETCH, FrameAutoencoder(2, 2, 16), text, text, dataset)
        loss, terms = task.loss(dataset.batch(range(8)), torch.Generator().manual_seed(0), 0.0)
        losses.append(loss)
    torch.testing.assert_close(losses[0], terms["error"])
    torch.testing.assert_close(losses[1] - losses[0], terms["wavering"])
    torch.testing.assert_close(losses[2] - losses[0], 3 * terms["wavering"])


def test_a_training_with_two_spectra_saves_them(encoded: Path, tmp_path: Path) -> None:
    result = run(encoded, tmp_path, 3, still_spectrum=True)
    network = VideoTransformer.from_pretrained(tmp_path / "video_ldm")
    near, still = network.spectrum.near_deviations, network.spectrum.still_deviations
    assert len(near) == len(still) == 4
    assert near != still
    assert np.isfinite(list(result.metrics.values())).all()
    assert result.metrics != run(encoded, tmp_path / "one", 3, still_spectrum=False).metrics
    assert len(list((tmp_path / "checkpoints").rglob("previews/*"))) == 2
    for number, changes in enumerate(({"control": "none"}, {"whitening": 0.0})):
        run(encoded, tmp_path / str(number), 1, still_spectrum=True, **changes)
        config = VideoTransformer.from_pretrained(tmp_path / str(number) / "video_ldm").config
        assert not config.near_deviations
        assert not config.still_deviations


def test_masks_are_those_of_the_pictures_that_are_seen_and_of_the_whole_clip(
    encoded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = {"latents": encoded / "latents", "coefficients": encoded / "curves", "visibility": encoded / "curves"}
    dataset = ShardDataset(clips_of_split(encoded / "curves" / "curves.parquet", "train"), arrays, ["fps"])
    spectra = {"near_deviations": [3.0, 2.0, 1.0, 0.5], "still_deviations": [2.0, 0.1, 0.1, 0.1], "whitening": 0.5}
    network = VideoTransformer(
        2, factor=4, width=16, layers=1, heads=2, text_width=16, latent_mean=[0, 0], latent_std=[1, 1],
        known_frames=True, **spectra,
    )  # fmt: skip
    text = TextCondition(torch.randn(len(dataset), 3, 16), torch.ones(len(dataset), 3, dtype=torch.bool))
    seen: list[dict] = []

    def forward(latents: torch.Tensor, time: torch.Tensor, **conditions: torch.Tensor) -> torch.Tensor:
        seen.append(conditions)
        return 0.0 * latents

    monkeypatch.setattr(network, "forward", forward)
    monkeypatch.setattr(training, "STILL_DROPOUT", 0.0)
    batch = dataset.batch(range(8))
    whole = still_positions(SKETCH.pictures(batch, 32, 32), 4)
    assert 0 < whole.float().mean() < 1
    for dropout in (0.0, 1.0):
        section = small_params("video_ldm", 1, control_dropout=dropout, sketch_corruption=1.0).video_ldm
        task = VideoLDMTask(network, section, SKETCH, FrameAutoencoder(2, 2, 16), text, text, dataset)
        task.loss(batch, torch.Generator().manual_seed(0), 0.0)
        assert seen[-1]["control_mask"].any() == (dropout == 0.0)
        assert torch.equal(seen[-1]["still"], still_positions(seen[-1]["control"], 4))
        assert not torch.equal(seen[-1]["still"], whole), "curves are corrupted"

    section = small_params("video_ldm", 1).video_ldm
    mixture = OFF.model_copy(update={"known_frames": 1.0})
    task = VideoLDMTask(network, section, SKETCH, FrameAutoencoder(2, 2, 16), text, text, dataset, mixture)
    lengths = set()
    for seed in range(12):
        task.loss(batch, torch.Generator().manual_seed(seed), 0.0)
        pictures, still = seen[-1]["control"], seen[-1]["still"]
        lengths.add(pictures.shape[1])
        of_piece = still_positions(pictures, 4)
        assert torch.equal(still, of_piece & whole if pictures.shape[1] < 4 else of_piece)
    assert lengths == {3, 4}
    monkeypatch.setattr(training, "STILL_DROPOUT", 1.0)
    task.loss(batch, torch.Generator().manual_seed(0), 0.0)
    assert not seen[-1]["still"].any(), "a share of the clips has the spectrum of near positions everywhere"
