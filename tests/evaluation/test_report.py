import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sketch2video.controls import SKETCH
from sketch2video.evaluation.report import Example, animation, loss_curve, share_groups, write_report
from sketch2video.evaluation.scores import Evaluation, Score

PROTOCOL = {
    "system": "sketch_ldm",
    "split": "test",
    "clips": 9,
    "frames": 4,
    "size": 16,
    "video_judge": "video-abc",
    "sampling": {"seed": 3, "batch_size": 4},
}
SECONDS = {
    "text": {"curves": 0.125, "denoising": 0.25, "other": 0.125},
    "fitted": {"denoising": 0.25},
    "alone": {"denoising": 1.0},
}


def evaluation_of(scores=None, left_out=None, **protocol):
    return Evaluation(scores or {}, left_out or {}, SECONDS, PROTOCOL | protocol, {"parameters": 1234567})


def shares(prefix, suffix="", attributes=("shape", "colour", "motion", "joint")):
    return {f"{prefix}_{a}{suffix}": Score(0.75, (0.6, 0.85), protocol={"clips": 9}) for a in attributes}


def clip_of(shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


class Tags(HTMLParser):
    """Complains about tags that are not closed, or closed in the wrong order."""

    VOID = ("meta", "img", "br", "path", "use")

    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in {"src", "href", "xlink:href"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in {"src", "href", "xlink:href"}]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def read_page(folder):
    page = (folder / "index.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    others = [source for source in tags.sources if not source.startswith(("data:", "#"))]
    assert others == ["systems.html"], "the page must not need other files"
    return page


def test_the_whole_report_is_one_page_that_needs_nothing_else(tmp_path):
    scores = shares("faithfulness") | shares("faithfulness", "_fitted") | shares("judge_accuracy")
    scores |= shares("sketch_faithfulness", attributes=("shape", "motion", "joint"))
    scores["fvd_embedded"] = Score(3.21, (3.0, 3.5), 1.25, {"clips_generated": 4, "clips_real": 5})
    scores["is_embedded"] = Score(12.5, None, protocol={"clips": 9, "classes": 216})
    scores["flicker"] = Score(0.0123, (0.011, 0.0135), 0.0045, {"clips": 9})
    scores["motion_ratio"] = Score(0.876, None, 1.0, {"clips": 9, "real": 0.0077, "unit": "frame widths a frame"})
    scores["motion_ratio_fitted"] = Score(0.934, None, 1.0, {"clips": 9})
    directions = {"asked_to_found_px": {"mean": 0.611, "p95": 1.77}, "found_to_asked_px": {"mean": 0.522, "p95": 1.88}}
    scores["control_px"] = Score(0.456, (0.4, 0.501), 0.333, {"clips": 9, **directions})
    scores["control_px_fitted"] = Score(0.444, None, 0.333, {"clips": 9, **directions})
    scores["control_f1"] = Score(0.888, None, 0.999, {"clips": 9})
    (tmp_path / "plots").mkdir()
    curve = pd.DataFrame({"step": [1, 2, 3], "learning_rate": [1, 1, 1], "loss": [3.0, 2, 1], "kl": [0.0, 1, 1]})
    curve.to_csv(tmp_path / "plots" / "curve_vae.csv", index=False)
    pd.DataFrame({"word": ["a"]}).to_csv(tmp_path / "plots" / "other.csv", index=False)
    pairs = pd.DataFrame({"attribute": "shape", "asked": ["circle", "star"], "judged": ["circle", "heart"]})
    example = Example(
        "clip",
        'a <red> circle & "friends"',
        {
            "real": clip_of((4, 16, 16, 3)),
            "sketch": clip_of((4, 16, 16)),
            "generated from text": clip_of((4, 16, 16, 3)),
        },
        {"generated from text": [("circle", True), ("blue", False)]},
    )
    write_report(tmp_path, evaluation_of(scores), SKETCH, pairs, [example], [example])
    page = read_page(tmp_path)
    assert "a &lt;red&gt; circle &amp;" in page
    assert "<red>" not in page
    assert page.count("data:image/webp") == 6
    for text in (
        "<h1>Evaluation of sketch_ldm</h1>",
        "<code>sketch_ldm</code> (text → sketch → video): from the text alone",
        "75.0%",
        "60.0% – 85.0%",
        "3.21",
        "1.25",
        "✗ blue",
        "✓ circle",
        "curve vae",
        "video-abc",
        "4 against 5",
        "0.0123",
        "0.011 – 0.0135",
        "0.0045",
        "0.934",
        "0.0077 frame widths a frame",
        "0.4 – 0.501",
        "0.444",
        "0.999",
        "from drawing to video 0.611 px",
        "1,234,567 parameters",
        "width: 25.0%",
    ):
        assert text in page, text
    assert "other" not in re.findall(r"<h3>(.*?)</h3>", page)


def test_what_is_left_out_is_said(tmp_path):
    nothing = pd.DataFrame(columns=["attribute", "asked", "judged"])
    evaluation = evaluation_of(left_out={"fvd_embedded": "needs 8 clips"}, split="train")
    write_report(tmp_path, evaluation, SKETCH, nothing, [], [])
    page = read_page(tmp_path)
    assert "needs 8 clips" in page
    assert "There is no test split" in page
    assert "Faithfulness" not in page
    assert "Steadiness" not in page
    assert "Is the drawing followed?" not in page


def test_the_classes_that_a_judge_finds_have_real_clips_beside_them(tmp_path):
    labels = {"action": (["action"], 3), "label": (["action", "way"], 9)}
    scores = shares("faithfulness", attributes=("action", "joint")) | shares(
        "judge_accuracy", attributes=("action", "joint")
    )
    for end, value in (("", 2.125), ("_fitted", 2.875)):
        scores |= {f"faithfulness_action{end}": Score(value / 4, (0.125, 1.0), protocol={"clips": 9})}
        scores[f"accuracy_label{end}"] = Score(value / 8, (0.125, 0.375), 0.9375)
        for name, (words, classes) in labels.items():
            about = {"name": name, "labels": words, "classes": classes}
            scores |= {f"{measure}_{name}{end}": Score(value, None, 1.5, about) for measure in ("h_yx", "h_y")}
            scores[f"inception_{name}{end}"] = Score(value, None, 1.75, about)
    scores["fvd_labels"] = Score(4.25, None, 1.25, {"clips_generated": 4, "clips_real": 5})
    nothing = pd.DataFrame(columns=["attribute", "asked", "judged"])
    write_report(tmp_path, evaluation_of(scores), SKETCH, nothing, [], [])
    page = read_page(tmp_path)
    table = page.partition("Certainty and variety")[2].partition("</table>")[0]
    rows = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in table.split("<tr>")[2:]]
    assert rows == [
        "action 3 53.1% 12.5% – 100.0% real: 75.0% 2.12 real: 1.75 2.12 real: 1.5 2.12 real: 1.5"
        " 71.9% 12.5% – 100.0% real: 75.0% 2.88 real: 1.75 2.88 real: 1.5 2.88 real: 1.5",
        "action and way 9 26.6% 12.5% – 37.5% real: 93.8% 2.12 real: 1.75 2.12 real: 1.5 2.12 real: 1.5"
        " 35.9% 12.5% – 37.5% real: 93.8% 2.88 real: 1.75 2.88 real: 1.5 2.88 real: 1.5",
    ]
    assert "the judge of these data" in page
    assert "fvd_labels; real clips among themselves: 1.25" in page
    assert "out of its domain" not in page


@pytest.mark.parametrize("shape", [(5, 12, 20, 3), (5, 12, 20)])
def test_animations_have_all_frames(shape):
    head, data = animation(clip_of(shape)).split(",")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert head == "data:image/webp;base64"
    assert (image.n_frames, image.size) == (5, (20, 12))


def test_ink_is_shown_dark_on_light():
    blank = Image.open(io.BytesIO(base64.b64decode(animation(np.zeros((2, 8, 8), np.uint8)).split(",")[1])))
    assert np.asarray(blank.convert("RGB")).min() > 250


def test_loss_curves_are_the_same_whenever_they_are_drawn():
    table = pd.DataFrame({"step": [1, 2], "loss": [-1.0, 2.0], "learning_rate": [1, 1]})
    assert loss_curve(table) == loss_curve(table)
    assert loss_curve(table).startswith("<svg")


def test_shares_are_grouped_in_the_reports_order():
    scores = shares("judge_accuracy") | shares("faithfulness", "_fitted") | {"psnr_fitted": Score(1.0)}
    groups = share_groups(scores, SKETCH.way)
    assert [list(group) for _, group in groups] == [["shape", "colour", "motion", "joint"]] * 2
    assert groups[0][0].startswith("Painted")
