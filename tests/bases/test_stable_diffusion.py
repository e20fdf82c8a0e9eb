"""What an image model needs to be a base of videos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sketch2video.bases.registry import open_base
from sketch2video.bases.stable_diffusion import StableDiffusion
from sketch2video.errors import UserError
from sketch2video.systems.adapted_video import pipeline as pipeline_module
from tests.bases.test_bases import CAPTION, FrameByFrame, call, seeded
from tests.bases.tiny import save_stable_diffusion, untrained


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "precision", lambda: "no")


@pytest.fixture
def folder(bases: dict[str, Path], tmp_path: Path) -> Path:
    """A base that a test may damage."""
    return Path(shutil.copytree(bases["stable_diffusion"], tmp_path / "base"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_first_frame_is_a_picture_of_the_base_and_the_others_see_it(tmp_path: Path, prediction_type: str) -> None:
    folder = save_stable_diffusion(tmp_path, prediction_type)
    own = FrameByFrame.from_pretrained(folder)
    own.set_progress_bar_config(disable=True)
    asked = call(num_frames=3)
    pictures = own(CAPTION, **asked, output_type="np").frames
    asked["generator"].manual_seed(0)
    frames = untrained(folder)([CAPTION], **asked).frames
    np.testing.assert_allclose(frames[:, 0], pictures[:, 0], atol=1e-4)
    assert all(np.abs(frames[:, frame] - pictures[:, frame]).max() > 1e-3 for frame in (1, 2))


def test_videos_of_a_batch_do_not_see_each_other(bases: dict[str, Path]) -> None:
    base = StableDiffusion(bases["stable_diffusion"])
    network = base.load_network()
    latents, level = torch.randn(2, 3, 4, 8, 8, generator=seeded()), torch.tensor([900, 100])
    text = base.encode_text(*base.load_text(), ["", CAPTION], torch.device("cpu"))
    with torch.no_grad():
        both = base.predict(network, latents, level, text, None, torch.ones(2))
        for row in (0, 1):
            one = slice(row, row + 1)
            alone = base.predict(network, latents[one], level[one], type(text)(*(t[one] for t in text)), None, level)
            torch.testing.assert_close(both[one], alone, atol=1e-5, rtol=1e-5)


def test_captions_are_read_by_the_vocabulary_of_the_folder(bases: dict[str, Path]) -> None:
    base = open_base(bases["stable_diffusion"])
    tokenizer, encoder = base.load_text()
    tokens = tokenizer("a hikes hi").input_ids
    assert tokenizer.convert_ids_to_tokens(tokens[1:-1]) == ["a</w>", "hikes</w>", "h", "i</w>"]
    assert base.encode_text(tokenizer, encoder, ["a man " * 30, ""], torch.device("cpu")).hidden.shape == (2, 24, 16)


def test_an_autoencoder_with_the_names_of_2022_is_loaded(folder: Path) -> None:
    """The published autoencoders have other names of the layers of attention."""
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    expected = open_base(folder).load_vae().state_dict()
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, weight in load_file(path).items():
        for new, old in names.items():
            name = name.replace(f".{new}.", f".{old}.")
        renamed[name] = weight
    assert renamed.keys() != expected.keys()
    save_file(renamed, path, metadata={"format": "pt"})
    found = open_base(folder).load_vae().state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_what_cannot_be_adapted_is_one_line(folder: Path) -> None:
    change(folder / "scheduler" / "scheduler_config.json", prediction_type="sample")
    with pytest.raises(UserError, match="predicts sample, not v_prediction or epsilon; name a folder"):
        open_base(folder).objective(None)
    change(folder / "unet" / "config.json", in_channels=9)
    with pytest.raises(UserError, match="is an inpainting or control model; name a folder"):
        open_base(folder)
    (folder / "tokenizer" / "vocab.json").unlink()
    change(folder / "unet" / "config.json", in_channels=4)
    with pytest.raises(UserError, match="cannot be loaded as a CLIP tokenizer"):
        open_base(folder).load_text()
