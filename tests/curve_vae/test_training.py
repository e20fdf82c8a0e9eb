import math
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from sketch2video.curve_vae import CurveVAE, sample_curves
from sketch2video.curve_vae.data import CAPTION_TOKENS, CurveDataset
from sketch2video.curve_vae.losses import mean_distance, stroke_errors
from sketch2video.curve_vae.strokes import decompose
from sketch2video.curve_vae.training import train_curve_vae
from sketch2video.curves import CurveSequence
from sketch2video.data.clips.shards import read_table, shard_path, write_shard
from sketch2video.text.encoder import encode_text, load_text_encoder
from sketch2video.training.loop import SilentLogger
from tests.curve_vae.rings import CAPTIONS, FRAMES, HARMONICS, params, write_project
from tests.curve_vae.sets import smooth


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


def run(project: Path, steps: int, prior_steps: int, name: str = "vae") -> dict[str, float]:
    result = train_curve_vae(
        params(steps, prior_steps),
        SilentLogger(),
        project / name,
        curves=project / "curves",
        text_encoder=project / "text",
        checkpoints=project / "checkpoints",
    )
    return result.metrics


def errors(hypothesis: Tensor, actual: Tensor, visible: Tensor) -> list[float]:
    return [one.item() for one in stroke_errors(decompose(hypothesis), actual, visible)]


def pair() -> tuple[Tensor, Tensor, Tensor]:
    actual, hypothesis = smooth(4, frames=FRAMES), smooth(4, frames=FRAMES, seed=1)
    visible = torch.ones(4, FRAMES, dtype=torch.bool)
    visible[1, 3:] = False
    return actual, hypothesis, visible


def test_mean_distance_is_that_between_drawn_points() -> None:
    actual, hypothesis, visible = pair()
    one, other = (
        CurveSequence(c.transpose(0, 1).numpy(), visible.T.float().numpy()).points(16) for c in (actual, hypothesis)
    )
    apart = np.linalg.norm(one - other, axis=-1)[visible.T.numpy()]
    assert mean_distance(hypothesis, actual, visible, 16).item() == pytest.approx(apart.mean(), rel=1e-3)


def test_each_error_sees_its_own_cause() -> None:
    actual, _, visible = pair()
    moved = actual.clone()
    moved[..., :, 0] += torch.tensor([0.03, 0.04])
    assert errors(moved, actual, visible) == pytest.approx([0.05, 0, 0, 0], abs=2e-4)

    larger = torch.cat([actual[..., :1], 1.1 * actual[..., 1:]], dim=-1)
    spread = decompose(actual).log_size.exp()[visible].mean().item()
    place, size, shape, _ = errors(larger, actual, visible)
    assert [place, size, shape] == pytest.approx([0, spread * math.log(1.1), 0], abs=2e-4)

    trembling = actual.clone()
    trembling[:, 1::2, 0, 0] += 0.02
    assert errors(trembling, actual, visible)[3] == pytest.approx(0.02, abs=2e-4)


def test_shapes_are_compared_by_the_slopes_of_lines() -> None:
    actual, hypothesis, visible = pair()
    true = decompose(actual)
    bent = decompose(hypothesis)._replace(position=true.position, log_size=true.log_size)
    found = errors(bent.coefficients(), actual, visible)
    pen = np.linspace(0, 1, 20_001)[1:-1:2]
    harmonic = np.arange(1, actual.shape[-1])
    apart = (bent.shape - true.shape) * true.log_size.exp()[..., None, None]
    slopes = apart.numpy() @ (-harmonic[:, None] * np.sin(np.pi * harmonic[:, None] * pen))  # over pi
    rms = np.sqrt((slopes**2).sum(-2).mean(-1))
    assert found[2] == pytest.approx(rms[visible.numpy()].mean(), rel=1e-3)


def test_errors_bound_the_distance_of_points() -> None:
    actual, hypothesis, visible = pair()
    hypothesis = actual + 0.02 * (hypothesis - actual)  # small, so that a change of log size is one of size
    distance = mean_distance(hypothesis, actual, visible).item()
    assert distance <= 1.01 * sum(errors(hypothesis, actual, visible)[:3])


def test_errors_of_strokes_that_are_not_visible_are_zero_and_have_a_gradient() -> None:
    actual, hypothesis, visible = pair()
    hypothesis.requires_grad_()
    total = sum(stroke_errors(decompose(hypothesis), actual, torch.zeros_like(visible)))
    total.backward()
    assert total.item() == 0
    assert (hypothesis.grad == 0).all()


def test_batches_are_sets_of_strokes(project: Path) -> None:
    dataset = CurveDataset(read_table(project / "curves" / "curves.parquet"), project / "curves", 3)
    batch = dataset.batch([3, 5])
    assert batch["coefficients"].shape == (2, 1, FRAMES, 2, HARMONICS)  # no more than these clips need
    assert batch["present"].tolist() == [[True]] * 2
    assert batch["life"][:, 0].tolist() == [[0, 1]] * 2
    assert dataset.strokes_needed() == 1


def test_batches_hold_clips_with_about_as_many_strokes_and_every_clip_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shown = rng.integers(1, 9, 64)
    visibility = np.broadcast_to(np.arange(8) < shown[:, None, None], (64, 2, 8)).astype(np.float32)
    arrays = {"coefficients": np.ones((64, 2, 8, 2, 3), np.float32), "visibility": visibility}
    write_shard(shard_path(tmp_path, 0), arrays, [f"clip{i}" for i in range(64)], "key")
    table = pd.DataFrame({"shard": 0, "row": range(64), "fps": 8.0})
    dataset = CurveDataset(table, tmp_path, 8)
    size = round(8 * (shown.mean() + CAPTION_TOKENS))
    batches = [dataset.batch_at(3, position, size) for position in range(8)]
    assert sorted(int(index) for batch in batches for index in batch["index"]) == list(range(64))
    padding = [batch["present"].logical_not().float().mean().item() for batch in batches]
    assert np.mean(padding) < 0.2  # eight strokes for every clip would be 45% padding
    sizes = [batch["present"].shape[1] for batch in batches]
    assert sizes != sorted(sizes)


def test_training_writes_a_network_that_draws_what_the_caption_says(project: Path) -> None:
    metrics = run(project, 300, 300)
    names = {"loss", "reconstruction_px", "strokes_kept", "rendered_discrepancy", "kl"}
    assert set(metrics) == names | {"prior_loss", "prior_flow_test", "prior_count_test"}
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["reconstruction_px"] < 1
    assert metrics["strokes_kept"] == 1

    vae = CurveVAE.from_pretrained(project / "vae")
    text = encode_text(*load_text_encoder(project / "text"), [*CAPTIONS] * 8)
    coefficients, visibility = sample_curves(vae, text, FRAMES, 8.0, torch.Generator().manual_seed(0))
    assert (visibility[..., 0] == 1).all()
    assert (visibility[..., 1:] == 0).all()
    travelled = coefficients[:, -1, 0, 0, 0] - coefficients[:, 0, 0, 0, 0]
    assert (travelled[::2] > 0.2).all()
    assert (travelled[1::2] < -0.2).all()
    assert coefficients[:, 0, 0, 1, 0].std() > 0.01  # what no word says is left open


def test_training_shows_held_out_captions_as_pictures(project: Path) -> None:
    run(project, 2, 2)
    pictures = sorted((project / "checkpoints").rglob("previews/*"))
    assert [path.name for path in pictures] == ["curve_vae-000002.gif", "curve_vae-000002.png"]
    sheet = cv2.imread(str(pictures[1]))
    assert sheet.shape[0] == 2 * 8 * 64  # a fitted and a generated row for each of 8 clips, enlarged to 64 px
    assert cv2.VideoCapture(str(pictures[0])).read()[0]


def test_training_is_a_function_of_its_parameters(project: Path) -> None:
    first = run(project, 3, 3, "one")
    for folder in (project / "checkpoints").iterdir():
        folder.rename(folder.with_name(folder.name + "-moved"))
    assert run(project, 3, 3, "two") == first


def test_the_autoencoder_is_not_trained_again_for_the_prior(project: Path) -> None:
    run(project, 3, 2, "one")
    before = {path.name: (path / "checkpoint.safetensors").stat().st_mtime_ns for path in checkpoints(project)}
    run(project, 3, 4, "two")
    after = {path.name: (path / "checkpoint.safetensors").stat().st_mtime_ns for path in checkpoints(project)}
    assert {name.rpartition("-")[0] for name in set(after) - set(before)} == {"curve_prior"}
    assert before.items() <= after.items()


def checkpoints(project: Path) -> list[Path]:
    return list((project / "checkpoints").iterdir())
