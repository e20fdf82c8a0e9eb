"""One to three drawings of a clip: ``python -m benchmarks.few_drawings --model models/shared/curve_vae``.

The curve VAE receives captions of held-out clips and drawings of a few of their frames, and draws the others. A drawing
is the ink of one frame, fitted as a single picture, as that of a user is: nothing says which of its strokes are those
of another drawing. The truth are the curves that were fitted to the whole clip. Distances are means over the frames
that are not given. Baselines are captions alone, and the same drawings with linear interpolation between linked
strokes. Judges say whether drawings, and with ``--pipeline`` videos painted over them, show what the caption asks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from tqdm import tqdm

from benchmarks.command import run as run_command
from benchmarks.stroke_errors import match_strokes, part_of
from benchmarks.stroke_ways import HeldOutDrawings, Sampling, about, seen
from benchmarks.strokes import (
    Clips,
    ClipsCount,
    Curves,
    Labels,
    Model,
    Output,
    TextEncoder,
    about_model,
    labelled_clips,
    names_in,
    percent,
    two_decimals,
)
from benchmarks.tables import Write, as_table, page_of, show
from sketch2video.curve_vae import CurveVAE
from sketch2video.curve_vae.given import fit_for, known_frames, together
from sketch2video.curve_vae.known import Known
from sketch2video.curves import CurveSequence
from sketch2video.data.clips.shards import ShardReader
from sketch2video.errors import UserError
from sketch2video.evaluation.evaluate import evaluated_rows
from sketch2video.files import write_json
from sketch2video.generation.seeded import ClipSampling, generate_clips
from sketch2video.judges.faithfulness import JOINT, faithfulness
from sketch2video.judges.label_judge_training import TRAINING, TrainedJudge, judge_of_drawings
from sketch2video.judges.trained.video_judge import TRAINED_JUDGE, VideoJudge, video_judge
from sketch2video.judges.verdict import Verdict
from sketch2video.networks.loading import load_frozen
from sketch2video.params import TrainingParams, load_params
from sketch2video.systems.loading import load_pipeline
from sketch2video.text.encoder import encode_text, load_text_encoder

NOTHING = "nothing"
"""The frames that captions alone give."""
TEXT, STRAIGHT, DRAWN = "text alone", "straight lines", "curve VAE"
"""Ways to draw: from the caption; linear interpolation between given drawings; from the caption and these."""


def given_frames(frames: int) -> dict[str, list[int]]:
    """The frames that are given of a clip of T frames, by their names."""
    middle, last = frames // 2, frames - 1
    return {"first": [0], "first and last": [0, last], "first, middle and last": [0, middle, last]}


def user_drawings(vae: CurveVAE, inks: np.ndarray, frames: Sequence[int]) -> list[dict[int, CurveSequence]]:
    """Drawings of some frames of N clips, each fitted as a single picture.

    Args:
        vae: its config gives the number of strokes and harmonics.
        inks: uint8 (N, T, H, W).
        frames: indices.
    """
    return [
        {frame: fit_for(vae, ink[frame]) for frame in frames} for ink in tqdm(inks, desc="fit drawings", unit="clip")
    ]


def can_be_used(vae: CurveVAE, drawings: Mapping[int, CurveSequence]) -> bool:
    """Whether each drawing has as many strokes as a clip may have, or fewer."""
    return all(drawing.visible.sum() <= vae.config.strokes for drawing in drawings.values())


def known_of(vae: CurveVAE, clips: Sequence[Mapping[int, CurveSequence]], frames: Sequence[int], length: int) -> Known:
    """What is known of clips of T frames, of whose drawings some are given."""
    known = [known_frames(vae, {frame: drawings[frame] for frame in frames}, length) for drawings in clips]
    return together(known, vae.device)


class Painter:
    """Paints drawings as videos, and judges these.

    Args:
        folder: of the pipeline.
        rows: N clips.
        judge: of the videos.
        sampling: settings of the calls.
    """

    def __init__(self, folder: Path, rows: pd.DataFrame, judge: VideoJudge, sampling: ClipSampling) -> None:
        self.pipeline = load_pipeline(folder)
        self.pipeline.set_progress_bar_config(disable=True)
        self.rows, self.judge, self.sampling = rows.reset_index(drop=True), judge, sampling

    def as_asked(self, drawn: Sequence[CurveSequence], name: str) -> dict[str, float]:
        """Share of the videos over drawings of all clips that show everything that is asked for."""
        with TemporaryDirectory() as folder:
            clips = generate_clips(
                self.pipeline,
                self.rows,
                self.sampling,
                Path(folder),
                name,
                lambda batch: {"curves": [drawn[index] for index in batch.index]},
            )
            verdict = Verdict.concatenate([self.judge.verdict(frames) for frames, _ in clips.batches()])
        return about(faithfulness(verdict, self.judge.requested(self.rows), joint_of_asked=True)[JOINT])


def measured(
    held_out: HeldOutDrawings,
    clips: Sequence[Mapping[int, CurveSequence]],
    judge: TrainedJudge,
    painter: Painter | None,
) -> list[dict[str, Any]]:
    """Draw and measure all ways.

    Args:
        held_out: N clips, and the network.
        clips: drawings of these clips by frame, as a user gives them.
        judge: of drawings.
        painter: None: nothing is painted.

    Returns:
        For each way ``given``, the names of the given frames, and ``way``; ``between``, distances from the real
        drawings in the other frames (:meth:`HeldOutDrawings.distances`), and ``strokes_px_of``, those of strokes by
        motion where clips have one; ``as_asked``, shares of the judge of drawings; ``painted``, share of videos, None
        without a painter; ``seconds`` a clip, None where nothing is sampled.
    """
    length = len(held_out.real[0])
    found = []

    def add(given: str, way: str, frames: Sequence[int], drawn: list[CurveSequence], seconds: float | None) -> None:
        others = [frame for frame in range(length) if frame not in frames]
        verdict = seen(judge, drawn)
        found.append(
            {
                "given": given,
                "way": way,
                "frames": list(frames),
                "between": held_out.distances(drawn, others),
                "strokes_px_of": by_motion(held_out, drawn, others),
                "as_asked": {k: about(share) for k, share in faithfulness(verdict, held_out.rows).items()}
                if verdict
                else {},
                "painted": painter and painter.as_asked(drawn, f"{way}, {given}"),
                "seconds": seconds,
            }
        )

    add(NOTHING, TEXT, [], *held_out.drawn())
    for name, frames in given_frames(length).items():
        known = known_of(held_out.vae, clips, frames, length)
        add(name, STRAIGHT, frames, held_out.interpolated(known), None)
        add(name, DRAWN, frames, *held_out.drawn(known))
    return found


def by_motion(held_out: HeldOutDrawings, drawn: Sequence[CurveSequence], frames: Sequence[int]) -> dict[str, float]:
    """Mean distance of matched strokes of the clips of each motion, px; empty where clips have none."""
    if "motion" not in held_out.rows or held_out.rows["motion"].isna().any():
        return {}
    sums: dict[str, np.ndarray] = {}
    for motion, real, made in zip(held_out.rows["motion"], held_out.real, drawn, strict=True):
        matched = match_strokes(part_of(real, frames), part_of(made, frames))
        total = sums.setdefault(motion, np.zeros(2))
        total += (matched.distance * held_out.size, matched.frames)
    return {motion: float(distance / max(count, 1)) for motion, (distance, count) in sorted(sums.items())}


def markdown(found: Mapping[str, Any]) -> str:
    """What was found, as a table and notes."""
    ways, protocol = found["ways"], found["protocol"]
    painted = any(way["painted"] for way in ways)
    columns = ["given", "way", "strokes, px", "unmatched", "ink, px", "correct", *["painted"] * painted]
    rows = []
    for way in ways:
        between, share = way["between"], list(way["as_asked"].values())[-1:]
        strokes = two_decimals(between["strokes_px"])
        rows.append(
            [
                way["given"],
                way["way"],
                strokes,
                f"{between['unmatched']:.2f}",
                f"{between['ink_px']:.2f}",
                percent(share[0]) if share else "–",
                *([percent(way["painted"])] if painted else []),
            ]
        )
    lines = [
        f"{found['model']['name']}, {protocol['clips']} held-out clips of {protocol['frames']} frames of"
        f" {protocol['size']} px; distances of the frames that are not given; judge {found['judge']}"
    ]
    if protocol["left_out"]:
        lines.append(f"{protocol['left_out']} more clips have a drawing of more strokes than the network draws")
    if ways[0]["strokes_px_of"]:
        for way in ways:
            if way["way"] == DRAWN:
                parts = ", ".join(f"{motion} {px:.2f}" for motion, px in way["strokes_px_of"].items())
                lines.append(f"{way['given']} given, strokes by motion: {parts}")
    return f"{as_table(columns, rows)}\n\n" + "\n".join(f"- {line}" for line in lines)


def compare(
    vae: CurveVAE,
    model: Mapping[str, Any],
    curves: Path,
    sketches: Path,
    clips: Path,
    text_encoder: Path,
    output: Path,
    *,
    number: int,
    sampling: Sampling,
    size: int,
    labels: Sequence[str] | None = None,
    settings: TrainingParams = TRAINING,
    painting: tuple[Path, Path, ClipSampling] | None = None,
) -> dict[str, Any]:
    """Measure a model, and write ``few_drawings.json`` into ``output``.

    Args:
        vae: the network.
        model: what is recorded of it; see :func:`benchmarks.strokes.about_model`.
        curves, sketches, clips: folders of shards.
        text_encoder: folder of the text encoder.
        output: folder of the results, and of a judge that is trained.
        number: of held-out clips.
        sampling: how drawings are sampled.
        size: of the frames, px.
        labels, settings: of the judge of drawings; see
            :func:`~sketch2video.judges.label_judge_training.judge_of_drawings`.
        painting: folders of a pipeline and of a judge of videos, and settings of the calls; None: nothing is painted.

    Returns:
        ``ways`` (:func:`measured`), ``protocol``, ``judge`` and ``model``.

    Raises:
        UserError: an input is missing or damaged.
    """
    vae.to("cuda" if torch.cuda.is_available() else "cpu")
    table = labelled_clips(curves, clips)
    rows, split = evaluated_rows(table, number)
    inks = ShardReader(sketches).batch("ink", rows)
    frames = list(given_frames(inks.shape[1]).values())[-1]
    drawings = user_drawings(vae, inks, frames)
    usable = [can_be_used(vae, each) for each in drawings]
    drawings = [each for each, use in zip(drawings, usable, strict=True) if use]
    rows = rows[usable].reset_index(drop=True)
    text = encode_text(*load_text_encoder(text_encoder), rows["caption"].tolist()).to(vae.device)
    judge = judge_of_drawings(curves, table, labels, output, settings=settings)
    held_out = HeldOutDrawings(vae, text, curves, rows, sampling, size)
    painter = None
    if painting is not None:
        folder, trained_judge, call = painting
        of_videos = video_judge(rows, trained_judge)
        if isinstance(of_videos, str):
            raise UserError(f"--pipeline {of_videos}")
        painter = Painter(folder, rows, of_videos, call)
    found = {
        "ways": measured(held_out, drawings, judge, painter),
        "protocol": {
            "split": split,
            "clips": len(rows),
            "left_out": len(usable) - sum(usable),
            "frames": inks.shape[1],
            "size": size,
            **sampling._asdict(),
        },
        "judge": judge.name,
        "model": dict(model),
    }
    write_json(output / "few_drawings.json", found)
    return found


def main(
    model: Model = Path("models/shared/curve_vae"),
    curves: Curves = Path("data/curves"),
    sketches: Annotated[Path, typer.Option(help="Folder of the sketches, for the drawings")] = Path("data/sketches"),
    clips: Clips = Path("data/clips"),
    text_encoder: TextEncoder = Path("models/shared/text_encoder"),
    clips_count: ClipsCount = 144,
    labels: Labels = "",
    batch_size: Annotated[int, typer.Option(min=1, help="Clips that are drawn at once")] = 24,
    pipeline: Annotated[Path | None, typer.Option(help="Pipeline that paints the drawings; default: none")] = None,
    judge: Annotated[Path, typer.Option(help="Folder of a trained judge of videos")] = TRAINED_JUDGE,
    output: Output = Path("reports/bench"),
    write: Write = False,
) -> None:
    """Measure how well one to three drawings of a clip are completed."""
    page = page_of("few_drawings", write)
    params = load_params()
    vae = load_frozen(CurveVAE, model, "train_curve_vae")
    found = compare(
        vae,
        about_model(model, vae),
        curves,
        sketches,
        clips,
        text_encoder,
        output,
        number=clips_count,
        sampling=Sampling(batch_size=batch_size, seed=params.base.seed),
        size=params.base.size,
        labels=names_in(labels),
        painting=None if pipeline is None else (pipeline, judge, ClipSampling.of(params)),
    )
    show("few_drawings", markdown(found), page)
    print(f"written to {output}/few_drawings.json")


if __name__ == "__main__":
    run_command(main)
