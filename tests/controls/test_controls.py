"""The controls that are there, how they are found, and the names that networks and parameters hold."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from sketch2video.controls import (
    NONE,
    SKETCH,
    VIDEO,
    Control,
    check_controls,
    control_of_network,
    find_control,
    register_control,
    unregister_control,
)
from sketch2video.curves import CurveSequence
from sketch2video.data.clips.shards import shard_path, write_shard
from sketch2video.errors import UserError
from sketch2video.params import Params, load_params
from sketch2video.preflight import check
from sketch2video.profiles import edit_params
from sketch2video.systems.text_ldm.pipeline import TextToVideoPipeline
from sketch2video.tokens.transformer_training import train_token_transformer
from sketch2video.training.loop import SilentLogger
from tests.conftest import tiny_parts

PARAMS = Path(__file__).parents[2] / "params.yaml"
BOTH = Path("clips"), Path("curves")


@dataclass(frozen=True)
class Blank(Control):
    """Nothing is on its pictures."""

    name: str
    channels: int

    def arrays(self, clips: Path, curves: Path) -> dict[str, Path]:
        return {}

    def pictures(self, batch, height, width, corruption=0.0, generator=None) -> torch.Tensor:
        return torch.zeros(1, 1, self.channels, height, width)


@pytest.fixture
def curves() -> dict[str, torch.Tensor]:
    """Two clips of three frames, each with one straight stroke that moves down."""
    coefficients, visibility = torch.zeros(2, 3, 2, 2, 8), torch.zeros(2, 3, 2)
    coefficients[:, :, 0, 0, :2] = torch.tensor([0.5, 0.3])
    coefficients[:, :, 0, 1, 0] = torch.tensor([0.3, 0.5, 0.7])
    visibility[:, :, 0] = 1
    return {"coefficients": coefficients, "visibility": visibility}


def test_every_control_says_what_it_reads() -> None:
    found = [(one.name, one.channels, one.arrays(*BOTH), one.table(*BOTH)) for one in (NONE, SKETCH, VIDEO)]
    assert found == [
        ("none", 0, {}, Path("clips/clips.parquet")),
        ("sketch", 1, {"coefficients": Path("curves"), "visibility": Path("curves")}, Path("curves/curves.parquet")),
        ("video", 3, {"control": Path("clips")}, Path("clips/clips.parquet")),
    ]
    assert [one.draws for one in (NONE, SKETCH, VIDEO)] == [False, True, False]
    assert [one.way and one.way.name for one in (NONE, SKETCH, VIDEO)] == [None, "fitted", "control"]


def test_a_sketch_is_the_drawing_of_its_curves(curves) -> None:
    pictures = SKETCH.pictures(curves, 16, 24)
    assert pictures.shape == (2, 3, 1, 16, 24)
    expected = CurveSequence(curves["coefficients"][1].numpy(), curves["visibility"][1].numpy()).render(16, 24)
    np.testing.assert_array_equal((pictures[1, :, 0] * 255).round().numpy(), expected)
    assert expected.max() > 100


def test_a_sketch_is_corrupted_by_its_generator_alone(curves) -> None:
    def drawn(share: float, seed: int | None) -> torch.Tensor:
        return SKETCH.pictures(curves, 32, 32, share, None if seed is None else torch.Generator().manual_seed(seed))

    clean = drawn(1.0, None)
    assert torch.equal(drawn(0.0, 1), clean)
    assert not torch.equal(drawn(1.0, 1), clean)
    assert torch.equal(drawn(1.0, 1), drawn(1.0, 1))
    assert not torch.equal(drawn(1.0, 1), drawn(1.0, 2))


def test_control_videos_are_the_clips_own(tmp_path: Path) -> None:
    videos = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), dtype=np.uint8)
    write_shard(shard_path(tmp_path, 0), {"control": videos}, ["a", "b"], "key")
    rows = pd.DataFrame({"shard": 0, "row": [1, 0]})
    pictures = VIDEO.pictures_of_clips(rows, tmp_path, Path("nowhere"), 8)
    assert pictures.shape == (2, 3, 3, 8, 8)
    np.testing.assert_allclose(pictures[0, 2, :, 5, 1], videos[1, 2, 5, 1] / 255, atol=1e-6)
    given = VIDEO.given(rows, tmp_path, Path("nowhere"), 8)
    np.testing.assert_array_equal(given.pop("control"), videos[::-1])
    assert given == {}
    np.testing.assert_array_equal(VIDEO.shown(pictures), videos[::-1])


def test_without_a_control_there_are_no_pictures() -> None:
    assert NONE.pictures({}, 8, 8) is None
    assert NONE.given(pd.DataFrame(), *BOTH, 8) == {}


def test_fitted_curves_are_given_as_they_are(scenes: Path) -> None:
    rows = pd.read_parquet(scenes / "curves" / "curves.parquet").iloc[[3, 13]]
    (given,) = SKETCH.given(rows, scenes / "clips", scenes / "curves", 32).values()
    pictures = SKETCH.pictures_of_clips(rows, scenes / "clips", scenes / "curves", 32)
    for sequence, ink in zip(given, pictures, strict=True):
        np.testing.assert_array_equal(sequence.render(32, 32), (255 * ink[:, 0]).round())


def test_lines_are_shown_black_on_white_and_other_channels_grey() -> None:
    full = torch.ones(2, 1, 4, 4)
    assert not SKETCH.shown(full).any()
    assert SKETCH.shown(full).shape == (2, 4, 4, 3)
    half = torch.tensor([1.0, 0.0]).view(2, 1, 1).expand(2, 4, 4)
    shown = Blank("relief", channels=2).shown(half)
    assert shown.shape == (4, 4, 3)
    assert set(np.unique(shown)) <= {127, 128}


def test_a_name_that_there_is_not_is_refused_with_the_choices() -> None:
    assert [find_control(control.name) for control in (NONE, SKETCH, VIDEO)] == [NONE, SKETCH, VIDEO]
    with pytest.raises(UserError, match=r"^there is no control scketch; choose one of none, sketch, video, or"):
        find_control("scketch")
    with pytest.raises(UserError, match=r"^text_ldm\.control: there is no control sketch; choose one of none, vid"):
        find_control("sketch", "text_ldm.control", may_draw=False)


def test_names_are_taken_once_and_can_stand_in_names_of_files() -> None:
    with pytest.raises(ValueError, match="there is a control sketch already"):
        register_control(Blank("sketch", channels=1))
    with pytest.raises(ValueError, match="use letters, digits and underscores"):
        register_control(Blank("a/b", channels=1))
    assert find_control("sketch") is SKETCH
    with pytest.raises(ValueError, match="there is no control sketchy"):
        unregister_control("sketchy")


@pytest.mark.parametrize(("channels", "name"), [(0, "none"), (1, "sketch"), (3, "video")])
def test_a_network_of_before_is_known_by_its_channels(tmp_path: Path, channels: int, name: str) -> None:
    made = TextToVideoPipeline(**tiny_parts(channels))
    assert made.control.name == name
    made.save_pretrained(tmp_path / "new")
    old = shutil.copytree(tmp_path / "new", tmp_path / "old")
    for part in ("transformer", "autoencoder"):
        config = json.loads((old / part / "config.json").read_text())
        del config["control"]
        (old / part / "config.json").write_text(json.dumps(config))
    for folder in (tmp_path / "new", old):
        assert TextToVideoPipeline.from_pretrained(folder).control.name == name


def test_a_name_decides_over_channels() -> None:
    assert control_of_network("video", 1) is VIDEO
    with pytest.raises(UserError, match="2 control channels and names no control"):
        control_of_network(None, 2)


def with_control(key: str, name: str) -> Params:
    values = yaml.safe_load(PARAMS.read_text())
    section, last = key.split(".")
    values[section][last] = name
    return Params.model_validate(values)


@pytest.mark.parametrize(
    ("key", "name", "choices"),
    [
        ("text_ldm.control", "x", "none, video"),
        ("text_ldm.control", "sketch", "none, video"),
        ("token_transformer.control", "depht", "none, sketch, video"),
        ("adapted_video.control", "depht", "none, sketch, video"),
    ],
)
def test_a_parameter_that_names_no_control_is_refused_early(tmp_path: Path, key: str, name: str, choices: str) -> None:
    params = with_control(key, name)
    message = rf"params\.yaml: {key}: there is no control {name}; choose one of {choices}, or"
    calls = [lambda: check_controls(params), lambda: check(params)]
    for call in calls:
        with pytest.raises(UserError, match=message):
            call()
    file = tmp_path / "params.yaml"
    shutil.copy(PARAMS, file)
    section, last = key.split(".")
    with pytest.raises(UserError, match=rf"a profile: {key}: there is no control"):
        edit_params({section: {last: name}}, file, "a profile")
    assert file.read_bytes() == PARAMS.read_bytes()


def test_a_training_names_the_parameter_and_the_default_parameters_are_right(tmp_path: Path) -> None:
    check_controls(load_params(PARAMS))
    params = with_control("token_transformer.control", "x")
    folders = {name: tmp_path / name for name in ("tokens", "text_encoder", "vqgan")}
    with pytest.raises(UserError, match=r"token_transformer\.control: there is no control x"):
        train_token_transformer(params, SilentLogger(), tmp_path / "model", **folders)
