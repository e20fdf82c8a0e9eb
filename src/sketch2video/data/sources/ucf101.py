"""UCF-101 as published: a folder of videos for each class, and the official lists of training and test videos.

Layout, as UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip unpack side by side::

    UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
    ucfTrainTestlist/classInd.txt       lines such as "1 ApplyEyeMakeup"
    ucfTrainTestlist/trainlist01.txt    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1"; also 02 and 03
    ucfTrainTestlist/testlist01.txt     "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"

A video is named as in the lists, since class and file name do not always agree (HandstandPushups holds
v_HandStandPushups_g01_c01.avi).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from sketch2video.data.sources.rows import Source, SourceRow, row_id
from sketch2video.errors import UserError
from sketch2video.inputs.texts import brief, shown

VIDEOS = "UCF-101"
LISTS = "ucfTrainTestlist"


def read_ucf101(folder: Path | str, split: int) -> Source:
    """Read the videos of UCF-101: caption "apply eye makeup" and label "ApplyEyeMakeup", splits by the lists.

    Args:
        folder: that holds ``UCF-101/`` and ``ucfTrainTestlist/``.
        split: number of the official pair of lists, 1 to 3.

    Raises:
        UserError: the layout is another one; the message names the file.
    """
    root = Path(folder).resolve()
    for name in (VIDEOS, LISTS):
        if not (root / name).is_dir():
            raise UserError(f"{root / name} is not there; ingest.folder holds {VIDEOS}/ and {LISTS}/ of UCF-101")
    number_of = _class_numbers(root / LISTS / "classInd.txt")
    lists = {side: f"{side}list{split:02d}.txt" for side in ("train", "test")}
    source = Source(f"{LISTS}/{lists['train']} and {lists['test']}", root, root / VIDEOS)
    for side, name in lists.items():
        for where, path, number in _listed(root / LISTS / name, has_numbers=side == "train"):
            label = path.partition("/")[0]
            if label not in number_of:
                raise UserError(f"{where}: {brief(label)} is not a class of classInd.txt; take both from one download")
            if number not in (None, number_of[label]):
                raise UserError(
                    f"{where}: {brief(label)} is class {shown(number_of[label])} in classInd.txt, not {shown(number)};"
                    " take both from one download"
                )
            count = len(source.rows) + len(source.rejected) + 1
            source.add(SourceRow(count, row_id(path, words(label)), path, words(label), label, side))
    return source


def words(label: str) -> str:
    """The words of a class name: "ApplyEyeMakeup" becomes "apply eye makeup"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).lower()


def _class_numbers(path: Path) -> dict[str, int]:
    numbers = {}
    for where, line in _lines(path):
        found = re.fullmatch(r"(\d{1,9})\s+(\S+)", line)
        if not found:
            raise UserError(
                f'{where}: {shown(line)} is not a line such as "1 ApplyEyeMakeup"; download the lists again'
            )
        numbers[found[2]] = int(found[1])
    return numbers


def _listed(path: Path, has_numbers: bool) -> Iterator[tuple[str, str, int | None]]:
    """Yield location, path of the video and, from lists that have it, number of its class, for each line of a list."""
    example = "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi" + (" 1" if has_numbers else "")
    for where, line in _lines(path):
        found = re.fullmatch(r"([^/\s]+/\S+)\s+(\d{1,9})" if has_numbers else r"([^/\s]+/\S+)()", line)
        if not found:
            raise UserError(f'{where}: {shown(line)} is not a line such as "{example}"; download the lists again')
        yield where, found[1], int(found[2]) if has_numbers else None


def _lines(path: Path) -> list[tuple[str, str]]:
    """Location and text of each line of a list that is not blank.

    Raises:
        UserError: the file is missing, is not text, or is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text; download the lists of UCF-101 (recognition) again") from error
    found = [(f"{path}, line {number}", line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise UserError(f"{path} is empty; download the lists of UCF-101 (recognition) again")
    return found
