import numpy as np
import pytest
import torch

from sketch2video.sketches.learned import extract_sketches_learned, ink_probability
from sketch2video.sketches.network import Sketcher


def test_frames_are_drawn_one_by_one_and_in_parts_alike():
    torch.manual_seed(0)
    model = Sketcher(8).eval()
    frames = np.random.default_rng(0).integers(0, 256, (19, 20, 26, 3), np.uint8)
    together = ink_probability(frames, model)
    assert together.shape == (19, 20, 26)
    alone = np.concatenate([ink_probability(frame[None], model) for frame in frames])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    with torch.no_grad():
        logits = model(torch.from_numpy(frames).movedim(-1, 1) / 127.5 - 1)
    np.testing.assert_allclose(together, logits[:, 0].sigmoid(), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 3, 5, 3), (0, 16, 16, 3)])
def test_tiny_and_empty_clips_work(shape):
    ink = extract_sketches_learned(np.zeros(shape, np.uint8), Sketcher(8).eval(), threshold=0.5, min_length=0.1)
    assert ink.shape == shape[:3]
    assert ink.dtype == np.uint8
