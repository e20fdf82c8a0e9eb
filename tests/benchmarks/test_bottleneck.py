"""Points of the bottleneck, and what of them is left to do."""

from itertools import chain, groupby, pairwise

import pandas as pd
import pytest

from benchmarks import bottleneck
from benchmarks.axes import AXES, Bottleneck
from benchmarks.bottleneck import BOTTLENECKS, Experiments, Point, by_lane, longest_first, points, read_results
from benchmarks.lanes import TARGETS
from sketch2video.data.clips.shards import write_table
from sketch2video.errors import UserError
from sketch2video.files import write_json
from sketch2video.inputs.yaml_files import read_yaml
from sketch2video.params import load_params
from tests.benchmarks.made_up import found

CODE = {"src": "a", "flows": "b", "systems": "c", "dvc.yaml": "d"}


@pytest.fixture
def experiments(tmp_path, monkeypatch):
    """A maker of the queue over this project's parameters, in which every experiment succeeds at once."""
    monkeypatch.setattr(bottleneck, "last_commit", lambda root: "first")
    monkeypatch.setattr(bottleneck, "code_version", lambda root, commit: CODE)
    monkeypatch.setattr(bottleneck, "committed", lambda root, path, commit: (root / path).read_text())
    monkeypatch.setattr(bottleneck, "prepare_store", lambda: None)
    monkeypatch.setattr(bottleneck, "Lanes", Immediate)
    Immediate.folder, Immediate.calls, Immediate.failing = tmp_path, [], set()

    def make(seeds=2, profile="bottleneck"):
        return Experiments(points(seeds), profile, tmp_path / "results", tmp_path / "lanes")

    return make


class Immediate:
    """Stands for :class:`Lanes`: leaves made-up scores where the graph would."""

    def __init__(self, root, commit, folder, environment):
        self.place, Immediate.commit = Immediate.folder / "place", commit

    def run(self, lanes, jobs):
        for lane in lanes:
            for call in lane:
                call()

    def reproduce(self, lane, name, params):
        Immediate.calls.append((lane, name))
        if name in Immediate.failing:
            raise UserError("dvc ended")
        made = load_params(params)
        for system, scores in found(0.9 - 0.1 * made.autoencoder.halvings, 0.9)["systems"].items():
            write_json(self.place / bottleneck.SYSTEMS[system] / "evaluation.json", scores)
            write_json(self.place / bottleneck.SYSTEMS[system] / "train_autoencoder.json", {"psnr": 30.0})
        rates = pd.DataFrame({"fps": [0.5, 0.25, 1.0]}) * made.base.frames
        write_table(rates, self.place / "data/clips/clips.parquet")
        return self.place

    def remove(self, lane):
        Immediate.calls.append((lane, "removed"))


def test_points_cover_every_bottleneck_length_and_seed_once():
    found = points(2)
    assert {(p.frames, p.bottleneck, p.seed) for p in found} == {
        (t, b, s) for t in (16, 48) for b in chain(*AXES.values()) for s in (0, 1)
    }
    assert len(found) == len({p.name("x") for p in found}) == 20
    assert points(3)[:20] == found
    lanes = by_lane(found)
    assert [len(lane) for lane in lanes.values()] == [5] * 4
    assert all(len({(p.frames, p.seed) for p in lane}) == 1 for lane in lanes.values())


def test_lanes_of_long_clips_begin_first_so_that_none_of_them_runs_alone_at_the_end():
    lanes = by_lane(points(2))
    assert list(longest_first(lanes)) == [f"{t}-frames-seed-{s}" for t in (48, 16) for s in (0, 1)]
    nearly_done = lanes | {"48-frames-seed-0": [Point(48, Bottleneck(4), 0)]}
    assert list(longest_first(nearly_done))[-1] == "48-frames-seed-0"


@pytest.mark.parametrize("profile", ["bottleneck", "smoke"])
def test_points_are_trained_alike(experiments, profile):
    made = experiments(profile=profile).params
    every = list(made.values())
    for point, params in made.items():
        assert (params.base.frames, params.base.seed) == (point.frames, point.seed)
        assert (params.autoencoder.halvings, params.video_ldm.frames_per_latent) == point.bottleneck
        assert params.autoencoder.fold == max(2 ** (params.autoencoder.halvings - 2), 2)
        steps = params.autoencoder.training.steps // every[0].autoencoder.training.steps
        assert steps == (3 if params.autoencoder.halvings == 5 else 1)
        for section in ("video_ldm", "curve_vae", "text_encoder"):
            assert getattr(params, section).training.steps == getattr(every[0], section).training.steps
        # What needs a latent a frame cannot be learned along time, so none is.
        assert not params.text_ldm.known_frames
        assert not params.text_ldm.half_rate
        assert not params.text_ldm.single_frames
    if profile == "bottleneck":
        assert len({params.video_ldm.training.batch_size * params.base.frames for params in every}) == 1
        assert len({params.curve_vae.training.batch_size * params.base.frames for params in every}) == 1


def test_points_of_one_autoencoder_train_the_video_ldm_alone(experiments):
    """Stages of the real graph whose parameters differ between neighbouring points of a lane."""
    made = experiments(seeds=1)
    lane = by_lane(points(1))["48-frames-seed-0"]
    autoencoders = {"train_autoencoder", "systems/text_ldm/dvc.yaml:train_autoencoder"}
    denoisers = {"train_video_ldm", "systems/text_ldm/dvc.yaml:train_video_ldm"}
    assert [changed_stages(made.params_of(one), made.params_of(other)) for one, other in pairwise(lane)] == [
        denoisers,  # f8t1 to f8t16
        denoisers,  # to f8t4
        autoencoders | denoisers,  # to f32t1
        autoencoders,  # to f16t1, where denoisers are trained on other latents
    ]
    # Latents are not in DVC's cache of runs, so that a lane that came back to an autoencoder would encode them again.
    halvings = [number for number, _ in groupby(bottleneck.halvings for bottleneck in BOTTLENECKS)]
    assert len(halvings) == len(set(halvings))


def changed_stages(one, other):
    """Names of the stages of the experiments' graph that list a parameter with two values in two files."""

    def value(path, key):
        found = read_yaml(path)
        for name in key.split("."):
            found = found[name]
        return found

    files = dict.fromkeys(target.rpartition(":")[0] or "dvc.yaml" for target in TARGETS)
    assert list(files) == ["dvc.yaml", "systems/text_ldm/dvc.yaml"]
    return {
        name if file == "dvc.yaml" else f"{file}:{name}"
        for file in files
        for name, stage in read_yaml(file)["stages"].items()
        if any(value(one, key) != value(other, key) for key in stage.get("params", []))
    }


def test_what_is_done_is_not_run_again_and_what_failed_is(experiments):
    first = experiments()
    Immediate.failing = {"bottleneck-f32t1-48-frames-seed-1"}
    first.run(jobs=2)
    assert [point.name("bottleneck") for point in first.failed] == ["bottleneck-f32t1-48-frames-seed-1"]
    assert ("16-frames-seed-0", "removed") in Immediate.calls
    assert ("48-frames-seed-1", "removed") not in Immediate.calls
    second = experiments()
    assert second.left() == [Point(48, Bottleneck(5), 1)]
    Immediate.failing, Immediate.calls = set(), []
    second.run(jobs=2)
    assert [name for _, name in Immediate.calls] == ["bottleneck-f32t1-48-frames-seed-1", "removed"]
    assert experiments().left() == []
    assert [p.seed for p in experiments(seeds=3).left()] == [2] * 10


def test_other_code_and_other_parameters_make_everything_anew(experiments, monkeypatch):
    experiments().run(jobs=1)
    with monkeypatch.context() as changed:
        changed.setattr(bottleneck, "code_version", lambda root, commit: CODE | {"src": "other"})
        assert len(experiments().left()) == 20
    with monkeypatch.context() as changed:
        changed.setattr(
            bottleneck,
            "committed",
            lambda root, path, commit: (root / path).read_text().replace("width: 128", "width: 64"),
        )
        assert len(experiments().left()) == 20
    assert experiments().left() == []


def test_keys_parameters_and_lanes_are_of_one_commit(experiments, monkeypatch):
    asked = set()

    def version(root, commit):
        asked.add(commit)
        return CODE

    monkeypatch.setattr(bottleneck, "code_version", version)
    queue = experiments(seeds=1)
    monkeypatch.setattr(bottleneck, "last_commit", lambda root: "second")
    queue.run(jobs=1)
    assert asked == {"first"}
    assert Immediate.commit == "first"


def test_the_command_compares_what_there_is_and_names_what_failed(experiments, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bottleneck, "LANES", tmp_path / "lanes")
    Immediate.failing = {"bottleneck-f32t1-48-frames-seed-0"}
    reports = tmp_path / "results"
    options = {"seeds": 1, "jobs": 1, "profile": "bottleneck", "limit": None, "reports": reports}
    with pytest.raises(
        UserError, match=r"1 of 10 experiments failed(?s:.*)bottleneck-f32t1-48-frames-seed-0: dvc ended"
    ):
        bottleneck.main(only_report=False, **options)
    assert "0 of 10 experiments are done, 10 left" in capsys.readouterr().out
    assert "bottleneck-f32t1-48-frames-seed-0 missing" in (reports / "bottleneck.md").read_text()
    Immediate.failing = set()
    bottleneck.main(only_report=False, **options)
    assert "missing" not in (reports / "bottleneck.md").read_text()
    Immediate.calls = []
    bottleneck.main(only_report=True, **options)
    assert Immediate.calls == []
    with pytest.raises(UserError, match="holds no result of the profile smoke"):
        bottleneck.main(only_report=True, **options | {"profile": "smoke"})


def test_a_result_holds_rate_and_numbers_and_is_read_by_name(experiments, tmp_path):
    experiments(seeds=1).run(jobs=1)
    write_json(tmp_path / "results/smoke-f8t1-16-frames-seed-1.json", {})
    read = {
        (one.frames, one.bottleneck): one.found for one in read_results(tmp_path / "results", points(2), "bottleneck")
    }
    assert len(read) == 10
    assert read[48, Bottleneck(3, 16)]["rate"] == 24.0
    assert read[48, Bottleneck(3, 16)]["numbers"] == 16
    assert read[16, Bottleneck(4)]["point"] == {"frames": 16, "halvings": 4, "frames_per_latent": 1, "seed": 0}
