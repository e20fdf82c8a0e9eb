"""Tables of systems whose evaluations are written by hand."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from sketch2video.errors import UserError
from sketch2video.evaluation.compare import compare, compare_with
from sketch2video.evaluation.report import animated_webp, data_uri
from sketch2video.evaluation.scores import Evaluation, Score
from sketch2video.files import write_json
from sketch2video.systems.registry import find_system

PROTOCOL = {
    "split": "test",
    "clips": 9,
    "captions": "0123",
    "frames": 4,
    "size": 16,
    "video_judge": "video-abc",
    "sketch_judge": "sketch-abc",
    "model": "cafe",
    "sampling": {"batch_size": 4},
}
SKETCH = {"faithfulness_joint": 0.75, "fvd_embedded": 30.0, "flicker": 0.001, "motion_ratio": 0.5, "is_embedded": 8.0}
TEXT = {"faithfulness_joint": 0.5, "fvd_embedded": 20.0, "flicker": 0.006, "motion_ratio": 1.25, "is_embedded": 9.0}
FLOORS = {"fvd_embedded": 6.5, "flicker": 0.005, "motion_ratio": 1.0}
REAL = {"judge_accuracy_joint": 1.0, "is_embedded_real": 36.0}


def evaluated(folder, name, values, **protocol):
    """Write what an evaluation leaves of a system into a folder; returns the clips that it kept, by caption."""
    scores = {key: Score(value, (value - 0.25, value + 0.25), FLOORS.get(key)) for key, value in values.items()}
    scores |= {key: Score(value) for key, value in REAL.items()}
    seconds = {"text": {"denoising": 0.25, "other": 0.125}, "alone": {"denoising": 0.75}}
    kept, clips = [], {}
    (folder / "examples").mkdir(parents=True)
    for number in range(2):
        rng = np.random.default_rng([number, len(name)])
        files = {which: f"{number}-{which}.webp" for which in ("generated", "real")}
        for file in files.values():
            clips[number, file] = animated_webp(rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8))
            (folder / "examples" / file).write_bytes(clips[number, file])
        kept.append({"clip_id": f"clip{number}", "caption": f"caption <{number}>", **files})
    size = {"parameters": 1000, "latent_numbers": 64}
    evaluation = Evaluation(scores, {}, seconds, PROTOCOL | {"system": name} | protocol, size, kept)
    write_json(folder / "evaluation.json", asdict(evaluation))
    (folder / "index.html").write_text("")
    return list(clips.values())


@pytest.fixture
def both(tmp_path):
    clips = evaluated(tmp_path / "sketch_ldm", "sketch_ldm", SKETCH), evaluated(tmp_path / "text_ldm", "text_ldm", TEXT)
    return tmp_path, *clips


def test_one_row_a_system_with_the_best_marked(both):
    head, real, sketch, text = (line.split("  ") for line in compare(both[0]).splitlines())
    cells = [[cell.strip() for cell in row if cell.strip()] for row in (head, real, sketch, text)]
    assert cells[0][:3] == ["all attributes ↑", "fvd_embedded ↓", "is_embedded ≈"]
    assert cells[1] == ["real clips", "100.0%", "6.5", "36", "0.005", "1", "–", "–", "–", "–"]
    assert cells[2] == ["sketch_ldm", "75.0%*", "30", "8", "0.001", "0.5", "64", "1,000", "0.375*", "0.75*"]
    # The inception score, flicker and motion are best where they are nearest to those of real clips.
    assert cells[3] == ["text_ldm", "50.0%", "20*", "9*", "0.006*", "1.25*", "64", "1,000", "0.375*", "0.75*"]


def test_the_files_hold_the_same_with_intervals(both):
    reports, _, _ = both
    compare(reports)
    table = pd.read_csv(reports / "systems.csv").set_index("system")
    assert list(table.index) == ["real clips", "sketch_ldm", "text_ldm"]
    assert table.loc["text_ldm", ["fvd_embedded_low", "fvd_embedded", "fvd_embedded_high"]].tolist() == [
        19.75,
        20,
        20.25,
    ]
    assert table.loc["real clips", "fvd_embedded"] == 6.5
    stored = json.loads((reports / "systems.json").read_text())
    assert stored["protocol"]["clips"] == 9
    assert stored["systems"]["sketch_ldm"]["scores"]["is_embedded"] == {"value": 8, "interval": [7.75, 8.25]}
    assert stored["systems"]["text_ldm"]["seconds_per_clip"]["text"] == {"denoising": 0.25, "other": 0.125}


def test_the_page_says_what_each_system_is(tmp_path):
    for name in ("sketch_ldm", "someone_elses"):
        evaluated(tmp_path / name, name, SKETCH)
    compare(tmp_path)
    page = (tmp_path / "systems.html").read_text()
    _, known, unknown = (row.partition("</td>")[0] for row in page.partition("</thead>")[2].split("<tr>")[:3])
    assert ">sketch_ldm</a><span" in known
    assert find_system("sketch_ldm").title in known
    assert ">someone_elses</a>" in unknown
    assert "<span" not in unknown


def test_the_page_shows_the_same_captions_by_all_systems(both):
    reports, sketch, text = both
    compare(reports)
    page = (reports / "systems.html").read_text()
    assert page.count("data:image/webp") == 6
    assert [data_uri(clip) in page for clip in sketch] == [True] * 4
    assert [data_uri(clip) in page for clip in text] == [True, False] * 2  # real clips are shown once
    assert "caption &lt;0&gt;" in page
    assert 'href="sketch_ldm/index.html">sketch_ldm' in page
    assert 'href="text_ldm/index.html">text_ldm' in page
    assert page.count('class="best"') == 9


def test_one_system_alone_is_a_table_too(tmp_path):
    evaluated(tmp_path / "text_ldm", "text_ldm", TEXT)
    lines = compare(tmp_path).splitlines()
    assert len(lines) == 3
    assert "*" not in "".join(lines)
    assert (tmp_path / "systems.html").is_file()


def test_scores_out_of_their_domain_are_marked_and_none_is_best(tmp_path):
    for name, values in (("sketch_ldm", SKETCH), ("text_ldm", TEXT)):
        evaluated(tmp_path / name, name, values)
        path = tmp_path / name / "evaluation.json"
        stored = json.loads(path.read_text())
        stored["scores"]["fvd_embedded"]["protocol"]["domain"] = "clips of <something> else"
        write_json(path, stored)
    head, real, sketch, text, note = compare(tmp_path).splitlines()
    assert "fvd_embedded ↓ †" in head
    assert head.count("†") == 1
    assert note == "† out of its domain: these are clips of <something> else"
    column = head.index("fvd_embedded")
    assert [row[column:].split()[0] for row in (real, sketch, text)] == ["6.5", "30", "20"]
    page = (tmp_path / "systems.html").read_text()
    assert "fvd_embedded ↓ †" in page
    assert "clips of &lt;something&gt; else" in page
    stored = json.loads((tmp_path / "systems.json").read_text())["systems"]["text_ldm"]["scores"]
    assert stored["fvd_embedded"]["domain"] == "clips of <something> else"
    assert "domain" not in stored["is_embedded"]
    table = pd.read_csv(tmp_path / "systems.csv").set_index("system")
    assert table["fvd_embedded_domain"].tolist()[1:] == ["clips of <something> else"] * 2


def test_different_protocols_are_refused_and_the_field_is_named(both):
    reports = both[0]
    evaluated(reports / "long_video", "long_video", TEXT, frames=64)
    with pytest.raises(UserError, match=r"^sketch_ldm and long_video differ in frames \(4 and 64\);") as error:
        compare(reports)
    assert "\n" not in str(error.value)
    assert not (reports / "systems.html").exists()
    assert len(compare(reports, ["text_ldm", "sketch_ldm"]).splitlines()) == 4
    with pytest.raises(
        UserError, match=r"nothing has not been evaluated; choose one of sketch_ldm, long_video, text_ldm"
    ):
        compare(reports, ["nothing"])


def test_an_evaluation_ends_with_the_systems_that_are_like_it(both):
    reports = both[0]
    evaluated(reports / "long_video", "long_video", TEXT, frames=64)
    (reports / "broken").mkdir()
    (reports / "broken" / "evaluation.json").write_text("{")
    table = compare_with("text_ldm", reports)
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["sketch_ldm", "text_ldm"]
    left_out = json.loads((reports / "systems.json").read_text())["left_out"]
    assert set(left_out) == {"long_video", "broken"}
    assert "frames (4 and 64)" in left_out["long_video"]
    assert "frames (4 and 64)" in (reports / "systems.html").read_text()


def test_what_is_not_a_systems_evaluation_is_not_compared(both):
    reports = both[0]
    evaluated(reports / "before", "text_ldm", TEXT, clips=3)
    assert len(compare(reports).splitlines()) == 4


def test_nothing_to_compare_and_old_files_are_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match="holds no evaluation"):
        compare(tmp_path)
    evaluated(tmp_path / "sketch_ldm", "sketch_ldm", SKETCH)
    old = json.loads((tmp_path / "sketch_ldm" / "evaluation.json").read_text())
    write_json(tmp_path / "sketch_ldm" / "evaluation.json", old | {"seconds_per_clip": {"text": 0.5}})
    with pytest.raises(UserError, match="evaluate sketch_ldm again"):
        compare(tmp_path)
