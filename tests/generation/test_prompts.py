from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from sketch2video.errors import UserError
from sketch2video.generation.prompts import MAX_SEED, Prompt, parse_prompts, read_prompts
from sketch2video.inputs.caption_lines import caption_line


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


def test_a_sketch_may_be_an_equation(tmp_path: Path) -> None:
    drawing = write(tmp_path, "star.json", "{}")
    assert read_prompts(write(tmp_path, "p.csv", "caption,sketch\na star,star.json\n"))[0].sketch == drawing


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


@pytest.mark.parametrize("name", ["demo", "rich", "two_objects"])
def test_the_examples_that_come_with_the_project_are_valid(name: str) -> None:
    assert len(read_prompts(Path(__file__).parents[2] / "prompts" / f"{name}.txt")) == 8


def test_rows_from_elsewhere_are_checked_alike() -> None:
    assert parse_prompts([{"caption": "a star", "seed": 3}], "request") == [Prompt(1, "a star", 3)]
    with pytest.raises(UserError, match="request row 2: the caption is empty"):
        parse_prompts([{"caption": "a star"}, {"caption": float("nan")}], "request")
    for column in ("sketch", "sketch_0"):
        with pytest.raises(UserError, match=f"unknown column '{column}'"):
            parse_prompts([{"caption": "a star", column: "/etc/hosts"}], "request")


SEPARATORS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    captions = [f"a red{separator}circle" for separator in SEPARATORS]
    text = write(tmp_path, "p.txt", "\r\n".join(captions) + "\r\n")
    assert read_prompts(text) == [Prompt(row, "a red circle") for row in range(1, 9)]
    lines = [json.dumps({"caption": caption}, ensure_ascii=False) for caption in captions[:3]]
    assert read_prompts(write(tmp_path, "p.jsonl", "\n".join(lines))) == [Prompt(n, "a red circle") for n in (1, 2, 3)]
    table = write(tmp_path, "p.csv", "caption\n" + "\n".join(captions) + "\n")
    assert read_prompts(table) == [Prompt(row, "a red circle") for row in range(2, 10)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.txt", "a star, café\n"),
        ("p.csv", "Caption;SEED \na star, café;\n"),
        ("p.jsonl", '{"caption": "a star, café"}'),
    ],
)
def test_files_are_read_as_other_programs_write_them(tmp_path: Path, encoding: str, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    assert [prompt.caption for prompt in read_prompts(path)] == ["a star, café"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.jsonl", '{"caption": "a"}\n' + "[" * 100_000, "row 2: not an object but lists in lists"),
        ("p.jsonl", '{"caption": "a", "seed": ' + '{"a":' * 300 + "1" + "}" * 301, "row 1: seed is an object"),
        ("p.jsonl", f'{{"caption": "a", "seed": {"9" * 5000}}}', "row 1: seed is 9999.*…; give a whole number"),
        ("p.jsonl", f'{{"caption": "a", "seed": "{"9" * 5000}"}}', "row 1: seed is '9999.*…; give a whole number"),
        ("p.jsonl", f'{{"caption": "a", "seed": -{"9" * 5000}}}', "row 1: seed is -999.*…; give a whole number"),
        ("p.jsonl", '{"caption": "a", "seed": 1e400}', "row 1: seed is inf"),
        ("p.jsonl", '{"caption": "a", "seed": NaN}', "row 1: seed is nan"),
        ("p.jsonl", f'{{"caption": {"9" * 5000}}}', "row 1: the caption is empty"),
        ("p.jsonl", '{"caption": "a \\ud83d star"}', r"row 1: caption a \\ud83d star has half a character"),
        ("p.jsonl", '{"caption": "a \\u0000 star"}', "row 1: caption .* has half a character .* or a NUL"),
        ("p.jsonl", '{"caption": "a", "sketch": "\\udc00.svg"}', "row 1: sketch .* has half a character"),
        ("p.jsonl", '{"caption": "a", "\\ud83d": 1}', "row 1: unknown key"),
        ("p.jsonl", '{"caption": "a", "caption": "b"}', "row 1: the key caption is given twice"),
        ("p.jsonl", f'{{"caption": "a", "{"k" * 5000}": 1}}', "row 1: unknown key 'kkk.*…; the keys"),
        ("p.csv", f"caption,seed\na,{'9' * 5000}\n", "row 2: seed is '9999.*…; give a whole number"),
        (
            "p.csv",
            f"caption,sketch\na star,{'long ' * 100}.svg\n",
            "row 2: sketch long .*… is longer than a file's name",
        ),
        ("p.csv", f"caption,sketch\na star,{'é' * 130}.svg\n", "row 2: sketch é.* is longer than a file's name"),
        ("p.csv", 'caption,sketch\na star,"a\nb.svg"\n', r"row 2: sketch a b\.svg is missing"),
        ("p.csv", f"caption\na\n{'x' * 200_000}\n", "row 3: not a CSV row: a cell has more than 131072 characters"),
        ("p.csv", 'caption,seed\na\n"a star,3\nb,4\n', "row 3: not a CSV row: a quote is opened"),
        ("p.csv", "caption;sed\na star;1\n", "unknown column 'sed'"),
        ("p.csv", "caption,sketch\na star,loop/x.svg\n", "row 2: sketch loop/x.svg is "),
        ("p.csv", "caption,sketch\na star,p.csv/x.svg\n", "row 2: sketch p.csv/x.svg is missing"),
    ],
)
def test_what_no_file_should_hold_is_one_short_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match=message) as error:
        read_prompts(write(tmp_path, name, text))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
    str(error.value).encode()


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_sketch_is_found_in_either_normal_form(tmp_path: Path, form: str) -> None:
    drawing = write(tmp_path, unicodedata.normalize(form, "étoile.svg"), "<svg/>")
    for written in ("NFC", "NFD"):
        table = write(tmp_path, "p.csv", f"caption,sketch\na,{unicodedata.normalize(written, 'étoile.svg')}\n")
        assert read_prompts(table)[0].sketch == drawing


@pytest.mark.parametrize(
    "caption",
    [
        "# first in line",
        "#1",
        "\\# a",
        "\\\\ b",
        '"quoted", and more',
        "'",
        "a # b",
        "caption",
        "sep=,",
        "ü",
        "{",
        "\\n",
    ],
)
def test_what_is_printed_is_read_again(tmp_path: Path, caption: str) -> None:
    text = "".join(f"{caption_line(each)}\n" for each in ("x", caption, "y"))
    found = read_prompts(write(tmp_path, "p.txt", text))
    assert [prompt.caption for prompt in found] == ["x", caption, "y"]
    assert read_prompts(write(tmp_path, "p.txt", f"{caption_line(caption)}\n"))[0].caption == caption
