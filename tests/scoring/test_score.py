"""Scores of two folders: what is read, kept, compared and refused."""

import dataclasses
import hashlib
import json
import re
import shutil
import sys

import numpy as np
import pytest
import torch

from sketch2video.errors import UserError
from sketch2video.files import read_json, write_json
from sketch2video.judges.shipped import load_judge
from sketch2video.judges.trained.description import read_description, write_description
from sketch2video.judges.trained.video_judge import load_trained_judge
from sketch2video.judges.verdict import judge_clips
from sketch2video.media.codec import read_clip, read_excerpt
from sketch2video.scoring.extractors import c3d_extractor, embedded_extractor, i3d_extractor, label_extractor
from sketch2video.scoring.features import Extractor, FeatureSet, Protocol, Video, extract
from sketch2video.scoring.metrics import frechet_distance, inception_score, kernel_distance
from sketch2video.scoring.requested import requested_scores
from sketch2video.scoring.score import FVD_AND_KVD, ScoreRequest, SetScore, as_json, compare, score_sets, table
from sketch2video.scoring.video_sets import list_videos
from tests.judges.untrained import untrained_judge
from tests.media.small_videos import encode, noisy, numbered

PROTOCOL = Protocol("means", "0" * 64, 4, "first", 1, "straight", 8, "mean and spread of each channel")


def means_extractor(calls=None, protocol=PROTOCOL, batch=3):
    """An extractor whose features are known: each channel's mean and standard deviation over the frames."""

    def features(videos):
        if calls is not None:
            calls.append(len(videos))
        x = videos.float().flatten(1, 3) / 255
        return torch.cat([x.mean(1), x.std(1)], 1)

    return Extractor(protocol, lambda path: read_excerpt(path, 4), features, batch)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of short noisy videos, some in a folder below."""
    root = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(0)
    for name, number, shift in (("real", 9, 0), ("generated", 7, 40)):
        (root / name / "below").mkdir(parents=True)
        for i in range(number):
            tint = rng.integers(0, 100, 3) + shift
            pictures = [(picture // 2 + tint).astype(np.uint8) for picture in noisy(6, 16, 24)]
            encode(root / name / ("below" if i % 3 == 0 else ".") / f"{i}.mp4", pictures)
    return root


def set_of(features, protocol=PROTOCOL):
    names = [f"{i:03d}" for i in range(len(features))]
    return FeatureSet(protocol, np.asarray(features, np.float32), [Video(n) for n in names], names)


def test_videos_are_found_in_folders_and_csvs(folders, tmp_path):
    found = list_videos(folders / "real")
    assert len(found) == 9
    assert found == sorted(found, key=lambda video: video.path)
    (folders / "real" / "notes.txt").write_text("no video")
    assert list_videos(folders / "real") == found
    table = tmp_path / "set.csv"
    table.write_text(f"path_to_video,caption\n{found[0].path}, a  red circle\nbelow/other.mp4,\n")
    assert list_videos(table) == [Video(found[0].path, "a red circle"), Video(tmp_path / "below/other.mp4", None)]
    (tmp_path / "bad.csv").write_text("video\nx.mp4\n")
    (tmp_path / "empty").mkdir()
    for name, words in (("bad.csv", "path_to_video"), ("empty", "no video"), ("nowhere", "neither")):
        with pytest.raises(UserError, match=words):
            list_videos(tmp_path / name)


def test_a_video_of_a_folder_is_found_by_its_ending_or_its_content(folders, tmp_path):
    video = next(path for path in sorted((folders / "real").rglob("*")) if path.suffix == ".mp4")
    for name in ("a.m4v", "b.MTS", "c.3gp", "d.wmv", "e"):
        shutil.copy(video, tmp_path / name)
    (tmp_path / "notes.txt").write_text("a note")
    assert [one.path.name for one in list_videos(tmp_path)] == ["a.m4v", "b.MTS", "c.3gp", "d.wmv", "e"]


def test_features_are_made_once_a_content_and_protocol(folders, tmp_path):
    calls = []
    videos = list_videos(folders / "real")
    first = extract(means_extractor(calls), videos, tmp_path / "cache")
    assert calls == [3, 3, 3]
    expected = [read_excerpt(video.path, 4).reshape(-1, 3) / 255 for video in videos]
    np.testing.assert_allclose(first.features[:, :3], [x.mean(0) for x in expected], rtol=1e-5)
    copy = shutil.copy(videos[4].path, tmp_path / "another-name.mp4")
    again = extract(means_extractor(calls), [Video(copy), *videos[:2]], tmp_path / "cache")
    assert calls == [3, 3, 3]
    np.testing.assert_array_equal(again.features, first.features[[4, 0, 1]])
    other = dataclasses.replace(PROTOCOL, resize="corners")
    extract(means_extractor(calls, other), videos[:1], tmp_path / "cache")
    assert calls == [3, 3, 3, 1]


def test_what_cannot_be_used_is_left_out_with_its_reason(folders, tmp_path):
    encode(tmp_path / "short.mp4", numbered(3))
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    bad = [Video(tmp_path / name) for name in ("short.mp4", "broken.mp4", "missing.mp4")]
    found = extract(means_extractor(), [*bad, *list_videos(folders / "real")], tmp_path / "cache")
    assert len(found) == 9
    reasons = {path.rpartition("/")[2]: reason for path, reason in found.left_out.items()}
    assert reasons["short.mp4"].startswith("is too short")
    assert reasons["broken.mp4"].startswith("cannot be opened")
    assert reasons["missing.mp4"] == "is missing"
    with pytest.raises(UserError, match="none of the 3 videos"):
        extract(means_extractor(), bad, tmp_path / "cache")


def test_features_that_are_not_finite_are_refused(folders, tmp_path):
    broken = dataclasses.replace(means_extractor(), network=lambda videos: torch.full((len(videos), 2), torch.nan))
    with pytest.raises(UserError, match="not finite"):
        extract(broken, list_videos(folders / "real"), tmp_path)
    assert not list(tmp_path.rglob("*.npy"))


def test_two_protocols_are_never_compared(folders):
    rng = np.random.default_rng(0)
    real = set_of(rng.normal(size=(8, 3)))
    for field in dataclasses.fields(Protocol):
        old = getattr(PROTOCOL, field.name)
        other = dataclasses.replace(PROTOCOL, **{field.name: old + 1 if isinstance(old, int) else f"{old}x"})
        with pytest.raises(UserError, match=rf"differ in {field.name} \({re.escape(str(old))} and "):
            compare(real, set_of(rng.normal(size=(8, 3)), other), FVD_AND_KVD["fvd"])


def test_a_comparison_carries_value_interval_floor_and_numbers_of_videos():
    rng = np.random.default_rng(1)
    real, generated = rng.normal(size=(41, 4)).astype("f"), rng.normal(0.5, 1, (30, 4)).astype("f")
    for name, distance in (("fvd", frechet_distance), ("kvd", kernel_distance)):
        score = compare(set_of(real), set_of(generated), FVD_AND_KVD[name], bootstrap=50)
        assert score.value == pytest.approx(distance(real, generated), rel=1e-6)
        assert score.interval[0] < score.value < score.interval[1]
        assert (score.real, score.generated, score.floor_size) == (41, 30, 20)
        assert score.floor == pytest.approx(distance(real[:20], real[20:40]), rel=1e-5, abs=1e-9)
        halves = [distance(half, generated[:20]) for half in (real[:20], real[20:40])]
        assert score.at_floor_size == pytest.approx(np.mean(halves), rel=1e-5)
        assert score.protocol["resize"] == "straight"


def test_too_few_videos_have_no_floor_or_no_score():
    rng = np.random.default_rng(2)
    few = compare(set_of(rng.normal(size=(3, 2))), set_of(rng.normal(size=(5, 2))), FVD_AND_KVD["fvd"], bootstrap=0)
    assert few.floor is None
    assert few.interval is None
    with pytest.raises(UserError, match="generated set has 1 usable video"):
        compare(set_of(rng.normal(size=(3, 2))), set_of(rng.normal(size=(1, 2))), FVD_AND_KVD["fvd"])


def test_inception_and_clipsim_are_scored_for_both_sets(folders, tmp_path):
    def probabilities(videos):
        return torch.softmax(videos.float().mean((1, 2, 3)) / 10, 1)

    real = list_videos(folders / "real")
    generated = [Video(v.path, f"caption {i}" if i else None) for i, v in enumerate(list_videos(folders / "generated"))]
    unit = np.array([[0.0, 0.6, 0.8]], np.float32)
    requests = [
        ScoreRequest(dataclasses.replace(means_extractor(), network=probabilities), inception="is", splits=2),
        ScoreRequest(
            dataclasses.replace(means_extractor(protocol=dataclasses.replace(PROTOCOL, extractor="other")), batch=2),
            captions=lambda captions: np.repeat(np.pad(unit, ((0, 0), (0, 3))), len(captions), 0),
        ),
    ]
    scores, _ = score_sets(real, generated, requests, tmp_path, bootstrap=20)
    shown = [
        torch.softmax(torch.from_numpy(read_excerpt(v.path, 4)).double().mean((0, 1, 2)) / 10, 0).numpy()
        for v in generated
    ]
    assert scores["is"].value == pytest.approx(inception_score(np.stack(shown), 2)[0], rel=1e-4)
    assert (scores["is"].generated, scores["is"].real, scores["is_real"].real) == (7, None, 9)
    means = [read_excerpt(v.path, 4).reshape(-1, 3).mean(0) / 255 for v in generated[1:]]
    assert scores["clipsim"].value == pytest.approx((np.stack(means) @ unit[0]).mean(), rel=1e-5)
    assert scores["clipsim"].generated == 6
    assert "clipsim_real" not in scores
    lines = table(scores).splitlines()
    assert [line.split()[0] for line in lines] == ["score", "is", "is_real", "clipsim"]
    assert "4 frames (first), straight to 8" in lines[1]
    with pytest.raises(UserError, match="8 splits need as many generated videos, there are 7"):
        score_sets(real, generated, [dataclasses.replace(requests[0], splits=8)], tmp_path)
    with pytest.raises(UserError, match="CLIPSIM needs captions"):
        score_sets(real, real, requests[1:], tmp_path)


def test_impossible_wishes_are_refused_before_any_video_is_read(tmp_path):
    wishes = {
        "i3d": None,
        "resize": "tensorflow",
        "c3d": None,
        "c3d_mean": None,
        "is_variant": "tgan",
        "is_splits": 1,
        "videomae": None,
        "clip": None,
        "judge": None,
        "control": None,
        "frames": 16,
        "sampling": "first",
        "stride": 1,
    }
    for changed, words in (
        ({"sampling": "last"}, "sampling last"),
        ({"judge": tmp_path / "nowhere"}, "nowhere holds no judge.json"),
        ({"c3d": tmp_path / "c3d.pt"}, "--c3d-mean"),
        ({"i3d": tmp_path / "i3d.pt", "frames": 9}, "at least 10 frames"),
        ({"i3d": tmp_path / "i3d.pt", "resize": "bicubic"}, "resize bicubic"),
        ({"c3d": tmp_path / "c", "c3d_mean": tmp_path / "m", "is_variant": "v3"}, "variant v3"),
    ):
        with pytest.raises(UserError, match=words):
            requested_scores(**wishes | changed)
    assert [sorted(w.distances) for w in requested_scores(**wishes)] == [["fvd_embedded", "kvd_embedded"]]
    (only,) = requested_scores(**wishes | {"control": 64})
    assert (only.drawings, only.distances) == (True, {})


def test_a_judge_of_labels_scores_the_words_of_a_csv(folders, tmp_path):
    untrained_judge(tmp_path / "judge", {"label.kind": ["a", "b", "c"], "label.mood": ["good", "bad"]}, ["label.kind"])
    extractor, words = label_extractor(tmp_path / "judge")
    assert words == {"label.kind": ["a", "b", "c"]}
    network = load_trained_judge(tmp_path / "judge", read_description(tmp_path / "judge"))
    sets, judged = {}, {}
    for name in ("real", "generated"):
        paths = [video.path for video in list_videos(folders / name)]
        frames = np.stack([read_clip(path, 3, 32).frames for path in paths])
        judged[name] = judge_clips(network, frames).words("label.kind")
        asked = ["b", "", "unheard of", *judged[name][3:]]
        lines = [f"{path},{word},good" for path, word in zip(paths, asked, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["path_to_video,label.kind,label.mood", *lines]))
        sets[name] = list_videos(tmp_path / f"{name}.csv")
    assert sets["real"][0].labels == (("label.kind", "b"), ("label.mood", "good"))
    request = ScoreRequest(extractor, words=words)
    scores, _ = score_sets(sets["real"], sets["generated"], [request], tmp_path / "cache")
    assert set(scores) == {f"{name}_{end}" for name in ("faithfulness", "judge_accuracy") for end in ("kind", "joint")}
    for name, side in (("faithfulness", "generated"), ("judge_accuracy", "real")):
        score, number = scores[f"{name}_kind"], len(judged[side]) - 2
        assert score.value == scores[f"{name}_joint"].value == (number - 1 + (judged[side][0] == "b")) / number
        assert (getattr(score, side), score.protocol["output"]) == (number, "words of label.kind")
        assert score.interval[0] < score.value <= score.interval[1]
    with pytest.raises(UserError, match=r"path_to_video,label\.kind"):
        score_sets(sets["real"], list_videos(folders / "generated"), [request], tmp_path / "cache")


def test_a_judge_that_is_reliable_for_no_label_is_refused(tmp_path):
    name = untrained_judge(tmp_path / "unsure", {"label.kind": ["a", "b"]}, [])
    with pytest.raises(UserError, match=f"unsure holds no judge that is reliable for a label .{name}.; name another"):
        label_extractor(tmp_path / "unsure")
    write_description(tmp_path / "none", trained=False, reason="the clips have no labels")
    with pytest.raises(UserError, match=r"none holds no judge .*the clips have no labels"):
        label_extractor(tmp_path / "none")


def test_the_embedded_judge_sees_whole_actions(folders):
    video = list_videos(folders / "real")[0].path
    extractor = embedded_extractor(frames=5)
    with torch.inference_mode():
        found = extractor.network(torch.from_numpy(extractor.read(video)[None])).cpu().numpy()
    expected = judge_clips(load_judge("video"), read_clip(video, 5, 64).frames[None]).features
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_i3d_is_fed_values_from_minus_one_to_one(monkeypatch, tmp_path):
    import sketch2video.scoring.extractors as extractors

    monkeypatch.setattr(extractors.i3d, "load_i3d", lambda _: torch.nn.Identity())
    (tmp_path / "i3d.pt").write_bytes(b"weights")
    extractor = i3d_extractor(tmp_path / "i3d.pt", frames=10, resize="short_side_crop")
    path = tmp_path / "video.mp4"
    encode(path, [np.full((32, 48, 3), value, np.uint8) for value in np.linspace(0, 255, 10)])
    fed = extractor.network(torch.from_numpy(extractor.read(path)[None]))
    assert fed.shape == (1, 3, 10, 224, 224)
    np.testing.assert_allclose(fed[0].mean((0, 2, 3)).cpu(), np.linspace(-1, 1, 10), atol=0.03)
    assert extractor.protocol.weights == hashlib.sha256(b"weights").hexdigest()


def test_c3ds_variants_have_protocols_of_their_own(monkeypatch, tmp_path):
    import sketch2video.scoring.extractors as extractors

    monkeypatch.setattr(extractors.c3d, "load_c3d", lambda _: torch.nn.Identity())
    monkeypatch.setattr(extractors.c3d, "load_mean_clip", lambda _: torch.zeros(3, 16, 128, 171))
    monkeypatch.setattr(extractors.c3d, "probabilities", lambda network, videos: videos)
    (tmp_path / "weights").write_bytes(b"weights")
    (tmp_path / "mean").write_bytes(b"mean")
    encode(tmp_path / "video.mp4", numbered(16))
    protocols = []
    for variant in ("tgan", "tganv2"):
        extractor = c3d_extractor(tmp_path / "weights", tmp_path / "mean", variant)
        fed = extractor.network(torch.from_numpy(extractor.read(tmp_path / "video.mp4")[None])).cpu()
        assert fed.shape == (1, 3, 16, 112, 112)
        np.testing.assert_allclose(fed[0].mean((0, 2, 3)), 16 + 5 * np.arange(16), atol=2)
        protocols.append(extractor.protocol)
    assert [p.resize for p in protocols] == ["bicubic", "corners"]
    assert protocols[0] != protocols[1]


def test_the_command_scores_two_folders_offline(folders, tmp_path, monkeypatch, capsys):
    from sketch2video.cli import main

    monkeypatch.chdir(tmp_path)
    for name in ("SKETCH2VIDEO_I3D", "SKETCH2VIDEO_C3D", "SKETCH2VIDEO_C3D_MEAN"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sketch2video", "score", *map(str, arguments), "--cache", "cache"])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capsys.readouterr()

    code, shown = run(folders / "real", folders / "generated", "--bootstrap", 10)
    assert code == 0
    assert "fvd_embedded †" in shown.out
    assert "† features trained on the synthetic scenes with one object" in shown.out
    assert "generated: 100%" in shown.err
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert scores.keys() == {"fvd_embedded", "kvd_embedded"}
    assert (scores["fvd_embedded"]["real"], scores["fvd_embedded"]["generated"]) == (9, 7)
    assert len(scores["fvd_embedded"]["protocol"]["weights"]) == 64
    assert "on other videos only a check" in scores["kvd_embedded"]["protocol"]["domain"]
    assert scores["fvd_embedded"]["floor_size"] == 4
    code, shown = run(folders / "real", tmp_path / "nowhere")
    assert code == 2
    assert len(shown.err.splitlines()) == 1
    assert "nowhere" in shown.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--json", "folder"], "--json: folder is a folder; name a file"),
        (["--json", "file/x.json"], "--json: "),
        (["--json", f"{'x' * 300}.json"], "has a name that no file can have"),
        (["--json", "/dev/null"], "--json: /dev/null is a device"),
        (["--cache", "file"], "--cache: file is not a folder"),
        (["--cache", "file/x"], "--cache: "),
    ],
)
def test_places_for_results_are_checked_before_the_work(folders, tmp_path, monkeypatch, capsys, arguments, words):
    from sketch2video.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    command = ["sketch2video", "score", str(folders / "real"), str(folders / "generated"), *arguments]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as end:
        main()
    shown = capsys.readouterr()
    assert end.value.code == 2
    assert words in shown.err
    assert len(shown.err.splitlines()) == 1
    assert not shown.out


def test_the_table_is_printed_whatever_happens_to_the_file(folders, tmp_path, monkeypatch, capsys):
    import sketch2video.scoring.score as scoring
    from sketch2video.cli import main

    def score_sets(*arguments):
        (tmp_path / "scores.json").mkdir()  # while the work is done
        return {"fvd": SetScore(float("nan"), None, 9, 7, protocol=dataclasses.asdict(PROTOCOL))}, {}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scoring, "score_sets", score_sets)
    command = ["sketch2video", "score", str(folders / "real"), str(folders / "generated"), "--cache", "cache"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert "fvd" in said.out
    assert "scores.json" in said.err


def test_scores_that_are_not_finite_are_null(tmp_path):
    scores = {"fvd": SetScore(float("nan"), (0.0, float("inf")), 9, 7)}
    write_json(tmp_path / "scores.json", as_json(scores, {}, {}))
    written = read_json(tmp_path / "scores.json")["scores"]["fvd"]
    assert (written["value"], written["interval"]) == (None, [0.0, None])
