"""The figure of the spectrum along time, of an untrained network."""

from pathlib import Path

from PIL import Image

from benchmarks.spectrum import main
from sketch2video.diffusion.video_transformer import VideoTransformer


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    network = VideoTransformer(
        width=16, layers=1, heads=2, text_width=8, temporal_deviations=[3.0, 1.0, 0.3, 0.1], whitening=0.5
    )
    network.save_pretrained(tmp_path / "model")
    main(tmp_path / "model", 4, tmp_path / "spectrum.png")
    with Image.open(tmp_path / "spectrum.png") as picture:
        assert picture.width > 2 * picture.height
