import copy

import pytest
import yaml

from sketch2video.errors import UserError
from sketch2video.params import load_params, parse_params


@pytest.fixture
def values():
    with open("params.yaml", encoding="utf-8") as stream:  # noqa: PTH123
        return yaml.safe_load(stream)


def changed(values, key, value):
    values = copy.deepcopy(values)
    *sections, last = key.split(".")
    place = values
    for section in sections:
        place = place[section]
    place[last] = value
    return values


def test_the_defaults_are_valid_and_frozen():
    params = load_params()
    assert params.fit.budget < 300
    with pytest.raises(ValueError, match="frozen"):
        params.fit.budget = 10


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fit.bugdet", 200),
        ("fit.budget", 300),
        ("fit.budget", "288"),
        ("fit.strokes", 100),
        ("base.size", 60),
        ("autoencoder.fold", 3),
        ("video_ldm.patch", 1),
        ("autoencoder.fold", 16),
        ("base.frames", 1),
        ("ingest.source", "tape"),
        ("ingest.ucf101_split", 4),
        ("ingest.synthetic.images", -1),
        ("ingest.synthetic.objects", 3),
        ("ingest.sprites.sheets", 1),
        ("ingest.sprites.characters", 1297),
        ("ingest.sprites.test_characters", 1296),
        ("ingest.sprites.split", "colours"),
        ("curve_vae.training.steps", 0),
        ("video_ldm.heads", 5),
        ("video_ldm.objective", "x0"),
        ("video_ldm.still_spectrum", "sometimes"),
        ("evaluate.sampler", "ddim"),
        ("generate.sampler", "ddpm"),
        ("generate.fps", 0.0),
        ("vqgan.levels", 0),
        ("vqgan.levels", 5),
        ("vqgan.width", 20),
        ("vqgan.discriminator_start", 1.5),
        ("vqgan.training.steps", 0),
        ("sketch.extractor", "magic"),
        ("sketcher.width", 12),
        ("base.seed", True),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_key(values, key, value):
    with pytest.raises(UserError) as error:
        parse_params(changed(values, key, value), "params.yaml")
    message = str(error.value)
    assert message.startswith("params.yaml: ")
    assert key in message
    assert "\n" not in message


def test_a_missing_key_is_named(values):
    del values["sketch"]["contrast"]
    with pytest.raises(UserError, match=r"missing key sketch\.contrast"):
        parse_params(values)


@pytest.mark.parametrize("text", ["base: [", "- 1", "", "just words", "\t"])
def test_files_that_are_no_parameters(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"params\.yaml"):
        load_params(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="run the command in the project's folder"):
        load_params(tmp_path / "params.yaml")


def test_samplers_must_fit_the_objective(values):
    for key in ("evaluate.sampler", "generate.sampler"):
        values = changed(values, key, "unipc")
    values = changed(values, "video_ldm.objective", "epsilon")
    parse_params(values)
    with pytest.raises(
        UserError, match=r"evaluate\.sampler: euler .*video_ldm\.objective: epsilon .*ddim, ddpm, dpm\+\+ or"
    ):
        parse_params(changed(values, "evaluate.sampler", "euler"))
