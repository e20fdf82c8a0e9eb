"""Training of adapters on encoded clips: it learns, resumes exactly, and saves without the base."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import BertConfig, BertModel

from sketch2video.bases import training
from sketch2video.bases.adapted_transformer import WEIGHTS, AdaptedTransformer
from sketch2video.bases.base import Base
from sketch2video.bases.clip_batches import EncodedClips
from sketch2video.bases.encoded_clips import encode_clips
from sketch2video.bases.registry import VARIABLE, open_base
from sketch2video.bases.training import PREVIEW_SAMPLING, AdaptersTask, train_adapters
from sketch2video.curve_vae import CurveVAE
from sketch2video.errors import UserError
from sketch2video.generation.drawings import draw_caption
from sketch2video.systems.adapted_video import pipeline as pipeline_module
from sketch2video.systems.adapted_video.pipeline import AdaptedVideoPipeline, assemble
from sketch2video.systems.facts import pipeline_facts
from sketch2video.systems.loading import load_pipeline
from sketch2video.text.training import train_tokenizer
from sketch2video.training import loop
from sketch2video.training.checkpoints import FILE
from sketch2video.training.loop import SilentLogger, TrainResult
from tests.bases.conftest import adapted_params
from tests.bases.tiny import SAVERS, stirred
from tests.conftest import TINY_CURVE_VAE

CAPTION = "a red circle moves left to right"


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_and_short(monkeypatch)


def plain_and_short(patch: pytest.MonkeyPatch) -> None:
    """Full precision, and previews of two steps."""
    for module in (loop, pipeline_module):
        patch.setattr(module, "precision", lambda: "no")
    patch.setattr(training, "PREVIEW_SAMPLING", PREVIEW_SAMPLING.model_copy(update={"num_inference_steps": 2}))


@pytest.fixture(scope="module")
def latents(clips: Path, bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The clips as each base encodes them."""
    folder = tmp_path_factory.mktemp("latents")
    for kind, base in bases.items():
        encode_clips(folder / kind, params=adapted_params(base), clips=clips / "clips", curves=clips / "curves")
    return {kind: folder / kind for kind in bases}


def run(base: Path, latents: Path, folder: Path, logger: Any = None, **changes: Any) -> TrainResult:
    params = adapted_params(base, **changes)
    where = {"latents": latents, "checkpoints": folder / "checkpoints"}
    return train_adapters(params, logger or SilentLogger(), folder / "adapters", **where)


@pytest.fixture(scope="module")
def trained(
    bases: dict[str, Path], latents: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, TrainResult]]:
    """Folder and result of a training of each base."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        plain_and_short(patch)
        return {kind: (folder / kind, run(base, latents[kind], folder / kind)) for kind, base in bases.items()}


@pytest.mark.parametrize("kind", SAVERS)
def test_the_loss_of_a_fixed_batch_falls(bases: dict[str, Path], latents: dict[str, Path], kind: str) -> None:
    """Ten steps at fixed times, noise and variants."""
    params, base = adapted_params(bases[kind]), open_base(bases[kind])
    torch.manual_seed(0)
    settings = {"hashes": {}, "rank": 4, "control": "sketch", "sample_size": 32, "sample_frames": 10}
    transformer = AdaptedTransformer(network=base.load_network(), base=base, source="", **settings)
    clips = EncodedClips(latents[kind], "train")
    task = AdaptersTask(transformer, params.adapted_video, clips, clips)
    before = {name: weight.clone() for name, weight in transformer.network.named_parameters()}
    optimizer = torch.optim.AdamW(transformer.adapters().values(), lr=1e-2)
    batch, losses = clips.batch([0, 1, 2, 3]), []
    for _ in range(11):
        loss, _ = task.loss(batch, torch.Generator().manual_seed(0), 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.97 * losses[0]
    changed = {name for name, weight in transformer.network.named_parameters() if not torch.equal(weight, before[name])}
    assert changed == set(transformer.adapters()), "all adapters learn, and no weight of the base does"


@pytest.mark.parametrize("kind", SAVERS)
def test_an_interrupted_training_ends_like_an_undisturbed_one(
    bases: dict[str, Path],
    latents: dict[str, Path],
    trained: dict[str, tuple[Path, TrainResult]],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, expected = trained[kind]
    save, count = loop.save_checkpoint, []

    def fail(*arguments: Any) -> None:
        save(*arguments)
        count.append(1)
        if len(count) == 2:  # after step 4
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", fail)
    with pytest.raises(KeyboardInterrupt):
        run(bases[kind], latents[kind], tmp_path)
    monkeypatch.setattr(loop, "save_checkpoint", save)
    assert run(bases[kind], latents[kind], tmp_path) == expected
    assert (tmp_path / "adapters" / WEIGHTS).read_bytes() == (folder / "adapters" / WEIGHTS).read_bytes()


@pytest.mark.parametrize("kind", SAVERS)
def test_folders_hold_the_adapters_and_no_weight_of_the_base(
    bases: dict[str, Path], trained: dict[str, tuple[Path, TrainResult]], kind: str
) -> None:
    folder, result = trained[kind]
    base = open_base(bases[kind])
    of_base = {name for name, _ in base.load_network().named_parameters()}
    (checkpoint,) = (folder / "checkpoints").glob(f"adapters-*/{FILE}")
    for file, prefix in ((folder / "adapters" / WEIGHTS, ""), (checkpoint, "module.network.")):
        with safe_open(file, "pt") as opened:
            names = {name.removeprefix(prefix) for name in opened.keys()}  # noqa: SIM118
        assert f"{base.input_layer}.control.weight" in names
        assert any(".lora_A." in name for name in names)
        assert not names & of_base
    assert sorted(path.name for path in (folder / "adapters").iterdir()) == [WEIGHTS, "config.json"]
    losses = {"loss", "loss_test", "loss_test_without_control"}
    assert set(result.metrics) == {*losses, "control_gap", "control_gap_error"}


def test_training_loads_neither_autoencoder_nor_text_encoder(
    bases: dict[str, Path], latents: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Base) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(Base, "load_text", refuse)
    monkeypatch.setattr(Base, "load_vae", refuse)
    monkeypatch.setattr(AdaptersTask, "preview", lambda self, folder, step: [])
    run(bases["wan"], latents["wan"], tmp_path, steps=2)


class Recorder(SilentLogger):
    def __init__(self) -> None:
        self.values: dict[int, dict[str, float]] = {}
        self.figures: list[str] = []

    def metrics(self, values: dict[str, float], step: int) -> None:
        self.values.setdefault(step, {}).update(values)

    def figure(self, path: Path) -> None:
        self.figures.append(path.name)


def test_held_out_losses_and_videos_are_recorded_at_intervals(
    bases: dict[str, Path], latents: dict[str, Path], tmp_path: Path
) -> None:
    params = adapted_params(bases["wan"], steps=4)
    values = params.model_dump(by_alias=True)
    values["adapted_video"]["training"]["preview_every"] = 2
    recorder = Recorder()
    where = {"latents": latents["wan"], "checkpoints": tmp_path}
    train_adapters(type(params).model_validate(values), recorder, tmp_path / "adapters", **where)
    for step in (2, 4):
        assert {"loss_test", "loss_test_without_control"} <= recorder.values[step].keys()
    steps = ("000002", "000004")
    assert sorted(recorder.figures) == sorted(f"adapted_video-{s}.{end}" for s in steps for end in ("png", "gif"))


def test_options_of_memory_do_not_change_the_result(
    bases: dict[str, Path], latents: dict[str, Path], trained: dict[str, tuple[Path, TrainResult]], tmp_path: Path
) -> None:
    _, expected = trained["wan"]
    checkpointed = run(bases["wan"], latents["wan"], tmp_path / "a", gradient_checkpointing=True)
    for name, value in expected.metrics.items():
        assert checkpointed.metrics[name] == pytest.approx(value, rel=1e-4)
    values = adapted_params(bases["wan"]).model_dump(by_alias=True)
    values["adapted_video"]["training"] |= {"batch_size": 2, "gradient_accumulation": 2}
    where = {"latents": latents["wan"], "checkpoints": tmp_path / "b"}
    accumulated = train_adapters(
        type(adapted_params(bases["wan"])).model_validate(values), SilentLogger(), tmp_path / "c", **where
    )
    assert accumulated.metrics["loss_test"] == pytest.approx(expected.metrics["loss_test"], rel=0.2)


def test_the_gap_of_the_control_is_that_of_the_held_out_losses(trained: dict[str, tuple[Path, TrainResult]]) -> None:
    metrics = trained["wan"][1].metrics
    gap = metrics["loss_test_without_control"] - metrics["loss_test"]
    assert metrics["control_gap"] == pytest.approx(gap, abs=1e-6)
    assert metrics["control_gap_error"] >= 0


@pytest.mark.parametrize("kind", SAVERS)
def test_a_saved_pipeline_generates_what_it_generated_before(
    bases: dict[str, Path], trained: dict[str, tuple[Path, TrainResult]], kind: str, tmp_path: Path
) -> None:
    folder, _ = trained[kind]
    text, vae = save_drawing_parts(tmp_path)
    sampling = {"guidance_scale": 3.0, "control_guidance_scale": 1.5, "num_inference_steps": 2}
    where = {"adapters": folder / "adapters", "curve_vae": vae, "text_encoder": text}
    assemble(tmp_path / "models" / "pipeline", **where, sampling=sampling)
    names = {path.name for path in (tmp_path / "models" / "pipeline").iterdir()}
    drawing = {"curve_vae", "curve_text_encoder", "curve_tokenizer"}
    assert names == {"model_index.json", "transformer", "scheduler", *drawing}
    pipe = load_pipeline(tmp_path / "models")
    assert pipe.config.sampling.items() >= sampling.items()
    call = {"num_frames": 5, "generator": torch.Generator().manual_seed(0)}
    out = pipe([CAPTION], **call)
    assert out.frames.shape == (1, 5, 32, 32, 3)
    assert out.curves is not None
    assert out.sketches.shape == (1, 5, 32, 32)
    drawn = draw_caption(pipe, CAPTION, seed=0, num_frames=5, fps=8.0)
    np.testing.assert_array_equal(drawn.coefficients, out.curves[0].coefficients)
    pipe.save_pretrained(tmp_path / "again")
    again = AdaptedVideoPipeline.from_pretrained(tmp_path / "again", base=bases[kind])
    again.set_progress_bar_config(disable=True)
    call["generator"].manual_seed(0)
    np.testing.assert_array_equal(again([CAPTION], **call).frames, out.frames)
    facts = pipeline_facts(tmp_path / "models")
    assert (facts.system, facts.draws, facts.frames, facts.size) == ("adapted_video", True, 10, 32)
    assert facts.sampling == pipe.config.sampling
    kept = sum(path.stat().st_size for path in (tmp_path / "again" / "transformer").iterdir())
    assert kept < 0.5 * sum(path.stat().st_size for path in bases[kind].rglob("*.safetensors"))


def save_drawing_parts(folder: Path) -> tuple[Path, Path]:
    """A text encoder and a curve VAE of the project."""
    tokenizer = train_tokenizer([CAPTION], 300, 16)
    tokenizer.save_pretrained(folder / "text")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    encoder = BertModel(BertConfig(vocab_size=len(tokenizer), **sizes), add_pooling_layer=False)
    encoder.save_pretrained(folder / "text")
    CurveVAE(**TINY_CURVE_VAE).save_pretrained(folder / "curve_vae")
    return folder / "text", folder / "curve_vae"


def test_another_base_than_that_of_the_training_is_refused(
    bases: dict[str, Path],
    trained: dict[str, tuple[Path, TrainResult]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = trained["wan"][0] / "adapters"
    other = SAVERS["wan"](tmp_path / "other")
    network = open_base(other).load_network()
    stirred(network, 0.01).save_pretrained(other / "transformer")
    message = re.escape(f"{other} is not the base that {folder} was trained on: its transformer has the hash")
    with pytest.raises(UserError, match=message):
        AdaptedTransformer.from_pretrained(folder, base=other)
    monkeypatch.setenv(VARIABLE, str(other))
    with pytest.raises(UserError, match=message):
        AdaptedTransformer.from_pretrained(folder)
    (folder.parent / "damaged").mkdir()
    damaged = folder.parent / "damaged"
    for file in folder.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes()[: 1000 if file.name == WEIGHTS else None])
    with pytest.raises(UserError, match=f"{WEIGHTS} cannot be loaded"):
        AdaptedTransformer.from_pretrained(damaged, base=bases["wan"])


def test_latents_of_another_base_are_refused(
    bases: dict[str, Path], latents: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_base(bases["wan"])
    monkeypatch.setattr(type(opened), "name", "other")
    monkeypatch.setattr(training, "open_base", lambda source: opened)
    with pytest.raises(UserError, match="was encoded by another base"):
        run(bases["wan"], latents["wan"], tmp_path)
