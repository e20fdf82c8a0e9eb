"""What tokens alone do to a video, on an untrained VQGAN and on one that gives back what it is shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import tokens
from benchmarks.tokens import WAYS, markdown, measured, psnr, there_and_back
from sketch2video.autoencoder.training import to_network
from sketch2video.evaluation.consistency import steadiness
from sketch2video.scenes.synthetic import Combination, render_scene, sample_scene
from sketch2video.tokens.vqgan.network import HierarchicalVQGAN
from sketch2video.training.previews import to_uint8
from tests.benchmarks.cells import cells_of


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    scene = sample_scene(np.random.default_rng(0), [Combination("star", "red", "left to right")])
    return render_scene(scene, 32, 6).frames


@pytest.fixture(scope="module")
def model(clip: np.ndarray) -> HierarchicalVQGAN:
    torch.manual_seed(0)
    model = HierarchicalVQGAN(codes=16, code_width=4, width=16, blocks=1)
    model.quantise(to_network(torch.from_numpy(clip)))
    return model.eval()


def test_a_clip_comes_back_as_its_tokens_say(model: HierarchicalVQGAN, clip: np.ndarray) -> None:
    back = there_and_back(model, clip)
    assert (back.shape, back.dtype) == (clip.shape, np.uint8)
    with torch.no_grad():
        straight = to_uint8(model(to_network(torch.from_numpy(clip))))
    agreement = (np.abs(back.astype(int) - straight) <= 1).mean()
    assert agreement > 0.95  # sums in bfloat16 may turn a close choice


def test_tokens_that_keep_everything_change_nothing(
    model: HierarchicalVQGAN, clip: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = clip[::-1].copy()
    expected = {name: (getattr(steadiness(np.stack([clip, other])), name)).mean() for name in ("flicker", "motion")}
    monkeypatch.setattr(tokens, "there_and_back", lambda _, frames: frames)
    kept = measured(model, [clip, other])
    assert kept["real"] == kept["tokens and back"]
    for name, value in expected.items():
        assert kept["real"][name] == pytest.approx(value)

    flashing = clip.copy()
    flashing[1::2] = np.clip(flashing[1::2].astype(int) + 20, 0, 255)
    monkeypatch.setattr(tokens, "there_and_back", lambda _, frames: flashing)
    spoiled = measured(model, [clip])
    assert spoiled["tokens and back"]["flicker"] > 5 * spoiled["real"]["flicker"]
    assert spoiled["psnr"] == pytest.approx(psnr(clip, flashing))
    rows = [cells_of(line)[:2] for line in markdown(spoiled).splitlines() if line.startswith("|")]
    assert rows[2:] == [[way, f"{spoiled[way]['flicker']:.4f}"] for way in WAYS]


def test_psnr_is_that_of_the_mean_square() -> None:
    black = np.zeros((2, 4, 4, 3), np.uint8)
    assert psnr(black, black + np.uint8(51)) == pytest.approx(20 * np.log10(5))
