from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sketch2video.errors import UserError
from sketch2video.systems.loading import content_hash, load_pipeline
from sketch2video.systems.sketch_ldm.pipeline import SketchToVideoPipeline


def test_a_saved_system_comes_back(tiny_pipeline_folder: Path) -> None:
    assert isinstance(load_pipeline(tiny_pipeline_folder), SketchToVideoPipeline)


def test_the_hash_is_of_the_content_alone(tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_pipeline_folder, tmp_path / "copy")
    assert content_hash(copy) == content_hash(tiny_pipeline_folder)
    (copy / "scheduler" / "scheduler_config.json").write_text("{}")
    changed = content_hash(copy)
    assert changed != content_hash(tiny_pipeline_folder)
    (copy / "scheduler" / "scheduler_config.json").rename(copy / "scheduler" / "renamed.json")
    assert content_hash(copy) != changed


def test_what_is_no_pipeline_is_a_users_mistake(tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model_index\.json is missing"):
        load_pipeline(tmp_path)
    damaged = shutil.copytree(tiny_pipeline_folder, tmp_path / "damaged")
    (damaged / "transformer" / "diffusion_pytorch_model.safetensors").write_bytes(b"cut off")
    with pytest.raises(UserError, match="damaged cannot be loaded") as error:
        load_pipeline(damaged)
    assert "\n" not in str(error.value)
    (damaged / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(UserError, match="holds the pipeline FluxPipeline"):
        load_pipeline(damaged)


@pytest.mark.parametrize("system", ["sketch", "vqgan"])
def test_an_index_of_an_older_version_still_loads(request: pytest.FixtureRequest, tmp_path: Path, system: str) -> None:
    """As indexes were written when all networks lay in a folder ``models/``."""
    kind = {"sketch": "tiny_pipeline_folder", "vqgan": "tiny_vqgan_pipeline_folder"}[system]
    old = shutil.copytree(request.getfixturevalue(kind), tmp_path / "old")
    index = json.loads((old / "model_index.json").read_text())
    index |= {
        "sketch": {
            "autoencoder": ["sketch2video.models.autoencoder", "FrameAutoencoder"],
            "transformer": ["sketch2video.models.video_transformer", "VideoTransformer"],
        },
        "vqgan": {
            "vqgan": ["sketch2video.models.vqgan", "HierarchicalVQGAN"],
            "transformer": ["sketch2video.models.token_transformer", "TokenTransformer"],
        },
    }[system]
    (old / "model_index.json").write_text(json.dumps(index))
    loaded, now = load_pipeline(old), load_pipeline(request.getfixturevalue(kind))
    assert {name: type(part) for name, part in loaded.components.items()} == {
        name: type(part) for name, part in now.components.items()
    }
