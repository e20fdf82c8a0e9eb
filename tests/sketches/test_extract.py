from pathlib import Path

import numpy as np
import pytest

from sketch2video.errors import UserError
from sketch2video.files import write_json
from sketch2video.params import load_params
from sketch2video.sketches import draw_lines, extract_sketches, made_by
from sketch2video.sketches.learned import DESCRIPTION, extract_sketches_learned
from sketch2video.sketches.network import load_sketcher

CLASSICAL = load_params(Path(__file__).parents[2] / "params.yaml").sketch
LEARNED = CLASSICAL.model_copy(update={"extractor": "learned", "threshold": 0.5})
FRAMES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)


def test_the_parameters_choose_the_extractor(tmp_path, write_model):
    write_model(tmp_path, 0)
    settings = {"threshold": LEARNED.threshold, "min_length": LEARNED.min_length}
    learned = extract_sketches_learned(FRAMES, load_sketcher(tmp_path), **settings)
    assert learned.any()
    np.testing.assert_array_equal(draw_lines(FRAMES, LEARNED, tmp_path), learned)
    np.testing.assert_array_equal(draw_lines(FRAMES, CLASSICAL, tmp_path), extract_sketches(FRAMES))


def test_another_network_draws_otherwise_and_has_another_key(tmp_path, write_model):
    drawn, keys = [], []
    for seed in (0, 1):
        write_model(tmp_path, seed)
        drawn.append(draw_lines(FRAMES, LEARNED, tmp_path))
        keys.append(made_by(LEARNED, tmp_path))
    assert not np.array_equal(*drawn)
    assert keys[0] != keys[1]
    assert keys[1] == made_by(LEARNED, tmp_path)


def test_a_key_holds_what_its_extractor_reads_and_no_more(tmp_path, write_model):
    write_model(tmp_path, 0)

    def same(sketch, **changes):
        return made_by(sketch, tmp_path) == made_by(sketch.model_copy(update=changes), tmp_path)

    assert same(CLASSICAL, threshold=0.1)
    assert same(LEARNED, contrast=0.1, smoothing=0.0)
    assert not same(CLASSICAL, contrast=0.1)
    assert not same(LEARNED, threshold=0.1)
    assert not same(LEARNED, min_length=0.5)
    assert not same(CLASSICAL, extractor="learned")


@pytest.mark.parametrize("description", [None, {"trained": False, "reason": "sketch.extractor is classical"}])
def test_without_a_trained_network_it_says_what_to_do(tmp_path, description):
    if description:
        write_json(tmp_path / DESCRIPTION, description)
    with pytest.raises(
        UserError, match=r"holds no trained sketcher; run `dvc repro train_sketcher` or choose classical"
    ):
        draw_lines(FRAMES, LEARNED, tmp_path)
    assert made_by(LEARNED, tmp_path)["model"] is None
