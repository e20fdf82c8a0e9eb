"""The whole evaluation with the frozen judges, on pipelines whose right scores are known."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sketch2video.controls import NONE, SKETCH, VIDEO
from sketch2video.curves import CurveSequence, fit_curves
from sketch2video.data.clips.shards import write_shard, write_table
from sketch2video.errors import UserError
from sketch2video.evaluation.compare import compare
from sketch2video.evaluation.evaluate import EXAMPLES, Data, evaluate, evaluated_rows
from sketch2video.evaluation.provenance import cpu
from sketch2video.evaluation.scores import halves
from sketch2video.generation.seeded import clip_seed
from sketch2video.judges.trained.video_judge import video_judge
from sketch2video.params import load_params
from sketch2video.scenes.synthetic import combinations, render_scene, sample_scene
from sketch2video.scoring.metrics import frechet_distance
from sketch2video.sketches import extract_sketches
from tests.judges.untrained import untrained_judge

SIZE, FRAMES, TEST_CLIPS = 32, 5, 18


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Outputs of the data stages for a few clips, and the clips by caption."""
    folder = tmp_path_factory.mktemp("world")
    scenes = [sample_scene(np.random.default_rng([7, i]), [combinations()[(43 * i) % 216]]) for i in range(TEST_CLIPS)]
    frames = np.stack([render_scene(scene, SIZE, FRAMES).frames for scene in scenes])
    inks = np.stack([extract_sketches(clip) for clip in frames])
    curves = [fit_curves(ink) for ink in inks]
    ids = [f"clip{i:02d}" for i in range(TEST_CLIPS)]
    arrays = {name: np.stack([getattr(c, name) for c in curves]) for name in ("coefficients", "visibility")}
    for name, content in (("clips", {"frames": frames}), ("sketches", {"ink": inks}), ("curves", arrays)):
        write_shard(folder / name / "shards" / "0000.safetensors", content, ids, "key")
    table = pd.DataFrame([scene.combination for scene in scenes], columns=["shape", "colour", "motion"]).assign(
        clip_id=ids,
        caption=[f"{scene.label} ({i})" for i, scene in enumerate(scenes)],
        label=[scene.label for scene in scenes],
        split="test",
        fps=8.0,
        shard=0,
        row=range(TEST_CLIPS),
    )
    model = folder / "model"
    model.mkdir()
    (model / "weights").write_text("some")
    data = Data(folder / "clips", folder / "sketches", folder / "curves")
    clips = dict(zip(table["caption"], zip(frames, curves, strict=True), strict=True))
    return SimpleNamespace(data=data, table=table, model=model, clips=clips)


class Copier:
    """A pipeline that answers every caption with the real clip: the perfect generator."""

    control = SKETCH

    def call_arguments(self, settings):
        return {"guidance_scale": settings.guidance_scale}

    def __init__(self, clips, calls_before_death=None):
        self.clips, self.calls, self.calls_before_death = clips, [], calls_before_death
        self.config = {"sampling": {"guidance_scale": 1.0}}

    def __call__(self, captions, num_frames, fps, generator, output_type, curves=None, **settings):
        if self.calls_before_death is not None and len(self.calls) == self.calls_before_death:
            raise KeyboardInterrupt
        self.calls.append((list(captions), [g.initial_seed() for g in generator], curves is not None))
        assert (num_frames, output_type, len(fps)) == (FRAMES, "np", len(captions))
        assert set(settings) == {"guidance_scale"}
        frames = np.stack([self.clips[caption][0] for caption in captions])
        drawn = [self.clips[caption][1] for caption in captions]
        for mine, given in zip(drawn, curves or drawn, strict=True):
            np.testing.assert_array_equal(mine.coefficients, given.coefficients)
        # As diffusers' processors do: channels lie first in memory, whatever the axes say.
        frames = np.moveaxis(np.ascontiguousarray(np.moveaxis(frames / np.float32(255), -1, 1)), 1, -1)
        return SimpleNamespace(frames=frames, curves=drawn, sketches=None)


class Blind(Copier):
    """A pipeline that answers everything with grey and a straight line."""

    def __call__(self, captions, **arguments):
        out = super().__call__(captions, **arguments)
        line = np.zeros((FRAMES, 8, 2, 32), np.float32)
        line[:, 0, :, :2] = [[0.5, 0.2], [0.5, 0.0]]
        visible = np.zeros((FRAMES, 8), np.float32)
        visible[:, 0] = 1
        return SimpleNamespace(
            frames=np.full_like(out.frames, 0.5), curves=[CurveSequence(line, visible) for _ in captions]
        )


def with_small_clips(params, clips):
    return params.model_copy(
        update={
            "base": params.base.model_copy(update={"size": SIZE, "frames": FRAMES}),
            "evaluate": params.evaluate.model_copy(update={"clips": clips, "batch_size": 4, "bootstrap": 10}),
        }
    )


def run(world, tmp_path, pipeline, table=None, trained_judge=Path("nowhere")):
    write_table(world.table if table is None else table, world.data.clips / "clips.parquet")
    return evaluate(
        with_small_clips(load_params(), TEST_CLIPS),
        data=world.data,
        system="sketch_ldm",
        model=world.model,
        reports=tmp_path / "reports",
        checkpoints=tmp_path / "checkpoints",
        trained_judge=trained_judge,
        load=lambda _: pipeline,
    )


def test_a_perfect_generator_scores_what_real_clips_score(world, tmp_path):
    evaluation = run(world, tmp_path, Copier(world.clips))
    metrics = json.loads((tmp_path / "reports" / "metrics.json").read_text())
    assert metrics == evaluation.metrics()
    assert evaluation.left_out == {}
    for attribute in ("shape", "colour", "motion", "joint"):
        assert metrics[f"faithfulness_{attribute}"] == metrics[f"judge_accuracy_{attribute}"] > 0.6
    assert metrics["sketch_faithfulness_joint"] == metrics["sketch_judge_accuracy_joint"]
    assert metrics["fvd_embedded"] == pytest.approx(metrics["fvd_embedded_floor"])
    assert metrics["is_embedded_fitted"] == pytest.approx(metrics["is_embedded_real"])
    assert metrics["psnr_fitted"] == 100
    for way in ("", "_fitted"):
        for name in ("control_px", "control_found", "control_f1"):
            assert metrics[f"{name}{way}"] == pytest.approx(metrics[f"{name}{way}_floor"])
        assert metrics[f"control_px{way}"] < 0.6
        assert metrics[f"control_found{way}"] > 0.95
        assert metrics[f"sharpness_ratio{way}"] == metrics[f"motion_ratio{way}"] == 1
        for name in ("flicker", "background_drift"):
            assert metrics[f"{name}{way}"] == metrics[f"{name}{way}_floor"] < 0.02


def test_an_untrained_pipeline_of_the_real_kind_is_evaluated(world, tmp_path, tiny_pipeline_folder):
    params = with_small_clips(load_params(), TEST_CLIPS)
    write_table(world.table, world.data.clips / "clips.parquet")
    folders = {"reports": tmp_path / "reports", "checkpoints": tmp_path / "checkpoints"}
    evaluation = evaluate(params, data=world.data, system="sketch_ldm", model=tiny_pipeline_folder, **folders)
    assert evaluation.left_out == {}
    assert evaluation.metrics()["faithfulness_joint"] < 0.3 < evaluation.metrics()["judge_accuracy_joint"]
    assert evaluation.size["latent_numbers"] == 4 * 8 * 8
    assert evaluation.size["parameters"] > 10_000
    for way in ("text", "fitted", "alone"):
        stages = evaluation.seconds_per_clip[way]
        assert list(stages) == ["captions", "curves", "denoising", "decoding", "other"]
        assert min(stages.values()) > 0
    assert "seconds" not in (tmp_path / "reports" / "metrics.json").read_text()
    stored = json.loads((tmp_path / "reports" / "evaluation.json").read_text())
    assert stored["made"] == evaluation.made
    assert evaluation.made.startswith(f"{cpu()}, ")
    for example in stored["examples"]:
        for name in ("generated", "real"):
            animation = Image.open(tmp_path / "reports" / "examples" / example[name])
            assert (animation.n_frames, animation.size) == (FRAMES, (SIZE, SIZE))
    assert len({example["clip_id"] for example in stored["examples"]}) == EXAMPLES


def test_an_untrained_text_only_pipeline_is_evaluated_and_times_no_curves(world, tmp_path, tiny_text_pipeline_folder):
    write_table(world.table.head(8), world.data.clips / "clips.parquet")
    folders = {"reports": tmp_path / "reports" / "text_ldm", "checkpoints": tmp_path / "checkpoints"}
    params = with_small_clips(load_params(), 8)
    evaluation = evaluate(params, data=world.data, system="text_ldm", model=tiny_text_pipeline_folder, **folders)
    assert evaluation.protocol["system"] == "text_ldm"
    assert list(evaluation.seconds_per_clip) == ["text", "alone"]
    assert list(evaluation.seconds_per_clip["alone"]) == ["captions", "denoising", "decoding", "other"]
    assert compare(tmp_path / "reports").splitlines()[2].startswith("text_ldm")


def test_a_system_that_draws_nothing_has_the_same_scores_without_those_of_drawings(world, tmp_path):
    class Painter(Copier):
        control = NONE

        def __call__(self, captions, **arguments):
            return SimpleNamespace(frames=super().__call__(captions, **arguments).frames, curves=None)

    evaluation = run(world, tmp_path, Painter(world.clips))
    metrics = evaluation.metrics()
    assert metrics["faithfulness_joint"] == metrics["judge_accuracy_joint"]
    assert {"fvd_embedded", "kvd_embedded", "is_embedded", "flicker"} <= set(metrics)
    assert not any("sketch" in name or "fitted" in name or "control" in name for name in metrics)
    assert list(evaluation.seconds_per_clip) == ["text", "alone"]
    assert "fitted" not in (tmp_path / "reports" / "index.html").read_text().split("<h2>Protocol")[0]


def test_a_system_that_follows_control_videos_is_given_those_of_the_real_clips(world, tmp_path):
    path = world.data.clips / "shards" / "0000.safetensors"
    before = path.read_bytes()
    frames = np.stack([world.clips[caption][0] for caption in world.table["caption"]])
    write_shard(path, {"frames": frames, "control": 255 - frames}, list(world.table["clip_id"]), "key")

    class Follower(Copier):
        control = VIDEO

        def __call__(self, captions, control=None, **arguments):
            out = super().__call__(captions, **arguments)
            wrong = np.zeros_like(out.frames)
            return SimpleNamespace(frames=wrong if control is None else 1 - control / np.float32(255), curves=None)

    try:
        metrics = run(world, tmp_path, Follower(world.clips)).metrics()
    finally:
        path.write_bytes(before)
    assert metrics["faithfulness_joint"] < 0.3
    assert metrics["faithfulness_joint_control"] == metrics["judge_accuracy_joint"]
    assert metrics["psnr_control"] == 100
    assert "control_px_control" not in metrics


def test_a_blind_generator_scores_badly_and_the_report_shows_it(world, tmp_path):
    metrics = run(world, tmp_path, Blind(world.clips)).metrics()
    assert metrics["faithfulness_joint"] < 0.2
    assert metrics["sketch_faithfulness_joint"] < 0.3
    assert metrics["fvd_embedded"] > 2 * metrics["fvd_embedded_floor"]
    assert metrics["psnr_fitted"] < 30
    assert [metrics[name] for name in ("flicker", "sharpness_ratio", "motion_ratio")] == [0, 0, 0]
    assert [metrics[name] for name in ("control_found", "control_f1", "control_f1_fitted")] == [0, 0, 0]
    assert "control_px" not in metrics, "nothing is both asked for and found"
    assert "What went wrong" in (tmp_path / "reports" / "index.html").read_text()


def test_scores_carry_their_protocol(world, tmp_path):
    run(world, tmp_path, Copier(world.clips))
    stored = json.loads((tmp_path / "reports" / "evaluation.json").read_text())
    score = stored["scores"]["fvd_embedded"]
    assert score["protocol"]["video_judge"].startswith("video-")
    assert (score["protocol"]["clips_generated"], score["protocol"]["clips_real"]) == (9, 9)
    assert score["interval"][0] < score["value"] < score["interval"][1]
    for attribute in ("shape", "colour", "motion"):
        pairs = pd.read_csv(tmp_path / "reports" / "plots" / "evaluate" / f"confusion_{attribute}.csv")
        assert len(pairs) == TEST_CLIPS
        share = (pairs["asked"] == pairs["judged"]).mean()
        assert share == pytest.approx(stored["scores"][f"faithfulness_{attribute}"]["value"])


def test_a_killed_evaluation_goes_on_where_it_was(world, tmp_path):
    undisturbed = Copier(world.clips)
    expected = run(world, tmp_path / "a", undisturbed).metrics()
    killed = Copier(world.clips, calls_before_death=7)
    with pytest.raises(KeyboardInterrupt):
        run(world, tmp_path / "b", killed)
    again = Copier(world.clips)
    assert run(world, tmp_path / "b", again).metrics() == expected
    assert killed.calls + again.calls == undisturbed.calls
    world_again = Copier(world.clips)
    run(world, tmp_path / "b", world_again)
    assert world_again.calls == []


def test_a_clips_noise_depends_on_nothing_but_its_id_and_the_seed(world, tmp_path):
    pipeline = Copier(world.clips)
    run(world, tmp_path, pipeline)
    ids = world.table.set_index("caption")["clip_id"]
    seeds = {}
    for captions, found, _ in pipeline.calls:
        for caption, seed in zip(captions, found, strict=True):
            assert seed == seeds.setdefault(caption, seed) == clip_seed(load_params().base.seed, ids[caption])
    assert len(set(seeds.values())) == TEST_CLIPS


def test_without_labels_the_scores_that_need_them_are_left_out(world, tmp_path):
    bare = world.table.assign(shape=None, colour=None, motion=None, label=None)
    evaluation = run(world, tmp_path, Copier(world.clips), bare)
    assert {"fvd_embedded", "kvd_embedded", "fvd_embedded_fitted", "psnr_fitted"} <= set(evaluation.scores)
    assert not any(name.startswith(("faithfulness", "judge", "is_")) for name in evaluation.scores)
    page = (tmp_path / "reports" / "index.html").read_text()
    assert all(
        name in page and "shape, colour and motion are known" in reason for name, reason in evaluation.left_out.items()
    )


def test_five_videos_are_few_but_no_error(world, tmp_path):
    few = world.table.head(5).assign(shape=None, colour=None, motion=None, label=None, split="train")
    evaluation = run(world, tmp_path, Copier(world.clips), few)
    measured = {"flicker", "background_drift", "sharpness_ratio", "motion_ratio"}
    measured |= {"control_px", "control_found", "control_f1"}
    assert set(evaluation.scores) == {"psnr_fitted"} | measured | {f"{name}_fitted" for name in measured}
    assert evaluation.left_out["fvd_embedded"].endswith("in the train split, there are 5")
    assert "There is no test split" in (tmp_path / "reports" / "index.html").read_text()


def test_no_clip_at_all_is_the_users_to_fix(world, tmp_path):
    with pytest.raises(UserError, match="no clip"):
        run(world, tmp_path, Copier(world.clips), world.table.head(0))


WORDS = {
    "label.kind": ["circle", "cross", "heart", "square", "star", "triangle"],
    "label.hue": ["blue", "cyan", "green", "purple", "red", "yellow"],
    "label.mood": ["good", "bad"],
}


def labelled(world):
    """The same clips with labels of their own instead of attributes; every third has no hue."""
    table = world.table.rename(columns={"shape": "label.kind", "colour": "label.hue"}).drop(columns="motion")
    hues = table["label.hue"].where(np.arange(len(table)) % 3 > 0, None)
    return table.assign(**{"label.hue": hues, "label.mood": "good"})


def test_data_with_labels_are_scored_by_their_own_judge_on_usable_labels_alone(world, tmp_path):
    name = untrained_judge(tmp_path / "judge", WORDS, ["label.kind", "label.hue"])
    evaluation = run(world, tmp_path, Copier(world.clips), labelled(world), tmp_path / "judge")
    metrics = evaluation.metrics()
    found = {name for name in metrics if name.startswith(("faithfulness", "judge_accuracy"))}
    ends = [f"{label}{way}" for label in ("kind", "hue", "joint") for way in ("", "_fitted")]
    assert found == {f"faithfulness_{end}" for end in ends} | {f"judge_accuracy_{end}" for end in ends[::2]}
    for label in ("kind", "hue", "joint"):
        assert metrics[f"faithfulness_{label}"] == metrics[f"judge_accuracy_{label}"]
    assert evaluation.scores["faithfulness_hue"].protocol["clips"] == TEST_CLIPS * 2 // 3
    assert evaluation.scores["faithfulness_joint"].protocol["clips"] == TEST_CLIPS
    assert evaluation.scores["faithfulness_joint"].interval[0] < evaluation.scores["faithfulness_joint"].interval[1]
    assert evaluation.protocol["label_judge"] == evaluation.judge["name"] == name
    assert evaluation.protocol["video_judge"].startswith("video-")
    pairs = pd.read_csv(tmp_path / "reports" / "plots" / "evaluate" / "confusion_hue.csv")
    assert len(pairs) == TEST_CLIPS * 2 // 3
    assert (pairs["asked"] == pairs["judged"]).mean() == pytest.approx(metrics["faithfulness_hue"])
    page = (tmp_path / "reports" / "index.html").read_text()
    assert page.count("not usable") == 1
    for text in (name, "93.0% – 99.4%", "requested hue and kind", "<h3>hue</h3>", "Certainty and variety"):
        assert text in page, text
    assert "ut of its domain" not in page
    stored = json.loads((tmp_path / "reports" / "evaluation.json").read_text())
    assert stored["judge"]["labels"]["label.mood"]["usable"] is False
    assert not [score for score in stored["scores"].values() if "domain" in score["protocol"]]
    (tmp_path / "reports").rename(tmp_path / "sketch_ldm")
    titles = [title.strip() for title in compare(tmp_path).splitlines()[0].split("  ") if title.strip()]
    assert titles[:5] == ["all attributes ↑", "hue ↑", "kind ↑", "fvd_labels ↓", "kvd_labels ↓"]


def test_data_with_a_judge_of_their_own_are_compared_by_its_features(world, tmp_path):
    untrained_judge(tmp_path / "judge", WORDS, ["label.kind", "label.hue"])
    table = labelled(world)
    judge = video_judge(table, tmp_path / "judge")
    features = {caption: judge.verdict(frames[None]).features[0] for caption, (frames, _) in world.clips.items()}
    evaluation = run(world, tmp_path, Copier(world.clips), table, tmp_path / "judge")
    rows, _ = evaluated_rows(table, TEST_CLIPS)
    first = halves(rows)
    of_rows = np.stack([features[caption] for caption in rows["caption"]])
    assert evaluation.scores["fvd_labels"].value == pytest.approx(evaluation.scores["fvd_labels"].floor)
    assert evaluation.scores["fvd_labels"].floor == pytest.approx(
        frechet_distance(of_rows[first], of_rows[~first]), rel=1e-2
    )
    assert {"fvd_embedded", "kvd_embedded"} <= evaluation.left_out.keys()
    assert not any("embedded" in name for name in evaluation.scores)
    blind = run(world, tmp_path / "blind", Blind(world.clips), table, tmp_path / "judge")
    assert blind.scores["fvd_labels"].value > blind.scores["fvd_labels"].floor
    assert blind.scores["inception_kind"].value == pytest.approx(1, abs=1e-6)
    assert blind.scores["inception_kind"].floor == evaluation.scores["inception_kind"].value > 1
    assert evaluation.scores["h_yx_hue"].protocol["clips"] == TEST_CLIPS * 2 // 3


def test_embedded_scenes_are_in_the_domain_of_the_features(world, tmp_path):
    evaluation = run(world, tmp_path, Copier(world.clips))
    assert evaluation.judge == {}
    assert "label_judge" not in evaluation.protocol
    assert "domain" not in evaluation.scores["fvd_embedded"].protocol
    assert "Out of its domain" not in (tmp_path / "reports" / "index.html").read_text()


def test_labels_without_a_judge_are_left_out_with_the_fix(world, tmp_path):
    evaluation = run(world, tmp_path, Copier(world.clips), labelled(world))
    assert "dvc repro train_judge" in evaluation.left_out["faithfulness"]
    page = (tmp_path / "reports" / "index.html").read_text()
    assert "Out of its domain" in page
    cards = page.partition('<section class="cards">')[2].partition("</section>")[0]
    assert "out of its domain" in cards
    metrics = json.loads((tmp_path / "reports" / "metrics.json").read_text())
    assert {name for name in metrics if "embedded" in name} == {
        f"{name}_embedded{way}_out_of_domain{end}"
        for name in ("fvd", "kvd")
        for way in ("", "_fitted")
        for end in ("", "_floor")
    }
