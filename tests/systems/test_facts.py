from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sketch2video.errors import UserError
from sketch2video.systems.facts import pipeline_facts
from sketch2video.systems.loading import load_pipeline


@pytest.mark.parametrize("name", ["tiny_pipeline_folder", "tiny_text_pipeline_folder", "tiny_vqgan_pipeline_folder"])
def test_the_configs_say_what_the_loaded_pipeline_says(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    facts, pipeline = pipeline_facts(folder), load_pipeline(folder)
    assert facts.system == folder.name
    assert facts.draws == pipeline.control.draws == (pipeline.curve_vae is not None)
    assert (facts.frames, facts.size, facts.longest) == (
        pipeline.sample_frames,
        pipeline.sample_size,
        pipeline.longest,
    )
    assert facts.samplers == pipeline.samplers
    assert facts.sampling == pipeline.config["sampling"]


def test_a_text_model_without_known_frames_has_a_longest_video(tiny_text_pipeline_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_text_pipeline_folder, tmp_path / "text"))
    config = json.loads((folder / "transformer/config.json").read_text())
    config["known_frames"] = False
    del config["objective"]  # as if an older version had written it
    (folder / "transformer/config.json").write_text(json.dumps(config))
    facts = pipeline_facts(folder)
    assert facts.longest == facts.frames
    assert facts.samplers[0] == "euler"


def test_what_is_no_pipeline_is_named(tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no pipeline"):
        pipeline_facts(tmp_path)
    folder = Path(shutil.copytree(tiny_pipeline_folder, tmp_path / "a"))
    (folder / "transformer/config.json").write_text("{}")
    assert pipeline_facts(folder).frames == 16  # every value is the default of the class
    (folder / "transformer/config.json").write_text('{"sample_size": "x"}')
    with pytest.raises(UserError, match="cannot be read"):
        pipeline_facts(folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "Other"}))
    with pytest.raises(UserError, match="Other"):
        pipeline_facts(folder)
