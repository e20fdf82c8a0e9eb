from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torchmetrics.functional.image import peak_signal_noise_ratio

from sketch2video.autoencoder.network import load_autoencoder
from sketch2video.autoencoder.texture import FREQUENCIES, HIGHEST
from sketch2video.autoencoder.training import (
    AutoencoderTask,
    clip_dataset,
    held_out_frames,
    line_weights,
    mean_psnr,
    random_frames,
    to_network,
    train_autoencoder,
)
from sketch2video.controls import SKETCH
from sketch2video.controls.none import NONE
from sketch2video.params import AutoencoderParams
from sketch2video.training.loop import SilentLogger, TrainResult
from tests.small_data import small_params


def run(scenes: Path, folder: Path, steps: int, control: str = "sketch", **changes) -> TrainResult:
    params = small_params("autoencoder", steps, width=32, latent_channels=4, **changes)
    where = {"clips": scenes / "clips", "curves": scenes / "curves", "checkpoints": folder / "checkpoints"}
    return train_autoencoder(params, SilentLogger(), folder / "autoencoder", control=control, **where)


def ssim(frames: torch.Tensor, target: torch.Tensor) -> float:
    """Structural similarity of frames (N, 3, H, W) in [-1, 1], averaged over pixels.

    Wang et al. 2004, equation 13, with windows of 11 x 11 pixels; frames are reflected at their borders.
    """

    def local(pictures: np.ndarray) -> np.ndarray:
        return gaussian_filter(pictures, 1.5, truncate=3.5, axes=(2, 3), mode="mirror")

    x, y = frames.double().numpy(), target.double().numpy()
    mean_x, mean_y = local(x), local(y)
    variances, covariance = local(x * x) - mean_x**2 + local(y * y) - mean_y**2, local(x * y) - mean_x * mean_y
    small, large = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    means = (2 * mean_x * mean_y + small) / (mean_x**2 + mean_y**2 + small)
    return float((means * (2 * covariance + large) / (variances + large)).mean())


def test_training_improves_held_out_frames(scenes: Path, tmp_path: Path) -> None:
    short, long = run(scenes, tmp_path / "short", 2), run(scenes, tmp_path / "long", 100)
    assert long.metrics["psnr"] > short.metrics["psnr"] + 1
    assert {"error", "change", "perceptual", "kl"} <= long.history[-1].keys()


def test_the_folder_holds_what_was_measured(scenes: Path, tmp_path: Path) -> None:
    result = run(scenes, tmp_path, 4)
    held_out = held_out_frames(SKETCH, scenes / "clips", scenes / "curves")
    model = load_autoencoder(tmp_path / "autoencoder")
    with torch.no_grad():
        decoded = model(held_out["frames"], held_out["control"])
        blank = model(held_out["frames"])
    assert mean_psnr(decoded, held_out["frames"]) == pytest.approx(result.metrics["psnr"], abs=1e-3)
    assert mean_psnr(blank, held_out["frames"]) == pytest.approx(result.metrics["psnr_blank_sheet"], abs=1e-3)
    assert ssim(decoded.clamp(-1, 1), held_out["frames"]) == pytest.approx(result.metrics["ssim"], abs=1e-3)
    assert list((tmp_path / "checkpoints").rglob("previews/*.png"))


def test_an_autoencoder_without_a_sketch_trains_too(scenes: Path, tmp_path: Path) -> None:
    metrics = run(scenes, tmp_path, 2, control="none").metrics
    assert "psnr_blank_sheet" not in metrics
    model = load_autoencoder(tmp_path / "autoencoder")
    assert model.config.control_channels == 0
    frames = held_out_frames(NONE, scenes / "clips", scenes / "curves")["frames"]
    with torch.no_grad():
        decoded = model(frames).clamp(-1, 1)
    reference = peak_signal_noise_ratio(decoded, frames, data_range=2.0, reduction="elementwise_mean", dim=(1, 2, 3))
    assert metrics["psnr"] == pytest.approx(float(reference), abs=1e-3)


def test_drawings_lie_on_the_held_out_objects(scenes: Path) -> None:
    held_out = held_out_frames(SKETCH, scenes / "clips", scenes / "curves")
    frames, ink = held_out["frames"], held_out["control"]
    assert frames.shape == (4, 3, 32, 32)
    assert ink.shape == (4, 1, 32, 32)
    assert frames.abs().max() <= 1
    # Objects are colourful and the ground is grey: colour changes most where the drawing is.
    saturation = frames.amax(1, keepdim=True) - frames.amin(1, keepdim=True)
    change = saturation.diff(dim=-1).abs()[..., :-1, :] + saturation.diff(dim=-2).abs()[..., :-1]
    drawn = ink[..., :-1, :-1] > 0.5
    assert change[drawn].mean() > 3 * change[~drawn].mean()


def test_frames_of_a_clip_stand_side_by_side(scenes: Path) -> None:
    dataset = clip_dataset(SKETCH, scenes / "clips", scenes / "curves", "train")
    batch = dataset.batch([0, 1, 2])
    frames, ink, control = random_frames(SKETCH, batch, torch.Generator().manual_seed(0), 2)
    assert (len(frames), len(ink), len(control)) == (6, 6, 6)
    for clip, pair in zip(to_network(batch["frames"]), frames.unflatten(0, (3, 2)), strict=True):
        for frame in pair:
            assert (clip == frame).flatten(1).all(1).any()


def test_splits_do_not_mix(scenes: Path) -> None:
    where = (scenes / "clips", scenes / "curves")
    ids = [set(clip_dataset(SKETCH, *where, split).table["clip_id"]) for split in ("train", "test")]
    assert not ids[0] & ids[1]
    assert sum(map(len, ids)) == 24


def test_psnr_agrees_with_torchmetrics() -> None:
    torch.manual_seed(0)
    target = torch.rand(3, 3, 8, 8) * 2 - 1
    frames = (target + 0.1 * torch.randn_like(target)).clamp(-1, 1)
    reference = peak_signal_noise_ratio(frames, target, data_range=2.0, reduction="elementwise_mean", dim=(1, 2, 3))
    assert mean_psnr(frames, target) == pytest.approx(float(reference), abs=1e-4)


def test_errors_near_lines_weigh_more() -> None:
    ink = torch.zeros(1, 1, 16, 16)
    ink[..., 8] = 1.0
    weights = line_weights(ink, 4.0)
    assert weights.mean() == pytest.approx(1.0)
    assert weights[0, 0, 3, 6:11] == pytest.approx(5 * float(weights[0, 0, 3, 0]))
    assert weights[0, 0, 3, 5] == weights[0, 0, 3, 11] == weights[0, 0, 3, 0]
    assert line_weights(ink, 0.0).eq(1).all()


def test_bytes_span_the_networks_range() -> None:
    frames = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 4, 5, 3)
    converted = to_network(frames)
    assert converted.shape == (2, 3, 4, 5)
    assert converted[0].eq(-1).all()
    assert converted[1].eq(1).all()


def section(**changes: Any) -> AutoencoderParams:
    return small_params("autoencoder", 4, width=32, latent_channels=4, **changes).autoencoder


def test_the_power_of_the_texture_is_measured_after_training(scenes: Path, tmp_path: Path) -> None:
    run(scenes, tmp_path, 4, texture=True)
    model = load_autoencoder(tmp_path / "autoencoder")
    frequency = torch.linspace(0, HIGHEST, FREQUENCIES)
    assert model.texture.power[frequency < 0.5 / model.factor].eq(0).all(), "latents hold these"
    measured = model.texture.power[frequency >= 0.5 / model.factor]
    assert measured.isfinite().all()
    assert measured.max() > 2 * measured.median(), "residuals of frames are not white"


def test_the_texture_learns_and_changes_no_other_gradient(scenes: Path) -> None:
    held_out = held_out_frames(SKETCH, scenes / "clips", scenes / "curves")
    batch = clip_dataset(SKETCH, scenes / "clips", scenes / "curves", "train").batch([0, 1, 2, 3])
    torch.manual_seed(0)
    textured = AutoencoderTask(section(texture=True), SKETCH, held_out)
    plain = AutoencoderTask(section(texture=False), SKETCH, held_out)
    plain.module.load_state_dict(
        {name: weight for name, weight in textured.module.state_dict().items() if not name.startswith("texture.")}
    )
    losses = []
    for task in (textured, plain):
        loss, _ = task.loss(batch, torch.Generator().manual_seed(0), 0.0)
        loss.backward()
        losses.append(float(loss.detach()))
    assert losses[0] > losses[1]
    others = dict(plain.module.named_parameters())
    for name, parameter in textured.module.named_parameters():
        if name.startswith("texture."):
            assert parameter.grad.abs().max() > 0, name
        else:
            torch.testing.assert_close(parameter.grad, others.pop(name).grad, msg=name)
    assert not others
