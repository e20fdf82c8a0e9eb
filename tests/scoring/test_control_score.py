"""``sketch2video score --control`` on videos with drawings, as batch generation writes them."""

import json
import sys

import numpy as np
import pytest

from sketch2video.curves import CurveSequence, fit_curves
from sketch2video.errors import UserError
from sketch2video.generation.layout import ENDINGS, SKETCH_ENDINGS, VideoFiles, write_manifest
from sketch2video.generation.videos import Video as Made
from sketch2video.media.writing import write_video
from sketch2video.scenes.synthetic import combinations, render_scene, sample_scene
from sketch2video.scoring.control_extractor import control_extractor, measures_of, natural_size
from sketch2video.scoring.features import Video, extract
from sketch2video.scoring.fidelity import fidelity, lines_of_curves, lines_of_ink
from sketch2video.scoring.score import ScoreRequest, score_sets, table
from sketch2video.scoring.video_sets import list_videos
from sketch2video.sketches import extract_sketches

SIZE, FRAMES, CLIPS = 64, 6, 3


def moved(curves, px):
    """The same drawing, ``px`` further down."""
    shift = np.zeros_like(curves.coefficients)
    shift[..., 1, 0] = px / SIZE
    return CurveSequence(curves.coefficients + shift * curves.visible[..., None, None], curves.visibility)


@pytest.fixture(scope="module")
def clips():
    scenes = [sample_scene(np.random.default_rng([9, i]), [combinations()[(53 * i) % 216]]) for i in range(CLIPS)]
    frames = [render_scene(scene, SIZE, FRAMES).frames for scene in scenes]
    return frames, [fit_curves(extract_sketches(clip)) for clip in frames]


@pytest.fixture(scope="module")
def folders(clips, tmp_path_factory):
    """``real`` videos, and ``generated`` and ``moved`` ones with their drawings, those of the latter 2 px too low."""
    root = tmp_path_factory.mktemp("control")
    frames, curves = clips
    for i in range(CLIPS):
        (root / "real").mkdir(exist_ok=True)
        write_video(root / "real" / f"{i}.mp4", frames[i], 8.0)
    for name, shift in (("generated", 0.0), ("moved", 2.0)):
        rows = []
        for i in range(CLIPS):
            files = VideoFiles(i, f"{i:012d}", f"a caption {i}", root / name, ENDINGS | SKETCH_ENDINGS)
            files.write(Made(frames[i], moved(curves[i], shift), 8.0))
            rows.append({"caption": f"a caption {i}", **{key: path.name for key, path in files.paths.items()}})
        write_manifest(root / name, rows)
    return root


def scored(real, generated, cache, size=SIZE):
    request = ScoreRequest(control_extractor(FRAMES, size), drawings=True)
    return score_sets(list_videos(real), list_videos(generated), [request], cache, bootstrap=20)


def test_videos_are_as_near_to_their_drawings_as_before_they_were_files(folders, clips, tmp_path):
    scores, left_out = scored(folders / "real", folders / "generated", tmp_path)
    assert left_out == {"control": {}}
    asked = [lines_of_curves(curves, SIZE, SIZE) for curves in clips[1]]
    found = [lines_of_ink(extract_sketches(frames), SIZE) for frames in clips[0]]
    expected = fidelity(asked, found, SIZE)
    # Videos and drawings were compressed, and drawings traced again.
    assert scores["control_px"].value == pytest.approx(expected.px.mean(), abs=0.12)
    assert scores["control_found"].value == pytest.approx(expected.asked_near.mean(), abs=0.02)
    assert scores["control_f1"].value == pytest.approx(expected.f1.mean(), abs=0.05)
    assert scores["control_px_real"].value == pytest.approx(scores["control_px"].value, abs=0.12)
    assert (scores["control_px"].generated, scores["control_px"].real) == (CLIPS, None)
    assert (scores["control_px_real"].generated, scores["control_px_real"].real) == (None, CLIPS)
    assert scores["control_px"].protocol["size"] == SIZE
    assert "control, 6 frames (spread), middle_square to 64" in table(scores)


def test_drawings_that_lie_elsewhere_are_not_followed(folders, tmp_path):
    scores, _ = scored(folders / "real", folders / "moved", tmp_path)
    assert scores["control_px"].value > scores["control_px_real"].value + 0.6
    assert scores["control_f1"].value < scores["control_f1_real"].value - 0.2


def test_measures_are_kept_by_video_and_drawing(folders, tmp_path, monkeypatch):
    calls = []
    extractor = control_extractor(FRAMES, SIZE)
    read = extractor.read

    def counted(*files):
        calls.append([file.name for file in files])
        return read(*files)

    object.__setattr__(extractor, "read", counted)
    first = extract(extractor, list_videos(folders / "generated"), tmp_path)
    assert [len(files) for files in calls] == [2] * CLIPS
    again = extract(extractor, list_videos(folders / "generated"), tmp_path)
    assert len(calls) == CLIPS
    np.testing.assert_array_equal(again.features, first.features)
    other = extract(extractor, list_videos(folders / "moved"), tmp_path)  # the same videos, other drawings
    assert len(calls) == 2 * CLIPS
    assert (measures_of(other.features).px > measures_of(first.features).px).all()
    extract(extractor, [Video(video.path) for video in list_videos(folders / "generated")], tmp_path)
    assert [len(files) for files in calls[2 * CLIPS :]] == [1] * CLIPS


def test_other_drawings_are_left_out_with_the_reason(folders, clips, tmp_path):
    real = sorted((folders / "real").glob("*.mp4"))
    write_video(tmp_path / "short.mp4", np.full((FRAMES - 1, 64, 64, 3), 255, np.uint8), 8.0)
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    drawing = list_videos(folders / "generated")[0].control
    rows = [
        (list_videos(folders / "generated")[0].path, drawing),
        (real[0], tmp_path / "short.mp4"),
        (real[1], tmp_path / "broken.mp4"),
        (real[2], real[2]),
        (real[0], ""),
    ]
    lines = [f"{video},{control}" for video, control in rows]
    (tmp_path / "set.csv").write_text("\n".join(["path_to_video,path_to_control", *lines]))
    scores, left_out = scored(folders / "real", tmp_path / "set.csv", tmp_path / "cache")
    assert scores["control_px"].generated == 1
    reasons = left_out["control"]
    assert reasons[str(real[1])].startswith(f"cannot be compared: its drawing {tmp_path}/broken.mp4 cannot be opened")
    assert reasons[str(real[2])].endswith("is no line drawing")
    assert reasons[str(real[0])] == "has no drawing"
    with pytest.raises(UserError, match="path_to_video,path_to_control"):
        scored(folders / "real", folders / "real", tmp_path / "cache")


def test_frames_are_compared_in_the_size_of_the_videos(folders, tmp_path):
    assert natural_size(list_videos(folders / "real")) == SIZE
    assert natural_size([Video(tmp_path / "missing.mp4"), *list_videos(folders / "real")]) == SIZE
    write_video(tmp_path / "large.mp4", np.zeros((2, 300, 400, 3), np.uint8), 8.0)
    assert natural_size([Video(tmp_path / "large.mp4")]) == 256


def test_the_command_scores_how_drawings_are_followed(folders, tmp_path, monkeypatch, capsys):
    from sketch2video.cli import main

    monkeypatch.chdir(tmp_path)
    command = ["sketch2video", "score", folders / "real", folders / "generated", "--control", "--frames", FRAMES]
    for options, size in (([], SIZE), (["--control-size", 48], 48)):
        monkeypatch.setattr(sys, "argv", [*map(str, [*command, "--cache", "cache", "--bootstrap", 10, *options])])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 0, capsys.readouterr().err
        scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
        names = [f"{name}{end}" for name in ("control_px", "control_found", "control_f1") for end in ("", "_real")]
        assert sorted(scores) == sorted(names)
        assert scores["control_px"]["protocol"]["size"] == size
        assert scores["control_px"]["interval"][0] < scores["control_px"]["value"]
