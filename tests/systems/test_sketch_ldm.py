import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from diffusers import FlowMatchHeunDiscreteScheduler

from sketch2video.curves import CurveSequence, fit_curves
from sketch2video.errors import UserError
from sketch2video.systems import SketchToVideoPipeline
from sketch2video.systems.loading import load_pipeline
from sketch2video.systems.sketch_ldm.pipeline import assemble

CAPTIONS = ["a red circle moves left to right", "a blue star grows"]


@pytest.fixture(scope="module")
def pipeline(tiny_pipeline_folder: Path) -> SketchToVideoPipeline:
    """Untrained, but with weights away from their initial zeros, so that every condition has influence."""
    loaded = SketchToVideoPipeline.from_pretrained(tiny_pipeline_folder)
    loaded.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    for parameter in loaded.transformer.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return loaded


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def drawing(frames: int, size: int) -> np.ndarray:
    """A bar that moves to the right: uint8 (T, size, size)."""
    ink = np.zeros((frames, size, size), np.uint8)
    for t in range(frames):
        ink[t, size // 4 : -size // 4, size // 4 + t] = 255
    return ink


def test_videos_curves_and_drawings_belong_together(pipeline) -> None:
    out = pipeline(CAPTIONS, num_inference_steps=2, generator=seeded(0, 1))
    assert out.frames.shape == (2, 8, 32, 32, 3)
    assert out.frames.dtype == np.float32
    assert 0 <= out.frames.min() < out.frames.max() <= 1
    assert out.sketches.dtype == np.uint8
    for curves, sketch in zip(out.curves, out.sketches, strict=True):
        assert curves.num_parameters < 300
        np.testing.assert_array_equal(curves.render(32, 32), sketch)


def test_all_frames_of_a_video_have_one_texture(pipeline) -> None:
    arguments = {"num_inference_steps": 2, "sketches": np.stack([drawing(8, 32)] * 2)}
    textured = pipeline(CAPTIONS, generator=seeded(0, 1), output_type="pt", **arguments).frames
    latents = pipeline(CAPTIONS, generator=seeded(0, 1), output_type="latent", **arguments).frames
    ink = torch.from_numpy(arguments["sketches"]).unsqueeze(2) / 255
    plain = pipeline.decode_videos(latents, ink) / 2 + 0.5
    features = pipeline.autoencoder.features(latents.flatten(0, 1), ink.flatten(0, 1))
    amplitude = pipeline.autoencoder.texture.amplitude(features).unflatten(0, (2, 8))
    field = 2 * (textured - plain) / amplitude
    inside = (textured > 0.01) & (textured < 0.99)  # pixels are clamped
    spread = torch.where(inside, field, torch.nan).nanmedian(1, keepdim=True).values
    assert inside.float().mean() > 0.5
    torch.testing.assert_close(field[inside], spread.expand_as(field)[inside], atol=5e-3, rtol=0)
    assert 0.5 < spread[0][~spread[0].isnan()].std() < 1.5
    assert (spread[0] - spread[1])[~(spread[0] + spread[1]).isnan()].abs().mean() > 0.5  # each video has its own


def test_a_video_depends_on_its_seed_and_not_on_its_batch(pipeline) -> None:
    together = pipeline([*CAPTIONS, CAPTIONS[0]], num_inference_steps=2, generator=seeded(5, 6, 7)).frames
    alone = pipeline(CAPTIONS[1], num_inference_steps=2, generator=seeded(6)).frames
    np.testing.assert_allclose(together[1:2], alone, atol=0.05)  # sums in bfloat16 round by the size of a batch
    assert np.abs(together[1:2] - alone).mean() < 0.1 * np.abs(together[0] - together[2]).mean()


def test_a_new_process_makes_the_same_video(tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys, numpy, torch; from sketch2video.systems import SketchToVideoPipeline as P;"
        "p = P.from_pretrained(sys.argv[1]); g = [torch.Generator().manual_seed(3)];"
        "numpy.save(sys.argv[2], p('a blue star grows', num_inference_steps=2, generator=g).frames)"
    )
    file = tmp_path / "frames.npy"
    subprocess.run([sys.executable, "-c", script, tiny_pipeline_folder, file], check=True, capture_output=True)
    here = SketchToVideoPipeline.from_pretrained(tiny_pipeline_folder)
    np.testing.assert_allclose(
        np.load(file), here("a blue star grows", num_inference_steps=2, generator=seeded(3)).frames, atol=1e-5
    )
    assert not [path for path in tiny_pipeline_folder.rglob("*") if path.suffix in {".bin", ".pt", ".pkl"}]


def test_the_users_own_drawing_is_followed(pipeline) -> None:
    ink = drawing(6, 32)
    out = pipeline(CAPTIONS[0], sketches=ink[None], num_inference_steps=2, generator=seeded(0))
    blank = pipeline(CAPTIONS[0], sketches=np.zeros_like(ink)[None], num_inference_steps=2, generator=seeded(0))
    assert out.frames.shape == (1, 6, 32, 32, 3)
    np.testing.assert_array_equal(out.sketches[0], ink)
    assert out.curves is None
    assert np.abs(out.frames - blank.frames).max() > 0.01


@pytest.mark.parametrize("size", [16, 128])
def test_a_drawing_of_another_size_is_resized(pipeline, size: int) -> None:
    out = pipeline(sketches=drawing(2, size)[None], num_inference_steps=1)
    assert out.sketches.shape == (1, 2, 32, 32)
    assert out.sketches.max() > 100, "thin lines must not fade away"


def test_the_users_own_curves_are_drawn(pipeline) -> None:
    coefficients = np.zeros((3, 1, 2, 4), np.float32)
    coefficients[:, 0, :, :2] = [[0.5, 0.3], [0.5, 0.0]]
    curves = CurveSequence(coefficients, np.ones((3, 1), np.float32))
    out = pipeline(curves=[curves, curves], num_inference_steps=1)
    assert out.frames.shape == (2, 3, 32, 32, 3)
    np.testing.assert_array_equal(out.sketches[1], curves.render(32, 32))


def distance(ink: np.ndarray, other: np.ndarray) -> float:
    """Mean distance in px from each pixel of a drawing to the other one."""
    away = cv2.distanceTransform((other < 128).astype(np.uint8), cv2.DIST_L2, 5)
    return float(away[ink > 127].mean())


def test_drawings_of_some_frames_are_drawn_as_they_are(pipeline) -> None:
    ink = drawing(8, 64)
    out = pipeline(CAPTIONS, sketches={0: ink[0], 7: ink[7]}, num_inference_steps=1, generator=seeded(0, 1))
    assert out.frames.shape == (2, 8, 32, 32, 3)
    for curves in out.curves:
        drawn = curves.render(64, 64)
        for frame in (0, 7):
            assert distance(ink[frame], drawn[frame]) < 1.5
            assert distance(drawn[frame], ink[frame]) < 1.5
    one = pipeline(CAPTIONS, sketches={3: np.stack([ink[0], ink[7]])}, num_inference_steps=1, generator=seeded(0, 1))
    assert distance(ink[7], one.curves[1].render(64, 64)[3]) < 1.5 < distance(ink[0], one.curves[1].render(64, 64)[3])


def test_curves_of_some_frames_are_drawn_as_they_are(pipeline) -> None:
    def line(x: float) -> CurveSequence:
        coefficients = np.zeros((1, 2, 2, 4), np.float32)
        coefficients[0, 1, :, :2] = [[x, 0.2], [0.5, 0.1]]
        return CurveSequence(coefficients, np.array([[0, 1]], np.float32))

    given = {7: [line(0.6), line(0.7)], 0: line(0.3)}
    out = pipeline(CAPTIONS, num_frames=8, curves=given, num_inference_steps=1, generator=seeded(0, 1))
    for curves, last in zip(out.curves, given[7], strict=True):
        assert len(curves) == 8
        for frame, expected in ((0, given[0]), (7, last)):
            assert curves.visible[frame].sum() == 1
            drawn = curves.coefficients[frame, curves.visible[frame], :, :4]
            np.testing.assert_allclose(drawn[0], expected.coefficients[0, 1], atol=1e-4)
    by_sketch = pipeline(CAPTIONS[0], sketches={0: drawing(1, 64)[0]}, num_inference_steps=1, generator=seeded(0))
    by_curves = pipeline(
        CAPTIONS[0],
        curves={0: fit_curves(drawing(1, 64), harmonics=pipeline.curve_vae.config.harmonics)},
        num_inference_steps=1,
        generator=seeded(0),
    )
    np.testing.assert_array_equal(by_sketch.curves[0].coefficients, by_curves.curves[0].coefficients)


def test_given_strokes_are_kept_and_others_come_beside_them(pipeline) -> None:
    coefficients = np.zeros((8, 1, 2, 4), np.float32)
    coefficients[:, 0, :, :2] = [[0.5, 0.3], [0.5, 0.1]]
    given = CurveSequence(coefficients, np.ones((8, 1), np.float32))
    out = pipeline(CAPTIONS[0], strokes=[given], num_inference_steps=1, generator=seeded(0))
    assert out.curves[0].visibility[:, 0].all()
    np.testing.assert_allclose(out.curves[0].coefficients[:, 0, :, :4], coefficients[:, 0], atol=1e-3)


@pytest.mark.parametrize("scale", ["guidance_scale", "control_guidance_scale"])
def test_guidance_changes_the_video(pipeline, scale: str) -> None:
    arguments = {"sketches": drawing(4, 32)[None], "num_inference_steps": 2, "guidance_scale": 1.0}
    plain = pipeline(CAPTIONS[0], **arguments, generator=seeded(0)).frames
    pushed = pipeline(CAPTIONS[0], **{**arguments, scale: 5.0}, generator=seeded(0)).frames
    assert np.abs(plain - pushed).max() > 0.01


@pytest.mark.parametrize(("scale", "as_in_training"), [(1.0, False), (0.0, True)])
def test_sampling_starts_from_less_noise_where_the_drawing_is_seen(
    pipeline, monkeypatch: pytest.MonkeyPatch, scale: float, as_in_training: bool
) -> None:
    def latents(noise_scales: tuple[float, float]) -> np.ndarray:
        monkeypatch.setitem(pipeline.transformer._internal_dict, "noise_scales", noise_scales)
        arguments = {"num_inference_steps": 2, "control_guidance_scale": scale, "output_type": "latent"}
        return pipeline(CAPTIONS[0], sketches=drawing(4, 32)[None], **arguments, generator=seeded(0)).frames

    assert np.array_equal(latents((1.0, 1.0)), latents((0.5, 0.0))) == as_in_training


def test_the_caption_and_the_frame_rate_matter(pipeline) -> None:
    arguments = {"sketches": drawing(4, 32)[None], "num_inference_steps": 2}
    first = pipeline(CAPTIONS[0], **arguments, generator=seeded(0)).frames
    other = pipeline(CAPTIONS[1], **arguments, generator=seeded(0)).frames
    faster = pipeline(CAPTIONS[0], **arguments, fps=30.0, generator=seeded(0)).frames
    assert np.abs(first - other).max() > 0.005
    assert np.abs(first - faster).max() > 0.005


def test_without_captions_there_are_videos_of_anything(pipeline) -> None:
    out = pipeline(num_videos=3, num_frames=5, num_inference_steps=1, generator=seeded(0, 1, 2))
    assert out.frames.shape == (3, 5, 32, 32, 3)
    arguments = {"sketches": drawing(4, 32)[None], "num_inference_steps": 2, "guidance_scale": 1.0}
    anything = pipeline(**arguments, generator=seeded(0)).frames
    captioned = pipeline(CAPTIONS[0], **arguments, generator=seeded(0)).frames
    assert np.abs(anything - captioned).max() > 0.005


@pytest.mark.parametrize(("output_type", "shape"), [("pt", (1, 2, 3, 32, 32)), ("latent", (1, 2, 4, 8, 8))])
def test_tensors_come_in_diffusers_order(pipeline, output_type: str, shape: tuple[int, ...]) -> None:
    frames = pipeline(CAPTIONS[0], num_frames=2, num_inference_steps=1, output_type=output_type).frames
    assert isinstance(frames, torch.Tensor)
    assert frames.shape == shape


def test_images_and_tuples_are_given_as_in_diffusers(pipeline) -> None:
    frames, curves, sketches = pipeline(
        CAPTIONS, num_frames=3, num_inference_steps=1, output_type="pil", return_dict=False
    )
    assert [len(video) for video in frames] == [3, 3]
    assert frames[0][0].size == (32, 32)
    assert len(curves) == len(sketches) == 2


def still(frames: int, strokes: int = 1) -> CurveSequence:
    """Equal strokes in every frame."""
    return CurveSequence(np.full((frames, strokes, 2, 2), 0.3, np.float32), np.ones((frames, strokes), np.float32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"captions": ["a star", " "]}, "a caption is ' '; give words"),
        ({"captions": []}, "numbers of videos disagree or are zero: captions 0"),
        ({"captions": CAPTIONS, "generator": [torch.Generator()]}, "captions 2, generator 1"),
        ({"captions": CAPTIONS, "num_videos": 3}, "captions 2, num_videos 3"),
        ({"captions": CAPTIONS, "sketches": np.zeros((1, 2, 8, 8), np.uint8)}, "captions 2, sketches 1"),
        ({"sketches": np.zeros((1, 2, 8, 8), np.float32)}, r"float32 .* expected square uint8 \(N, T, H, H\)"),
        ({"sketches": np.zeros((1, 2, 8, 9), np.uint8)}, "expected square uint8"),
        ({"sketches": np.zeros((1, 2, 8, 8), np.uint8), "num_frames": 5}, "num_frames is 5, but the drawings have 2"),
        ({"sketches": np.zeros((1, 2, 8, 8), np.uint8), "curves": []}, "give one of them"),
        ({"sketches": {}}, "sketches is empty; name at least one frame"),
        ({"sketches": {0: np.zeros((8, 9), np.uint8)}}, r"sketches\[0\] is uint8 \(8, 9\), expected square"),
        ({"sketches": {0: np.zeros((2, 8, 8), np.uint8), 1: np.zeros((3, 8, 8), np.uint8)}}, "as many for each frame"),
        ({"curves": {}}, "curves is empty; name at least one frame"),
        ({"curves": {0: still(2)}}, r"curves\[0\] has 2 frames; give the one frame"),
        ({"curves": {0: [still(1), still(3)]}, "captions": CAPTIONS}, r"curves\[0\] has 3 frames"),
        ({"curves": {0: [still(1)] * 3}, "captions": CAPTIONS}, "captions 2, curves 3"),
        ({"curves": {8: still(1)}}, "those of a clip are 0 to 7"),
        ({"curves": {2: still(1, 4)}}, "frame 2 has 4 strokes, and the network draws at most 3 a clip"),
        ({"sketches": {9: np.zeros((8, 8), np.uint8)}}, "those of a clip are 0 to 7"),
        ({"sketches": {0: np.zeros((3, 8, 8), np.uint8)}, "captions": CAPTIONS}, "captions 2, sketches 3"),
        ({"sketches": {0: np.zeros((8, 8), np.uint8)}, "curves": []}, "sketches and curves were given"),
        ({"num_frames": -1}, "num_frames is -1; it must be at least 1"),
        ({"num_inference_steps": 0}, "num_inference_steps is 0; it should be"),
        ({"fps": 0.0}, "fps is 0.0; it must be above 0"),
        ({"output_type": "gif"}, "choose np, pt, pil or latent"),
    ],
)
def test_arguments_that_do_not_belong_together_are_refused(pipeline, arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pipeline(**arguments)


def test_the_parts_are_assembled(tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    parts = {"curve_vae": "curve_vae", "autoencoder": "autoencoder", "video_ldm": "transformer"}
    folders = {name: tiny_pipeline_folder / folder for name, folder in parts.items()}
    shutil.copytree(tiny_pipeline_folder / "text_encoder", tmp_path / "text")
    shutil.copytree(tiny_pipeline_folder / "tokenizer", tmp_path / "text", dirs_exist_ok=True)
    assemble(tmp_path / "pipeline", text_encoder=tmp_path / "text", **folders)

    arguments = {"captions": CAPTIONS[0], "num_inference_steps": 1}
    first, second = (
        SketchToVideoPipeline.from_pretrained(folder)(**arguments, generator=seeded(1)).frames
        for folder in (tiny_pipeline_folder, tmp_path / "pipeline")
    )
    np.testing.assert_array_equal(first, second)

    how = {"num_inference_steps": 5, "guidance_scale": 2.0, "control_guidance_scale": 0.5}
    assemble(tmp_path / "pipeline", text_encoder=tmp_path / "text", **folders, sampling=how, sampler="heun")
    written = load_pipeline(tmp_path / "pipeline")
    assert written.config.sampling == how
    assert isinstance(written.scheduler, FlowMatchHeunDiscreteScheduler)

    with pytest.raises(UserError, match="nowhere cannot be loaded as VideoTransformer"):
        assemble(tmp_path / "other", text_encoder=tmp_path / "text", **{**folders, "video_ldm": tmp_path / "nowhere"})
    assert not (tmp_path / "other").exists()


def test_a_pipeline_with_strokes_by_slot_is_too_old(tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(tiny_pipeline_folder, folder)
    index = json.loads((folder / "model_index.json").read_text())
    index["curve_vae"] = ["sketch2video.models.curve_vae", "CurveVAE"]
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(
        UserError, match="saved by an older version, whose curve VAE drew strokes by slot; train it again"
    ):
        load_pipeline(folder)
