import os
import shutil
from pathlib import Path

import pytest
import yaml

from sketch2video.errors import UserError
from sketch2video.params import load_params
from sketch2video.profiles import apply_profile, edit_params, profile_names, source_params

DEFAULTS = Path("params.yaml").read_text(encoding="utf-8")


@pytest.fixture
def params(tmp_path):
    return Path(shutil.copy("params.yaml", tmp_path))


def leaves(values, place=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value


def test_an_edit_without_differences_leaves_every_byte(params):
    edit_params({}, params)
    assert params.read_text() == DEFAULTS


def test_an_edit_changes_its_values_and_no_comment(params):
    edit_params({"fit": {"strokes": 4}, "curve_vae": {"training": {"steps": 7}}}, params)
    old, new = dict(leaves(yaml.safe_load(DEFAULTS))), dict(leaves(yaml.safe_load(params.read_text())))
    assert {key for key in old if old[key] != new[key]} == {"fit.strokes", "curve_vae.training.steps"}
    assert [line.partition("#")[2] for line in params.read_text().splitlines()] == [
        line.partition("#")[2] for line in DEFAULTS.splitlines()
    ]


@pytest.mark.parametrize("rate", [5e-05, 1e-08, 2.5e-07, 0.001, 1.0])
def test_small_numbers_are_read_again_as_numbers(params, rate):
    edit_params({"curve_vae": {"training": {"learning_rate": rate}}}, params)
    assert load_params(params).curve_vae.training.learning_rate == rate


@pytest.mark.parametrize("name", profile_names())
def test_profiles_hold_valid_differences_only(params, name):
    apply_profile(name, params)
    load_params(params)
    profile = dict(leaves(yaml.safe_load(Path(f"profiles/{name}.yaml").read_text())))
    applied = dict(leaves(yaml.safe_load(params.read_text())))
    assert {key: applied[key] for key in profile} == profile
    same = [key for key, value in leaves(yaml.safe_load(DEFAULTS)) if key in profile and profile[key] == value]
    assert not same, "a profile repeats a default"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fit: {bugdet: 3}", r"unknown key fit\.bugdet"),
        ("fit: {budget: 300}", r"fit\.budget"),
        ("fit: 3", "fit"),
        ("- fit", "a profile is a mapping"),
        ("fit: {", "not valid YAML"),
    ],
)
def test_a_wrong_profile_changes_nothing(params, tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        apply_profile("mine", params, profiles=tmp_path)
    assert params.read_text() == DEFAULTS


def test_an_unknown_profile_names_the_known_ones(params):
    for name in ("huge", "../params", "default"):
        with pytest.raises(UserError, match=r"known: bottleneck, fine, gpu, large_base, rich, smoke.*git checkout"):
            apply_profile(name, params)


def set_source(source, params):
    edit_params({"ingest": source_params(source)}, params)


def test_the_source_is_a_csv_or_the_scenes(params, tmp_path):
    folder = tmp_path / "my videos"
    folder.mkdir()
    (folder / "list.csv").write_text("path_to_video,caption\na.mp4,a cat\n")
    set_source(str(folder / "list.csv"), params)
    ingest = load_params(params).ingest
    assert (ingest.source, ingest.folder, ingest.captions) == ("folder", folder.as_posix(), "list.csv")
    set_source("synthetic", params)
    assert load_params(params).ingest.source == "synthetic"


def test_a_data_set_is_known_by_its_layout(params, tmp_path):
    (tmp_path / "ucf/ucfTrainTestlist").mkdir(parents=True)
    (tmp_path / "msrvtt/annotation").mkdir(parents=True)
    (tmp_path / "msrvtt/annotation/MSRVTT_data.json").touch()
    for garment in ("body", "bottomwear", "topwear", "hair"):
        (tmp_path / "sheets" / garment).mkdir(parents=True)
        (tmp_path / "sheets" / garment / "0.png").touch()
    for folder, name in (("ucf", "ucf101"), ("msrvtt", "msrvtt"), ("sheets", "sprites")):
        set_source(str(tmp_path / folder), params)
        ingest = load_params(params).ingest
        assert (ingest.source, ingest.folder) == (name, (tmp_path / folder).as_posix())


def test_a_source_that_is_none(params, tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        set_source(str(tmp_path / "nothing.csv"), params)
    with pytest.raises(UserError, match=r"cannot be read.*UCF-101.*MSR-VTT.*0\.png in body/.*Sprites"):
        set_source(str(tmp_path), params)
    (tmp_path / "list.csv").write_text("path_to_video,text\na.mp4,a cat\n")
    with pytest.raises(UserError, match="no column caption"):
        set_source(str(tmp_path / "list.csv"), params)
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        set_source(str(tmp_path / "list.csv"), params)
    assert params.read_text() == DEFAULTS


@pytest.mark.parametrize(
    "name", ["two words", "what is this?", "#1 50%20", "2024-05-01T12:30:05", 'it\'s "it"', "a\nb"]
)
def test_a_source_of_any_name_comes_back_from_the_parameters(params, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    (folder / f"{name}.csv").write_text("path_to_video,caption\nwalk.mp4,a walk\n")
    set_source(str(folder / f"{name}.csv"), params)
    wanted = load_params(params).ingest
    assert (wanted.folder, wanted.captions) == (folder.as_posix(), f"{name}.csv")


def test_a_source_that_dvc_cannot_hash_is_refused_with_the_file(params, tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "list.csv").write_text("path_to_video,caption\nwalk.mp4,a walk\n")
    (folder / "gone.mp4").symlink_to("nowhere")
    before = params.read_bytes()
    with pytest.raises(UserError, match=r"gone\.mp4 is a link that leads nowhere; remove or rename it"):
        set_source(str(folder / "list.csv"), params)
    (folder / "gone.mp4").unlink()
    (folder / os.fsdecode(b"a\xff.mp4")).write_text("")
    with pytest.raises(UserError, match=r"a\\udcff\.mp4 has a name that is not UTF-8"):
        set_source(str(folder / "list.csv"), params)
    (tmp_path / os.fsdecode(b"\xff.csv")).write_text("path_to_video,caption\nwalk.mp4,a walk\n")
    with pytest.raises(UserError, match=r"\\udcff\.csv is no UTF-8 name"):
        set_source(str(tmp_path / os.fsdecode(b"\xff.csv")), params)
    assert params.read_bytes() == before
