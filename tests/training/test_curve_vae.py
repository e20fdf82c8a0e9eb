import math
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from sketch2video.curves import CurveSequence
from sketch2video.models.curve_vae import CurveVAE, take_apart
from sketch2video.models.text import encode_text, load_text_encoder
from sketch2video.params import Params, load_params
from sketch2video.training.curve_vae import CurveDataset, drawing_error, mean_distance, stroke_errors, train_curve_vae
from sketch2video.training.loop import SilentLogger
from sketch2video.training.text_encoder import train_tokenizer
from sketch2video.videos.shards import read_table, shard_path, write_shard, write_table

FRAMES, STROKES, HARMONICS = 6, 3, 8
CAPTIONS = ("a ring moves left to right", "a ring moves right to left")
ROOT = Path(__file__).parents[2]


def ring(caption: str, rng: np.random.Generator) -> np.ndarray:
    """One closed stroke that crosses the frame as the caption says: (T, S, 2, K)."""
    u = np.linspace(0, 1, 200)
    circle = np.stack([np.sin(2 * np.pi * u), -np.cos(2 * np.pi * u)])
    basis = np.cos(np.pi * np.outer(u, np.arange(HARMONICS)))
    coefficients = np.zeros((FRAMES, STROKES, 2, HARMONICS), np.float32)
    coefficients[:, 0] = rng.uniform(0.1, 0.2) * np.linalg.lstsq(basis, circle.T, rcond=None)[0].T
    path = np.linspace(0.25, 0.75, FRAMES)
    coefficients[:, 0, 0, 0] += path if caption == CAPTIONS[0] else path[::-1]
    coefficients[:, 0, 1, 0] += rng.uniform(0.4, 0.6)
    return coefficients


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Fitted curves of 48 clips and an untrained text encoder."""
    rng = np.random.default_rng(0)
    captions = [CAPTIONS[i % 2] for i in range(48)]
    ids = [f"clip{i:02d}" for i in range(48)]
    visibility = np.zeros((48, FRAMES, STROKES), np.float32)
    visibility[..., 0] = 1
    arrays = {"coefficients": np.stack([ring(c, rng) for c in captions]), "visibility": visibility}
    write_shard(shard_path(tmp_path / "curves", 0), arrays, ids, "key")
    split = ["train"] * 40 + ["test"] * 8
    table = pd.DataFrame(
        {"clip_id": ids, "caption": captions, "split": split, "fps": 8.0, "shard": 0, "row": range(48), "slots": 1}
    )
    write_table(table, tmp_path / "curves" / "curves.parquet")

    tokenizer = train_tokenizer(captions, 320, 16)
    tokenizer.save_pretrained(tmp_path / "text")
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes), add_pooling_layer=False).save_pretrained(
        tmp_path / "text"
    )
    return tmp_path


def params(steps: int) -> Params:
    """The project's own parameters with a network of a few thousand weights.

    Visibility weighs more: it takes the real weight far more steps than a test has to become sure.
    """
    real = load_params(ROOT / "params.yaml")
    training = {"steps": steps, "batch_size": 16, "learning_rate": 5e-3, "warmup_steps": 5, "ema_decay": 0.9}
    training |= {"checkpoint_every": 1000, "preview_every": 0}
    small = {"width": 32, "layers": 1, "heads": 2, "latent_dim": 4, "points": 16, "visibility_weight": 0.1}
    vae = real.curve_vae.model_dump() | small | {"training": real.curve_vae.training.model_dump() | training}
    values = real.model_dump(by_alias=True) | {"curve_vae": vae}
    values["base"] |= {"size": 32, "frames": FRAMES}
    return Params.model_validate(values)


def run(project: Path, steps: int, name: str = "vae") -> dict[str, float]:
    result = train_curve_vae(
        params(steps),
        SilentLogger(),
        project / name,
        curves=project / "curves",
        text_encoder=project / "text",
        checkpoints=project / f"checkpoints-{name}",
    )
    return result.metrics


def curves(seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    fall = torch.arange(1, HARMONICS + 1).float().pow(-1.5)
    coefficients = 0.15 * torch.randn(2, FRAMES, STROKES, 2, HARMONICS) * fall
    coefficients[..., 0] += 0.5
    visibility = torch.ones(2, FRAMES, STROKES)
    visibility[0, 3:, 1] = 0
    return coefficients, visibility


def errors(hypothesis: Tensor, actual: Tensor, visibility: Tensor) -> list[float]:
    parts = (take_apart(one, visibility) for one in (hypothesis, actual))
    return [one.item() for one in stroke_errors(*parts, points=16)]


def test_mean_distance_is_that_between_drawn_points() -> None:
    (actual, visibility), (hypothesis, _) = curves(0), curves(1)
    a, b = (
        np.stack([CurveSequence(*clip).points(16) for clip in zip(x.numpy(), visibility.numpy(), strict=True)])
        for x in (actual, hypothesis)
    )
    seen = visibility > 0
    apart = np.linalg.norm(a - b, axis=-1)[seen.numpy()]
    assert mean_distance((actual - hypothesis)[seen], 16).item() == pytest.approx(apart.mean(), rel=1e-3)


def test_each_error_sees_its_own_cause() -> None:
    actual, visibility = curves()
    moved = actual.clone()
    moved[..., :, 0] += torch.tensor([0.03, 0.04])
    assert errors(moved, actual, visibility) == pytest.approx([0.05, 0, 0, 0], abs=2e-4)

    larger = torch.cat([actual[..., :1], 1.1 * actual[..., 1:]], dim=-1)
    spread = take_apart(actual, visibility).log_size.exp()[visibility > 0].mean().item()
    place, size, shape, _ = errors(larger, actual, visibility)
    assert [place, size, shape] == pytest.approx([0, spread * math.log(1.1), 0], abs=2e-4)

    trembling = actual.clone()
    trembling[:, 1::2, :, 0, 0] += 0.02
    assert errors(trembling, actual, visibility)[3] == pytest.approx(0.02, abs=2e-4)


def test_errors_bound_the_distance_of_points() -> None:
    (actual, visibility), (hypothesis, _) = curves(0), curves(1)
    hypothesis = actual + 0.02 * (hypothesis - actual)  # small, so that a change of log size is one of size
    distance = mean_distance((hypothesis - actual)[visibility > 0], 16).item()
    assert distance <= 1.01 * sum(errors(hypothesis, actual, visibility)[:3])


def test_slots_that_no_clip_uses_are_left_out(project: Path) -> None:
    table = read_table(project / "curves" / "curves.parquet")
    whole, cut = (CurveDataset(table, project / "curves", strokes).batch([3, 5]) for strokes in (STROKES, 1))
    assert whole["coefficients"].shape[2] == STROKES > 1
    for name in ("coefficients", "visibility"):
        torch.testing.assert_close(cut[name], whole[name][:, :, :1])


def test_errors_of_clips_without_strokes_are_zero_and_have_a_gradient() -> None:
    actual, visibility = curves()
    hypothesis = actual.clone().requires_grad_()
    nothing = torch.zeros_like(visibility)
    total = sum(stroke_errors(take_apart(hypothesis, nothing), take_apart(actual, nothing), points=16))
    total.backward()
    assert total.item() == 0
    assert (hypothesis.grad == 0).all()


def test_drawing_error_grows_with_distance_and_sees_a_missing_stroke() -> None:
    actual, visibility = curves()
    every = (torch.tensor([0, 1]), torch.tensor([0, 2]))

    def error(shift: float, shown: Tensor) -> float:
        moved = actual.clone()
        moved[..., 0, 0] += shift
        logits = torch.where(shown > 0, 20.0, -20.0)
        return float(
            drawing_error(take_apart(moved, visibility)._replace(visibility=logits), actual, visibility, every)
        )

    hidden = visibility.clone()
    hidden[..., 2] = 0
    assert error(0.0, visibility) == pytest.approx(0, abs=1e-4)
    assert error(0.0, visibility) < error(0.02, visibility) < error(0.06, visibility)
    assert error(0.0, hidden) > 0.1


def test_training_writes_a_network_that_draws_what_the_caption_says(project: Path) -> None:
    metrics = run(project, steps=120)
    assert set(metrics) == {"loss", "reconstruction_px", "visibility_accuracy", "rendered_discrepancy", "kl"}
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["reconstruction_px"] < 4
    assert metrics["visibility_accuracy"] > 0.99

    vae = CurveVAE.from_pretrained(project / "vae")
    text = encode_text(*load_text_encoder(project / "text"), [*CAPTIONS] * 8)
    coefficients, visibility = vae.sample(*text, FRAMES, 8.0, torch.Generator().manual_seed(0))
    assert (visibility[..., 0] > 0.5).all()
    assert (visibility[..., 1:] == 0).all()
    travelled = coefficients[:, -1, 0, 0, 0] - coefficients[:, 0, 0, 0, 0]
    assert (travelled[::2] > 0.2).all()
    assert (travelled[1::2] < -0.2).all()
    assert coefficients[:, 0, 0, 1, 0].std() > 0.01  # what no word tells is left open


def test_training_shows_held_out_captions_as_pictures(project: Path) -> None:
    run(project, steps=2)
    pictures = sorted((project / "checkpoints-vae").rglob("previews/*"))
    assert [path.name for path in pictures] == ["curve_vae-000002.gif", "curve_vae-000002.png"]
    sheet = cv2.imread(str(pictures[1]))
    assert sheet.shape[0] == 2 * 8 * 64  # a fitted and a generated row for each of 8 clips, enlarged to 64 px
    assert cv2.VideoCapture(str(pictures[0])).read()[0]


def test_training_is_a_function_of_its_parameters(project: Path) -> None:
    assert run(project, 3, "one") == run(project, 3, "two")
