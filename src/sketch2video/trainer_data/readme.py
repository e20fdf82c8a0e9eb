"""The README of a data set: what it holds and the command that trains on it."""

from __future__ import annotations

from sketch2video.trainer_data.clips import CONTROLS, VIDEOS
from sketch2video.trainer_data.frame_choice import CUTS
from sketch2video.trainer_data.trainers import DataSet, Trainer


def readme(trainer: Trainer, data: DataSet, clips: int, rejected: int, facts: list[str], command: str) -> str:
    """The text of ``README.md``.

    Args:
        trainer: the trainer.
        data: the data set.
        clips: number of clips.
        rejected: number of rejected rows.
        facts: sentences about the clips, such as how many are enlarged.
        command: that made the data set.
    """
    settings = data.settings
    length = settings.length
    files = [trainer.metadata, *trainer.files(data)]
    notes = [*facts, *trainer.notes]
    listed = "".join(f"- {note}\n" for note in notes)
    size = f"{settings.width} x {settings.height} px, {length.frames} frames, {length.fps:g} frames a second"
    lines = settings.lines.replace("-", " ")
    return f"""# Data set for {trainer.title}

| | |
|---|---|
| `{VIDEOS}/` | clips: {clips}, {size} |
| `{CONTROLS}/` | a control video of the same name for each: its sketch, lines {lines} |
| {", ".join(f"`{name}`" for name in files)} | metadata |
| `rejected.csv` | rejected rows, with reasons: {rejected} |

Used of each video: {CUTS[settings.cut]}. Frames are cropped around their middle and resized, without distortion.

## Train

With {trainer.url} (checked: {trainer.checked}), in its folder:

```sh
{trainer.commands(data)}
```

Control videos for inference must look like these: lines {lines}, of the same thickness.

{listed}
## Make it again

After a change of videos, captions or settings; clips that are unchanged are kept:

```sh
{command}
```
"""
