"""The benchmark of limits: its experiments, and an end-to-end run with tiny networks on a few videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from benchmarks import limits
from benchmarks.drawing_control import DRAWING, drawing_registered
from benchmarks.limit_experiments import Experiment, experiments
from benchmarks.limit_training import RESULT, SHOWN, prepare, shrunk
from benchmarks.limits import COLUMNS, gain, main, plan
from sketch2video.controls import find_control
from sketch2video.data.clips import jobs
from sketch2video.data.clips.shards import ShardReader, read_table
from sketch2video.errors import UserError
from sketch2video.files import read_json
from sketch2video.media.writing import write_video
from sketch2video.params import load_params
from sketch2video.scenes.synthetic import combinations, render_scene, sample_scene
from tests.benchmarks.cells import cells_of

TRAIN, TEST = 6, 3
OBJECTS = 6
"""Of a scene, more than the strokes of the profile `smoke`."""
NAMES = ("default", "half", "drawing")


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of videos of the embedded scenes."""
    folder = tmp_path_factory.mktemp("videos")
    lines = ["path_to_video,caption,label,split"]
    for number in range(TRAIN + TEST):
        objects = [combinations()[(43 * number + 31 * one) % 216] for one in range(OBJECTS)]
        scene = sample_scene(np.random.default_rng(number), objects)
        write_video(folder / f"{number}.mp4", render_scene(scene, 48, 10).frames, 8.0)
        split = "train" if number < TRAIN else "test"
        lines.append(f"{number}.mp4,clip number {number},{'even' if number % 2 else 'odd'},{split}")
    (folder / "captions.csv").write_text("\n".join(lines) + "\n")
    return folder / "captions.csv"


@pytest.fixture(scope="module", autouse=True)
def one_process() -> Any:
    """Data stages in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "number_of_workers", lambda workers: 1)
        yield


@pytest.fixture(scope="module")
def output(captions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("limits")
    main(captions, only=list(NAMES), jobs=1, profile="smoke", data="few", output=folder / "limits")
    return folder / "limits_few"


def test_each_experiment_changes_what_its_title_says_alone(captions: Path, tmp_path: Path) -> None:
    def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in values.items():
            found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
        return found

    known = experiments(load_params())
    made = {
        name: flat(experiment.written_params(tmp_path / f"{name}.yaml", captions).model_dump(by_alias=True))
        for name, experiment in known.items()
    }
    changed = {
        name: {key: value for key, value in values.items() if value != made["default"][key]}
        for name, values in made.items()
    }
    defaults = load_params()
    assert made["default"]["ingest.folder"] == captions.parent.as_posix()
    assert changed["default"] == changed["half"] == changed["quarter"] == {}
    assert [known[name].share for name in ("default", "half", "quarter")] == [1.0, 0.5, 0.25]
    assert changed["numbers"] == {"fit.budget": 4 * defaults.fit.budget, "fit.strokes": 4 * defaults.fit.strokes}
    assert changed["sure"] == changed["drawing"] == {"video_ldm.sketch_corruption": 0.0}
    assert changed["fine"]["base.size"] == 128
    assert changed["longer"] == {
        f"{name}.training.steps": 3 * getattr(defaults, name).training.steps for name in ("autoencoder", "video_ldm")
    }
    for name in ("numbers", "longer"):
        assert all(f"`{key}: {value}`" in known[name].title for key, value in changed[name].items())


def test_every_experiment_has_a_result_of_the_same_held_out_clips(output: Path) -> None:
    results = read_json(output / "limits_few.json")
    assert {name: result["training_clips"] for name, result in results.items()} == {
        "default": TRAIN,
        "half": TRAIN // 2,
        "drawing": TRAIN,
    }
    assert len({tuple(result["psnr_small_of_clips"]) for result in results.values()}) == 1
    for result in results.values():
        assert (result["clips"], result["split"], result["size"]) == (TEST, "test", 32)
        clips = list(result["psnr_small_of_clips"].values())
        assert result["scores"]["psnr_small"]["value"] == pytest.approx(np.mean(clips))
        assert result["scores"]["psnr"]["value"] == pytest.approx(np.mean(clips)), "they have the size of the first"
        assert set(result["seconds"]) == {"text_encoder", "autoencoder", "latents", "video_ldm", "painting"}
        assert result["scores"]["drawing_f1"]["floor"] == pytest.approx(1.0), "a real clip has its own drawing"
    assert results["drawing"]["fit"] == {}
    assert results["default"]["fit"]["num_parameters"] > 0


def test_table_and_sheet_show_every_experiment(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, _, *rows = (output / "limits_few.md").read_text().splitlines()[: 2 + len(NAMES)]
    assert len(cells_of(head)) == len(COLUMNS) + 2
    titles = [known.title for name, known in experiments(load_params()).items() if name in NAMES]
    assert [cells_of(row)[0] for row in rows] == titles
    assert cells_of(rows[2])[3:7] == ["–"] * 4, "a drawing has no curves"
    sheet = np.asarray(Image.open(output / "sheet.png"))
    assert sheet.shape[1] > len(NAMES) * 2 * 128
    assert sheet.shape[0] > TEST * 3 * 128


def test_painted_clips_follow_what_the_experiment_gives(output: Path) -> None:
    runs = {name: next((output / "runs").glob(f"{name}-*")) for name in NAMES}
    shown = {name: load_file(folder / SHOWN) for name, folder in runs.items()}
    for tracks in shown.values():
        assert {tracks[name].shape for name in tracks} == {(TEST, 2, 32, 32, 3)}
        assert np.array_equal(tracks["real"], shown["default"]["real"])
    assert np.array_equal(shown["half"]["drawing"], shown["default"]["drawing"])
    assert not np.array_equal(shown["drawing"]["drawing"], shown["default"]["drawing"])
    assert not np.array_equal(shown["half"]["painted"], shown["default"]["painted"])


def test_finished_experiments_are_kept_and_others_removed(
    output: Path, captions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(captions, NAMES, "smoke", output)
    assert all(one.is_done for one in planned)
    monkeypatch.setattr(limits, "run_experiment", lambda *_: pytest.fail("it is done"))
    assert limits.run_all(planned, 1) == {}
    other = plan(captions, ["default"], "smoke", output)[0]._replace(folder=output / "runs" / "default-other")

    def refuse(*_: object) -> None:
        raise UserError("no space")

    monkeypatch.setattr(limits, "run_experiment", refuse)
    assert limits.run_all([other], 1) == {"default": "no space"}
    assert not (planned[0].folder / RESULT).exists(), "the run of other code is removed"


def test_a_smaller_share_is_a_part_of_a_larger_one(captions: Path, tmp_path: Path) -> None:
    params = Experiment("default", "").written_params(tmp_path / "params.yaml", captions, "smoke")
    made: set[Path] = set()
    whole, half, some = (
        prepare(Experiment(f"share{share:.0%}", "", share=share), params, tmp_path / "data", made)
        for share in (1.0, 0.5, 0.34)
    )
    tables = [read_table(data.curves / "curves.parquet") for data in (whole, half, some)]
    ids = [set(table["clip_id"]) for table in tables]
    assert ids[2] < ids[1] < ids[0]
    assert [(table["split"] == "test").sum() for table in tables] == [TEST] * 3
    for data, name in ((half.clips, "frames"), (half.sketches, "ink"), (half.curves, "visibility")):
        source = {half.clips: whole.clips, half.sketches: whole.sketches, half.curves: whole.curves}[data]
        rows = tables[1]
        assert np.array_equal(ShardReader(data).batch(name, rows), ShardReader(source).batch(name, rows))


def test_more_numbers_fit_the_same_drawings_better(captions: Path, tmp_path: Path) -> None:
    fits, made = [], set()
    known = experiments(Experiment("default", "").written_params(tmp_path / "first.yaml", captions, "smoke"))
    for name in ("default", "numbers"):
        params = known[name].written_params(tmp_path / f"{name}.yaml", captions, "smoke")
        fits.append(prepare(known[name], params, tmp_path / "data", made))
    assert fits[0].sketches == fits[1].sketches
    few, many = (read_table(data.curves / "curves.parquet").mean(numeric_only=True) for data in fits)
    assert many["strokes"] > 1.2 * few["strokes"]
    assert many["ink_to_curve_px"] < few["ink_to_curve_px"]


def test_the_drawing_is_a_control_for_a_while() -> None:
    with drawing_registered():
        assert find_control("drawing") is DRAWING
    with pytest.raises(UserError, match="no control drawing"):
        find_control("drawing")


def test_gain_is_the_mean_difference_of_the_same_clips() -> None:
    reference = {"psnr_small_of_clips": {"a": 20.0, "b": 22.0, "c": 21.0}}
    better = {"psnr_small_of_clips": {"b": 23.0, "c": 22.0, "a": 21.0}}
    assert gain(better, reference) == "+1.00 [+1.00, +1.00]"
    assert gain(reference, reference) == gain(better, None) == "–"


def test_frames_are_shrunk_by_area() -> None:
    clips = np.zeros((2, 3, 4, 4, 3), np.uint8)
    clips[..., ::2, :] = 200
    assert (shrunk(clips, 2) == 100).all()
    assert shrunk(clips, 4) is clips


def test_an_unknown_experiment_is_named(captions: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no experiment 'half-baked'; choose from default, half"):
        plan(captions, ["half-baked"], None, tmp_path)
