"""Classification accuracy score of a pipeline: ``python -m benchmarks.cas [--model FOLDER --data FOLDER]``.

A clip is generated for each caption of some training clips. The judge's classifier is trained on the generated clips
alone, and once more on the real ones of the same captions, with the same steps and seed, and both are tested on the
held-out real clips (:mod:`sketch2video.judges.trained.accuracy_score`). An interrupted run resumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from benchmarks.command import run as run_command
from benchmarks.tables import Write, as_table, page_of, publish
from sketch2video.data.clips.shards import read_table
from sketch2video.errors import UserError
from sketch2video.evaluation.report import percent
from sketch2video.evaluation.scores import spread_evenly
from sketch2video.generation import seeded
from sketch2video.generation.seeded import ClipSampling, GeneratedClips, generate_clips
from sketch2video.judges.faithfulness import JOINT, Share
from sketch2video.judges.labels import TESTED_CLIPS, some_clips
from sketch2video.judges.trained import accuracy_score
from sketch2video.judges.trained.accuracy_score import classification_accuracy, labels_to_classify
from sketch2video.judges.trained.training import Clips, ShardClips, needless
from sketch2video.judges.trained.video_judge import short_name
from sketch2video.params import JudgeParams, Params, load_params
from sketch2video.systems.loading import content_hash, load_pipeline, pipeline_code
from sketch2video.training.checkpoints import folder_for, remove_old_folders

REAL, GENERATED = "real clips", "generated from text"
"""What a classifier is trained on."""


@dataclass(frozen=True)
class Experiment:
    """What both classifiers share.

    Attributes:
        clips: folder of the real clips.
        training: the training clips whose captions are used.
        held_out: the real clips for testing.
        labels: columns to classify.
        section: settings of the classifier and its training.
        seed: of both trainings.
    """

    clips: Path
    training: pd.DataFrame
    held_out: pd.DataFrame
    labels: list[str]
    section: JudgeParams
    seed: int

    def accuracy(self, clips: Clips, made: str, name: str, checkpoints: Path) -> dict[str, Share]:
        """Accuracy on the held-out clips after training on some clips, which ``made`` identifies."""
        settings = {
            "section": self.section.model_dump(),
            "seed": self.seed,
            "training": self.training[["clip_id", *self.labels]].astype(str).to_dict("list"),
            "made": made,
        }
        folder = folder_for(f"cas-{name.split()[0]}", settings, [], checkpoints, code=[str(accuracy_score.__file__)])
        return classification_accuracy(
            clips,
            self.training,
            self.labels,
            self.clips,
            self.held_out,
            self.section,
            name=f"classifier ({name})",
            checkpoint_folder=folder,
            seed=self.seed,
        )


def experiment(clips: Path, number: int, section: JudgeParams, seed: int) -> Experiment:
    """The training and held-out clips: at most ``number`` training clips, evenly over their labels.

    Raises:
        UserError: no label can be classified.
    """
    table = read_table(clips / "clips.parquet")
    labels = labels_to_classify(table)
    if not labels:
        raise UserError(f"nothing to classify in {clips}: {needless(table)}; add labels to captions.csv")
    training = spread_evenly(table[table["split"] == "train"], number)
    return Experiment(clips, training, some_clips(table, "test", TESTED_CLIPS), labels, section, seed)


def generated(model: Path, rows: pd.DataFrame, sampling: ClipSampling, checkpoints: Path) -> tuple[GeneratedClips, str]:
    """Clips from the captions of the rows, and the name of their folder, the hash of all their inputs."""
    pipeline = load_pipeline(model)
    settings = {"model": content_hash(model), "sampling": sampling.model_dump(), "rows": rows.to_json()}
    code = [str(seeded.__file__), pipeline_code(pipeline)]
    folder = folder_for("cas-clips", settings, [], checkpoints, code=code)
    remove_old_folders(folder)
    return generate_clips(pipeline, rows, sampling, folder, "training clips"), folder.name


def measured(model: Path, data: Experiment, params: Params, checkpoints: Path) -> dict[str, dict[str, Share]]:
    """The accuracy of each label by what the classifier is trained on."""
    clips, made = generated(model, data.training, ClipSampling.of(params), checkpoints)
    return {
        REAL: data.accuracy(ShardClips(data.clips, data.training), content_hash(data.clips), REAL, checkpoints),
        GENERATED: data.accuracy(clips.frames, made, GENERATED, checkpoints),
    }


def markdown(found: Mapping[str, Mapping[str, Share]], data: Experiment) -> str:
    """The table: a row for each training set, a column for each label."""
    labels = list(found[REAL])
    titles = ["all at once" if label == JOINT else short_name(label).replace("_", " ") for label in labels]
    rows = [[name, *(_cell(shares[label]) for label in labels)] for name, shares in found.items()]
    about = (
        f"Accuracy on {len(data.held_out)} held-out real clips of a classifier trained on {len(data.training)} clips,"
        f" {data.section.training.steps} steps of {data.section.training.batch_size}:"
    )
    return f"{about}\n\n{as_table(['trained on', *titles], rows)}\n"


def _cell(share: Share) -> str:
    low, high = (percent(end).rstrip("%") for end in share.interval)
    return f"{percent(share.value)} [{low}, {high}]"


def main(
    model: Annotated[Path, typer.Option(help="Folder of the pipeline.")] = Path("models/sketch_ldm/pipeline"),
    data: Annotated[Path, typer.Option(help="Folder that holds clips.")] = Path("data"),
    clips: Annotated[int, typer.Option(min=8, help="Training clips, real and generated.")] = 1440,
    steps: Annotated[int | None, typer.Option(min=1, help="Of each classifier; default: judge.training.steps.")] = None,
    reports: Annotated[Path, typer.Option(help="Where cas.{json,md} go.")] = Path("reports/bench"),
    checkpoints: Annotated[Path, typer.Option(help="Generated clips and trainings.")] = Path("checkpoints"),
    write: Write = False,
) -> None:
    """Train a classifier on generated clips and one on real clips, and test both on held-out real clips."""
    params = load_params()
    source = params.ingest.source
    name = "cas" if source == "synthetic" else f"cas_{source}"
    page = page_of(name, write)
    section = params.judge
    if steps is not None:
        section = section.model_copy(update={"training": section.training.model_copy(update={"steps": steps})})
    chosen = experiment(data / "clips", clips, section, params.base.seed)
    found = measured(model, chosen, params, checkpoints)
    publish(name, markdown(found, chosen), as_json(found, chosen, model, params), reports, page)


def as_json(found: Mapping[str, Mapping[str, Share]], data: Experiment, model: Path, params: Params) -> dict[str, Any]:
    """The content of the JSON file: protocol, and shares with intervals."""
    protocol = {
        "model": content_hash(model)[:12],
        "sampling": ClipSampling.of(params).model_dump(),
        "judge": data.section.model_dump(),
        "seed": data.seed,
        "training_clips": len(data.training),
        "held_out_clips": len(data.held_out),
    }
    shares = {
        name: {
            label: {"value": one.value, "interval": one.interval, "clips": one.total} for label, one in labels.items()
        }
        for name, labels in found.items()
    }
    return {"protocol": protocol, "accuracy": shares}


if __name__ == "__main__":
    run_command(main)
