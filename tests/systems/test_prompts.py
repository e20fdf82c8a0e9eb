from __future__ import annotations

import json
from pathlib import Path

import pytest

from sketch2video.errors import UserError
from sketch2video.systems.prompts import MAX_SEED, Prompt, parse_prompts, read_prompts


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_text_file_is_one_caption_a_line_without_comments(tmp_path: Path) -> None:
    path = write(tmp_path, "prompts.txt", "# a comment\n\na red   circle \n  # another\nçok güzel bir yıldız\n")
    assert read_prompts(path) == [Prompt(3, "a red circle"), Prompt(5, "çok güzel bir yıldız")]


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "drawings").mkdir()
    drawing = write(tmp_path, "drawings/star.svg", "<svg/>")
    rows = [
        {"caption": "a star, which grows", "seed": 7, "num_frames": 12, "sketch": "drawings/star.svg"},
        {"caption": "a heart", "seed": None, "num_frames": None, "sketch": None},
    ]
    as_json = write(tmp_path, "prompts.jsonl", "\n".join(map(json.dumps, rows)))
    as_csv = write(
        tmp_path,
        "prompts.csv",
        '\ufeffcaption, seed,num_frames,sketch\n"a star, which grows",7,12,drawings/star.svg\na heart,,,\n',
    )
    expected = [Prompt(2, "a star, which grows", 7, 12, drawing), Prompt(3, "a heart")]
    assert read_prompts(as_csv) == expected
    assert [p.caption for p in read_prompts(as_json)] == [p.caption for p in expected]
    assert [(p.seed, p.num_frames, p.sketch) for p in read_prompts(as_json)] == [(7, 12, drawing), (None, None, None)]


@pytest.mark.parametrize("seed", [0, MAX_SEED])
def test_seeds_of_a_signed_64_bit_integer_are_kept(tmp_path: Path, seed: int) -> None:
    path = write(tmp_path, "prompts.csv", f"caption,seed\na star,{seed}\n")
    assert read_prompts(path)[0].seed == seed


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.txt", "\n# only this\n", "has no prompts"),
        ("p.doc", "a star", r"\.txt, \.csv, \.jsonl"),
        ("p.csv", "text\na star\n", "no column caption"),
        ("p.csv", "caption,sed\na star,1\n", "unknown column 'sed'"),
        ("p.csv", "caption,caption\na,b\n", "twice"),
        ("p.csv", "caption,seed\na star,1\n,2\n", "row 3: the caption is empty"),
        ("p.csv", "caption,seed\na star,-1\n", "row 2: seed is '-1'"),
        ("p.csv", "caption,seed\na star,1.5\n", "row 2: seed is '1.5'"),
        ("p.csv", f"caption,seed\na star,{2**63}\n", "row 2: seed"),
        ("p.csv", "caption,num_frames\na star,1\n", "row 2: num_frames is '1'"),
        ("p.csv", "caption\na star, which grows\n", "row 2: more cells than columns"),
        ("p.csv", 'caption\n"a star\n', "not a CSV"),
        ("p.csv", "caption,sketch\na star,star.svg\n", "row 2: sketch star.svg is missing"),
        ("p.csv", "caption,sketch\na star,../p.csv\n", "row 2: sketch ../p.csv is outside"),
        ("p.csv", "caption,sketch\na star,/etc/hosts\n", "row 2: sketch /etc/hosts is outside"),
        ("p.csv", "caption,sketch\na star,p.csv\n", "row 2: sketch p.csv is of no known kind"),
        ("p.jsonl", '{"caption": "a"}\n{"caption": \n', "row 2: not JSON"),
        ("p.jsonl", '["a star"]\n', "row 1: not an object"),
        ("p.jsonl", '{"caption": "a", "fps": 3}\n', "row 1: unknown key 'fps'"),
        ("p.jsonl", '{"caption": 3}\n', "row 1: the caption is empty"),
        ("p.jsonl", '{"caption": "a", "seed": true}\n', "row 1: seed is True"),
        ("p.jsonl", '{"caption": "a", "sketch": 3}\n', "row 1: sketch is 3"),
    ],
)
def test_a_wrong_row_is_one_line_that_names_it(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        read_prompts(write(tmp_path, name, text))
    assert "\n" not in str(error.value)


def test_missing_and_binary_files_are_users_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_prompts(tmp_path / "none.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        read_prompts(tmp_path / "binary.txt")


def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    outside = write(tmp_path, "outside.svg", "<svg/>")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "link.svg").symlink_to(outside)
    with pytest.raises(UserError, match="outside"):
        read_prompts(write(tmp_path, "prompts/p.csv", "caption,sketch\na star,link.svg\n"))


def test_the_examples_that_come_with_the_project_are_valid() -> None:
    assert len(read_prompts(Path(__file__).parents[2] / "prompts" / "demo.txt")) == 8


def test_rows_from_elsewhere_are_checked_alike() -> None:
    assert parse_prompts([{"caption": "a star", "seed": 3}], "request") == [Prompt(1, "a star", 3)]
    with pytest.raises(UserError, match="request row 2: the caption is empty"):
        parse_prompts([{"caption": "a star"}, {"caption": float("nan")}], "request")
    with pytest.raises(UserError, match="unknown column 'sketch'"):
        parse_prompts([{"caption": "a star", "sketch": "/etc/hosts"}], "request")
