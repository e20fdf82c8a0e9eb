"""A studio with tiny models, served on a free port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
