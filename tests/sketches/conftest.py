from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write_model() -> Callable[[Path, int], None]:
    """Write a network of random weights as ``train_sketcher`` leaves a trained one."""

    def write(folder: Path, seed: int) -> None:
        import torch

        from sketch2video.sketches.learned import write_description
        from sketch2video.sketches.network import Sketcher

        torch.manual_seed(seed)
        model = Sketcher(8)
        torch.nn.init.normal_(model.head[2].weight)  # bold enough to draw something
        model.save_pretrained(folder)
        write_description(folder, True)

    return write
