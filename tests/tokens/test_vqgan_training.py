from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sketch2video.autoencoder.training import clip_dataset, held_out_frames, mean_psnr
from sketch2video.controls import NONE
from sketch2video.tokens.vqgan.network import load_vqgan
from sketch2video.tokens.vqgan.training import VQGANTask, frozen, train_vqgan
from sketch2video.training.checkpoints import FILE
from sketch2video.training.loop import SilentLogger, TrainResult
from tests.small_data import small_params

CODES = 16
SMALL = {"width": 16, "codes": CODES, "code_width": 4, "halvings": 2, "discriminator_width": 8}


def run(scenes: Path, folder: Path, steps: int, every: int = 1000, **changes) -> TrainResult:
    params = small_params("vqgan", steps, **(SMALL | changes))
    training = params.vqgan.training.model_copy(update={"checkpoint_every": every})
    params = params.model_copy(update={"vqgan": params.vqgan.model_copy(update={"training": training})})
    where = {"clips": scenes / "clips", "curves": scenes / "curves", "checkpoints": folder / "checkpoints"}
    return train_vqgan(params, SilentLogger(), folder / "vqgan", **where)


def test_training_improves_held_out_frames_and_uses_many_codes(scenes: Path, tmp_path: Path) -> None:
    short, long = (run(scenes, tmp_path / str(steps), steps, discriminator_start=1.0) for steps in (2, 60))
    assert long.history[-1]["loss"] < 0.7 * long.history[0]["loss"]
    assert long.metrics["psnr"] > short.metrics["psnr"] + 1
    for level in (0, 1):
        assert long.metrics[f"perplexity_{level}"] > 0.25 * CODES
        assert long.metrics[f"perplexity_{level}"] <= long.metrics[f"codes_used_{level}"] <= CODES
    assert long.metrics["bits_per_frame"] == 80 * 4
    assert {"error", "perceptual", "commitment", "adversarial", "discriminator"} <= long.history[-1].keys()
    assert {"perplexity_0", "perplexity_1"} <= long.history[-1].keys()
    assert set(long.metrics) == {
        *("loss", "psnr", "ssim", "comparator", "bits_per_frame"),
        *(f"{name}_{level}" for name in ("perplexity", "codes_used") for level in (0, 1)),
    }


def test_the_folder_holds_what_was_measured_and_no_discriminator(scenes: Path, tmp_path: Path) -> None:
    result = run(scenes, tmp_path, 4, discriminator_start=0.5)
    frames = held_out_frames(NONE, scenes / "clips", scenes / "curves")["frames"]
    model = load_vqgan(tmp_path / "vqgan")
    assert mean_psnr(model(frames), frames) == pytest.approx(result.metrics["psnr"], abs=1e-3)
    assert list((tmp_path / "checkpoints").rglob("previews/*.png"))
    saved = load_file(next((tmp_path / "vqgan").glob("*.safetensors")))
    assert set(saved) == set(model.state_dict())
    assert not any("discriminator" in name for name in saved)


@pytest.mark.parametrize("killed_at", [3, 5])
def test_a_killed_training_goes_on_to_the_same_model(scenes: Path, tmp_path: Path, monkeypatch, killed_at: int) -> None:
    """Before and after the discriminator's beginning at step 4 of 8, with checkpoints at steps 2, 4 and 6."""
    expected = run(scenes, tmp_path / "a", 8, every=2, discriminator_start=0.5)
    original, seen = VQGANTask.loss, []

    def failing(self, batch, generator, progress):
        seen.append(progress)
        if len(seen) == killed_at + 1:
            raise RuntimeError("pulled the plug")
        return original(self, batch, generator, progress)

    monkeypatch.setattr(VQGANTask, "loss", failing)
    with pytest.raises(RuntimeError, match="pulled the plug"):
        run(scenes, tmp_path / "b", 8, every=2, discriminator_start=0.5)
    assert run(scenes, tmp_path / "b", 8, every=2, discriminator_start=0.5) == expected
    assert len(seen) == killed_at + 1 + 8 - killed_at // 2 * 2  # from the checkpoint, not from the start
    checkpoints = [load_file(next((tmp_path / name).rglob(FILE))) for name in ("a", "b")]
    assert checkpoints[0].keys() == checkpoints[1].keys()
    assert all(torch.equal(tensor, checkpoints[1][name]) for name, tensor in checkpoints[0].items())


def test_the_discriminator_begins_when_it_is_told_to(scenes: Path, tmp_path: Path) -> None:
    history = run(scenes, tmp_path, 8, discriminator_start=0.5).history
    assert [point["discriminator"] > 0 for point in history] == [False] * 4 + [True] * 4
    assert all(point["discriminator"] == point["adversarial"] == 0 for point in history[:4])


def task(scenes: Path, **changes) -> tuple[VQGANTask, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    params = small_params("vqgan", 8, **(SMALL | {"discriminator_start": 0.5} | changes))
    where = scenes / "clips", scenes / "curves"
    batch = clip_dataset(NONE, *where, "train").batch(range(4))
    return VQGANTask(params.vqgan, held_out_frames(NONE, *where)["frames"]), batch


def gradients(scenes: Path, progress: float, **changes) -> tuple[VQGANTask, list[torch.Tensor], list[torch.Tensor]]:
    """The task after one backward pass, and the gradients of generator and discriminator."""
    trained, batch = task(scenes, **changes)
    trained.module.train()
    generator = torch.Generator().manual_seed(0)
    trained.loss(batch, generator, progress)[0].backward()
    either = (trained.module.generator, trained.module.discriminator)
    first, second = ([p.grad for p in network.parameters() if p.grad is not None] for network in either)
    return trained, first, second


def test_before_its_beginning_the_discriminator_learns_nothing(scenes: Path) -> None:
    _, _, early = gradients(scenes, 0.4)
    assert early == []
    trained, _, late = gradients(scenes, 0.5)
    assert len(late) == len(list(trained.module.discriminator.parameters()))
    assert all(parameter.requires_grad for parameter in trained.module.parameters())


def test_generator_and_discriminator_learn_from_their_own_losses_alone(scenes: Path) -> None:
    _, with_opinion, own = gradients(scenes, 0.5)
    _, without, same = gradients(scenes, 0.5, discriminator_weight=0.0)
    assert all(torch.equal(a, b) for a, b in zip(own, same, strict=True))  # whatever weighs the generator's part
    assert any(not torch.equal(a, b) for a, b in zip(with_opinion, without, strict=True))
    _, alone, _ = gradients(scenes, 0.4)
    for a, b in zip(without, alone, strict=True):
        torch.testing.assert_close(a, b)  # the discriminator's loss does not reach the generator


def test_a_frozen_network_passes_gradients_on() -> None:
    layer, x = torch.nn.Linear(2, 1), torch.randn(3, 2, requires_grad=True)
    with frozen(layer):
        out = layer(x).sum()
    out.backward()
    assert layer.weight.grad is None
    assert x.grad is not None
    assert layer.weight.requires_grad
