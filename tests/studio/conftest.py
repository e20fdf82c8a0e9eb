"""A studio with tiny models, served on a free port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.studio.chromium import Page, launched
from tests.studio.serving import Served, offer, served


@pytest.fixture(scope="module")
def studio(
    tiny_pipeline_folder: Path,
    tiny_text_pipeline_folder: Path,
    tiny_vqgan_pipeline_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """A running studio with a model that draws, one that does not, and one of tokens."""
    folders = {"sketch": tiny_pipeline_folder, "text": tiny_text_pipeline_folder, "tokens": tiny_vqgan_pipeline_folder}
    offers = [offer(name, folder) for name, folder in folders.items()]
    with served(lambda: offers, tmp_path_factory.mktemp("studio") / "gallery") as running:
        yield running


@pytest.fixture(scope="session")
def drawing_pipeline_folder(tiny_pipeline_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny pipeline, whose drawings have strokes for every seed, visible from the first frame to the last one."""
    from sketch2video.systems.sketch_ldm.pipeline import SketchToVideoPipeline

    pipeline = SketchToVideoPipeline.from_pretrained(tiny_pipeline_folder)
    pipeline.curve_vae.mean[3:5] = torch.tensor([-1.5, 1.5])  # birth and death, beyond the clip
    pipeline.curve_vae.scale[3:5] = 0.05
    pipeline.curve_vae.register_to_config(stroke_quantile=0.9)
    folder = tmp_path_factory.mktemp("model") / "drawing"
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def drawing_studio(drawing_pipeline_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running studio whose only model draws something for every caption."""
    offers = [offer("drawing", drawing_pipeline_folder)]
    with served(lambda: offers, tmp_path_factory.mktemp("page") / "gallery") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium for the tests of a module; they are skipped where there is none."""
    with launched() as running:
        yield running


@pytest.fixture
def page(browser: Any, drawing_studio: Served) -> Iterator[Page]:
    """The studio's page in a new profile."""
    opened = Page(browser, drawing_studio.address).open()
    yield opened
    opened.close()
