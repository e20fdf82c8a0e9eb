from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from sketch2video.data.clips.shards import shard_path, write_shard, write_table
from sketch2video.errors import UserError
from sketch2video.params import Params
from sketch2video.tokens.random_tokens import corrupted, drawn_one_hot
from sketch2video.tokens.token_windows import Windows
from sketch2video.tokens.transformer import TokenTransformer
from sketch2video.tokens.transformer_training import train_token_transformer
from sketch2video.tokens.vqgan.encode import token_array
from sketch2video.tokens.vqgan.network import HierarchicalVQGAN
from sketch2video.training import loop
from sketch2video.training.loop import SilentLogger, TrainResult
from tests.small_data import small_params

CODES, FRAMES, CLIPS = 16, 8, 24
SMALL = {"control": "none", "width": 32, "layers": 1, "heads": 2, "discriminator_clips": 2, "discriminator_width": 32}
CAPTIONS = ("a red circle", "a blue square")


@pytest.fixture(scope="module")
def project(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokens of clips that follow from their captions, a VQGAN, and a text encoder."""
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "text").symlink_to(scenes / "text")
    torch.manual_seed(0)
    HierarchicalVQGAN(codes=CODES, code_width=4, width=16, blocks=1).save_pretrained(folder / "vqgan")
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "clip_id": [f"clip{i:02d}" for i in range(CLIPS)],
            "caption": [CAPTIONS[i % 2] for i in range(CLIPS)],
            "label": [CAPTIONS[i % 2].split()[-1] for i in range(CLIPS)],
            "split": ["test" if i % 6 >= 4 else "train" for i in range(CLIPS)],
            "fps": 8.0,
            "shard": 0,
            "row": range(CLIPS),
        }
    )
    patterns = {side: rng.integers(CODES, size=(2, 1, side, side)).repeat(FRAMES, 1) for side in (4, 2)}
    tokens = {
        token_array(level): np.stack([patterns[side][i % 2] for i in range(CLIPS)]).astype(np.int64)
        for level, side in enumerate((4, 2))
    }
    write_shard(shard_path(folder / "tokens", 0), tokens, table["clip_id"].tolist(), "tokens")
    write_table(table, folder / "clips" / "clips.parquet")
    return folder


def params_of(steps: int, **changes: object) -> Params:
    values = small_params("token_transformer", steps, **{**SMALL, **changes}).model_dump(by_alias=True)
    values["base"]["frames"] = FRAMES
    return Params.model_validate(values)


def trained(project: Path, folder: Path, params: Params, **further: Path) -> TrainResult:
    where = {name: project / name for name in ("tokens", "clips", "vqgan")} | further
    return train_token_transformer(
        params,
        SilentLogger(),
        folder / "model",
        text_encoder=project / "text",
        checkpoints=folder / "checkpoints",
        **where,
    )


def test_tokens_that_follow_from_captions_are_learned(project: Path, tmp_path: Path) -> None:
    result = trained(project, tmp_path, params_of(60, discriminator_weight=0.0))
    for level in (0, 1):
        assert result.metrics[f"loss_test_{level}"] < np.log(CODES) / 2
        assert result.metrics[f"loss_test_{level}_without_text"] > result.metrics[f"loss_test_{level}"]
        assert result.metrics[f"accuracy_test_{level}"] > 0.6
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "config.json",
        "diffusion_pytorch_model.safetensors",
    }
    assert TokenTransformer.from_pretrained(tmp_path / "model").config.codes == CODES


@pytest.fixture(scope="module")
def drawn(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with captions that say nothing: the tokens follow from a drawing, a line across or one down."""
    folder = tmp_path_factory.mktemp("drawn")
    for name in ("tokens", "vqgan", "text"):
        (folder / name).symlink_to(project / name)
    table = pd.read_parquet(project / "clips/clips.parquet").assign(caption="a circle")
    for name in ("clips", "curves"):
        write_table(table, folder / name / f"{name}.parquet")
    lines = np.zeros((CLIPS, FRAMES, 1, 2, 2), np.float32)
    lines[..., 0] = 0.5
    lines[::2, ..., 0, 1] = lines[1::2, ..., 1, 1] = 0.4
    visible = np.ones((CLIPS, FRAMES, 1), np.float32)
    arrays = {"coefficients": lines, "visibility": visible}
    write_shard(shard_path(folder / "curves", 0), arrays, table["clip_id"].tolist(), "curves")
    return folder


def test_what_the_control_takes_off_the_loss_is_measured(drawn: Path, tmp_path: Path) -> None:
    changes = {"control": "sketch", "sketch_corruption": 0.0, "discriminator_weight": 0.0}
    metrics = trained(drawn, tmp_path / "followed", params_of(60, **changes), curves=drawn / "curves").metrics
    gap, error = metrics["control_gap"], metrics["control_gap_error"]
    assert gap > 4 * error > 0
    assert gap == pytest.approx(
        sum(metrics[f"loss_test_{level}_without_control"] - metrics[f"loss_test_{level}"] for level in (0, 1))
    )
    never_seen = changes | {"control_dropout": 1.0}
    ignored = trained(drawn, tmp_path / "ignored", params_of(5, **never_seen), curves=drawn / "curves").metrics
    assert ignored["control_gap"] < 2 * ignored["control_gap_error"]
    assert "control_gap" not in trained(drawn, tmp_path / "none", params_of(1, discriminator_weight=0.0)).metrics


def test_a_killed_training_goes_on_to_the_same_weights(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Across the step at which the discriminator begins."""
    params = params_of(6, discriminator_start=0.5, discriminator_weight=0.5)
    params = params.model_copy(
        update={
            "token_transformer": params.token_transformer.model_copy(
                update={"training": params.token_transformer.training.model_copy(update={"checkpoint_every": 2})}
            )
        }
    )
    whole = trained(project, tmp_path / "whole", params)
    save, saved = loop.save_checkpoint, []

    def killed(*arguments: object) -> None:
        save(*arguments)
        saved.append(arguments)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(project, tmp_path / "parts", params)
    assert trained(project, tmp_path / "parts", params).metrics == whole.metrics
    both = [load_file(tmp_path / name / "model" / "diffusion_pytorch_model.safetensors") for name in ("whole", "parts")]
    for name, weights in both[0].items():
        assert torch.equal(weights, both[1][name]), name


def test_labels_can_be_read_instead_of_captions(project: Path, tmp_path: Path) -> None:
    assert trained(project, tmp_path, params_of(1, reads="label", discriminator_weight=0.0)).metrics
    other = tmp_path / "other"
    (other / "clips").mkdir(parents=True)
    for name in ("tokens", "vqgan", "text"):
        (other / name).symlink_to(project / name)
    write_table(pd.read_parquet(project / "clips/clips.parquet").drop(columns="label"), other / "clips/clips.parquet")
    with pytest.raises(UserError, match=r"token_transformer\.reads: label needs a label for every clip"):
        trained(other, tmp_path / "refused", params_of(1, reads="label", discriminator_weight=0.0))


def test_clips_that_are_too_short_for_the_discriminator_are_refused(project: Path, tmp_path: Path) -> None:
    short = small_params("token_transformer", 1, **SMALL)
    with pytest.raises(UserError, match=r"set base\.frames to 6 or more"):
        trained(project, tmp_path, short)


def test_at_most_the_share_that_is_asked_for_is_read_wrongly() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.zeros(400, 500, dtype=torch.long)
    wrong = (corrupted(tokens, 1000, 0.2, generator) != tokens).float().mean(1)
    assert wrong.max() < 0.28
    assert abs(float(wrong.mean()) - 0.1) < 0.01
    assert wrong.std() > 0.04  # a share of its own for every clip
    assert torch.equal(corrupted(tokens, 1000, 0.0, generator), tokens)


def test_a_frame_alone_is_predicted_as_the_first_of_a_window_is() -> None:
    torch.manual_seed(0)
    model = TokenTransformer(codes=CODES, code_width=4, sample_size=32, width=32, layers=1, heads=2, control_channels=1)
    model.eval()
    tokens = [torch.randint(CODES, (3, 4, side, side)) for side in (4, 2)]
    shown = torch.tensor([True, False, True])
    condition = model.condition(
        3, torch.randn(3, 5, 128), torch.rand(3, 5) > 0.3, torch.ones(3), torch.rand(3, 4, 1, 32, 32), shown
    )
    windows = Windows(tokens, torch.rand(3, 4), condition)
    alone = windows.one_by_one()
    found = [level.unflatten(0, (3, 4)) for level in model(*alone)]
    for start in range(4):
        frames = slice(start, None)
        begun = model([level[:, frames] for level in tokens], windows.times[:, frames], condition.at(frames))
        for level, expected in zip(found, begun, strict=True):
            torch.testing.assert_close(level[:, start, 0], expected[:, 0])


def test_drawn_one_hot_is_torchs_straight_through_gumbel_softmax() -> None:
    logits = torch.randn(3, 5, CODES, requires_grad=True)
    weights = torch.randn(CODES)
    results = []
    for sample in (drawn_one_hot, lambda logits: torch.nn.functional.gumbel_softmax(logits, hard=True)):
        torch.manual_seed(0)
        drawn = sample(logits)
        results.append((drawn, torch.autograd.grad((drawn * weights).sum(), logits)[0]))
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1])
