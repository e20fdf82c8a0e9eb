"""Tables of benchmarks in a copy of the documentation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import loader, results, tables
from benchmarks.tables import as_table, page_of, publish, show
from sketch2video.errors import UserError
from sketch2video.evaluation.scores import Evaluation, Score
from sketch2video.files import read_json, write_json
from tests.benchmarks.cells import cells_of

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- table: {} (make x) -->", "<!-- /table -->"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the project's pages."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("pictures"))
    shutil.copy(ROOT / "README.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    pages = [folder / "README.md", *(folder / "docs").rglob("*")]
    return {str(page.relative_to(folder)): page.read_bytes() for page in pages if page.is_file()}


def parted(page: bytes, name: str) -> tuple[str, str, str]:
    """A page before, between and after the markers of a table; found without regular expressions."""
    before, opening, rest = page.decode().partition(f"<!-- table: {name} (")
    command, closing, rest = rest.partition(" -->")
    text, _, after = rest.partition(END)
    return before + opening + command + closing, text, after


def test_a_benchmark_changes_what_is_between_its_markers_alone(copy, capsys):
    old = contents(copy)
    loader.main(60, 2, copy / "bench")
    assert contents(copy) == old, "without --write nothing is written"
    loader.main(60, 2, copy / "bench", write=True)
    new = contents(copy)
    assert [name for name in old if new[name] != old[name]] == ["docs/results.md"]
    assert new.keys() == old.keys(), "nothing is left beside the page"
    before, text, after = parted(new["docs/results.md"], "loader")
    assert (before, after) == parted(old["docs/results.md"], "loader")[::2]
    lines = text.strip().splitlines()
    assert "\n".join(lines[:-2]) in capsys.readouterr().out
    assert [cells_of(line)[:2] for line in lines[2:-2]] == [
        [group, method] for group in ("30", "250") for method in ("decode all", "seek, first sample", "seek")
    ]
    assert lines[-2] == ""
    assert lines[-1].startswith("*")
    assert lines[-1].endswith("`*")


@pytest.mark.parametrize(("variable", "option", "written"), [("1", [], True), ("", [], False), ("", ["--write"], True)])
def test_the_option_and_the_variable_of_make_write(copy, variable, option, written):
    old = contents(copy)
    command = [sys.executable, "-m", "benchmarks.loader", "--frames", "12", "--wanted=1", f"--reports={copy}/two words"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": path, "WRITE": variable}
    subprocess.run([*command, *option], cwd=copy, env=environment, check=True, capture_output=True)
    _, text, _ = parted(contents(copy)["docs/results.md"], "loader")
    assert (contents(copy) != old) == written
    assert ("`python -m benchmarks.loader --frames 12 --wanted=1 " in text) == written
    assert "--write" not in text


def test_a_table_without_markers_is_one_line_before_anything_is_measured(copy, monkeypatch):
    monkeypatch.setattr(loader, "measured", None)
    page = copy / "docs/results.md"
    page.write_text(page.read_text().replace("<!-- table: loader ", "<!-- table: reader "))
    with pytest.raises(UserError, match=r"<!-- table: loader \(COMMAND\) -->") as error:
        loader.main(60, 2, copy / "bench", write=True)
    assert "\n" not in str(error.value)


def test_an_open_marker_does_not_take_the_table_below_it(copy):
    page = copy / "docs/new.md"
    page.write_text(
        f"{BEGIN.format('one')}\ntext\n{BEGIN.format('two')}\n{END}\nas in `{BEGIN.format('three')}` {END}\n"
    )
    for name in ("one", "three", "tw"):
        with pytest.raises(UserError, match=f"table: {name} "):
            page_of(name, True)
    assert page_of("two", True) == Path("docs/new.md")
    assert page_of("one", False) is None


def test_other_text_keeps_its_bytes(copy):
    page = copy / "docs/new.md"
    opening = BEGIN.format("one")
    page.write_bytes(f"é\r\n{opening}\r\n\\1 old\r\n{END}\r\nend".encode())
    show("one", r"new \1", page, "here")
    written = page.read_bytes().decode()
    assert written.startswith(f"é\r\n{opening}\n\nnew \\1\n\n*here: `python ")
    assert written.endswith(f"`*\n\n{END}\r\nend")
    show("one", r"new \1", page, "here")
    assert page.read_bytes().decode() == written


def test_results_are_files_of_one_name_a_table_and_a_page(copy, capsys):
    page = copy / "docs/new.md"
    page.write_text(f"{BEGIN.format('one')}\n{END}\n")
    publish("one", "| a |\n", {"b": [1, None]}, copy / "bench", page, "here")
    assert {path.name for path in (copy / "bench").iterdir()} == {"one.json", "one.md"}
    assert read_json(copy / "bench/one.json") == {"b": [1, None]}
    assert (copy / "bench/one.md").read_text() == "| a |\n"
    assert page.read_text().startswith(f"{BEGIN.format('one')}\n\n| a |\n\n*here: `")
    assert capsys.readouterr().out.splitlines() == [
        "| a |",
        f"written to {page}",
        f"written to {copy}/bench/one.json and one.md",
    ]


def test_cells_come_back_as_they_were():
    cells = [["", "0.10", "1e3"], ["–", "95.1% [92.0, 97.1]", "**bold**"], ["007", "+1", "H(y|x)"]]
    lines = as_table(["a", "", "ink→curve px"], cells).splitlines()
    assert cells_of(lines[0]) == ["a", "", "ink→curve px"]
    assert set(lines[1]) == set("|-")
    assert [cells_of(line) for line in lines[2:]] == cells


def evaluated(name: str, values: dict[str, float], made: str) -> None:
    scores = {key: Score(value, (value - 0.25, value + 0.125), 6.5) for key, value in values.items()}
    scores["judge_accuracy_joint"] = Score(1.0)
    seconds = {"text": {"denoising": 0.5}, "alone": {"denoising": 0.75}}
    protocol = {"system": name, "clips": 9, "sampling": {"batch_size": 4}}
    evaluation = Evaluation(scores, {}, seconds, protocol, {"parameters": 1000}, made=made)
    write_json(Path("reports") / name / "evaluation.json", asdict(evaluation))


def test_the_default_run_and_systems_side_by_side_are_written_with_intervals(copy):
    shares = {"faithfulness_joint": 0.75, "faithfulness_joint_fitted": 0.5, "fvd_embedded": 30.0, "flicker": 0.25}
    evaluated("sketch_ldm", shares, "one machine")
    evaluated("text_ldm", {"faithfulness_joint": 0.25, "fvd_embedded": 20.0, "flicker": 7.0}, "")
    old = contents(copy)
    results.main(write=True)
    new = contents(copy)
    assert [name for name in old if new[name] != old[name]] == ["README.md", "docs/results.md"]
    long = parted(new["docs/results.md"], "results")[1].strip().splitlines()
    short = parted(new["README.md"], "results_short")[1].strip().splitlines()
    rows = [
        ["", "real clips", "from text", "over fitted curves"],
        ["all attributes ↑", "100.0%", "75.0% [50.0, 87.5]", "50.0% [25.0, 62.5]"],
        ["fvd_embedded ↓", "6.5", "30 [29.8, 30.1]", "–"],
        ["flicker ≈", "6.5", "0.25", "–"],
    ]
    assert [cells_of(line) for line in [long[0], *long[2:-2]]] == rows
    assert [cells_of(line) for line in [short[0], *short[2:-2]]] == rows[:-1]
    assert long[-1].startswith("*one machine: `")

    results.main(["text_ldm", "sketch_ldm"], write=True)
    text = parted(contents(copy)["docs/results.md"], "results_sketch_ldm_text_ldm")[1].strip().splitlines()
    table = {row[0]: dict(zip(cells_of(text[0]), row, strict=True)) for row in map(cells_of, text[2:-2])}
    assert table["sketch_ldm"]["all attributes ↑"] == "**75.0%** [50.0, 87.5]"
    assert table["text_ldm"]["fvd_embedded ↓"] == "**20** [19.8, 20.1]"
    assert table["text_ldm"]["flicker ≈"] == "**7**"
    assert table["real clips"]["fvd_embedded ↓"] == "6.5"
    assert text[-1].startswith("*one machine; machine not recorded: `")


def test_a_command_names_no_folder_of_the_machine(monkeypatch):
    monkeypatch.setattr(
        sys, "orig_argv", ["/usr/bin/python3", "-m", "x", "/home/a b/c d.mp4", "--e=/f/g", "data/e", "--write"]
    )
    assert tables.command() == "python -m x 'c d.mp4' --e=g data/e"


def test_a_run_on_other_data_has_tables_of_its_own_with_the_classes_of_its_judge(copy):
    shares = {f"{name}{end}": 0.75 for end in ("", "_fitted") for name in ("faithfulness_joint", "faithfulness_hair")}
    evaluated("sketch_ldm", {**shares, "fvd_labels": 30.0, "judge_accuracy_hair": 1.0}, "one machine")
    path = Path("reports/sketch_ldm/evaluation.json")
    stored = read_json(path)
    about = {"name": "hair", "labels": ["hair"], "classes": 6}
    for end, value in (("", 2.5), ("_fitted", 5.5)):
        for measure in ("inception", "h_yx", "h_y"):
            stored["scores"][f"{measure}_hair{end}"] = asdict(Score(value, None, 6.0, about))
    write_json(path, stored)
    old = contents(copy)
    results.main(data="sprites", write=True)
    new = contents(copy)
    assert [name for name in old if new[name] != old[name]] == ["docs/results.md"]
    page = new["docs/results.md"]
    rows = [cells_of(line) for line in parted(page, "results_sprites")[1].splitlines() if line.startswith("|")]
    assert rows[0] == ["", "real clips", "from text", "over fitted curves"]
    assert [row[0] for row in rows[2:]] == ["all attributes ↑", "hair ↑", "fvd_labels ↓"]
    assert rows[3] == ["hair ↑", "100.0%", "75.0%", "75.0%"]
    assert rows[4][2] == "30 [29.8, 30.1]"
    text = parted(page, "classes_sprites")[1].strip().splitlines()
    assert text[0] == "from text, over fitted curves (real clips):"
    rows = [cells_of(line) for line in text if line.startswith("|")]
    assert rows[0] == ["label", "classes", "right", "inception score", "H(y|x)", "H(y)"]
    assert rows[2] == ["hair", "6", "75.0%, 75.0% (100.0%)", *["2.5, 5.5 (6)"] * 3]


def test_scores_out_of_their_domain_are_marked_in_tables(copy, capsys):
    evaluated("sketch_ldm", {"fvd_embedded": 30.0}, "one machine")
    stored = read_json(Path("reports/sketch_ldm/evaluation.json"))
    stored["scores"]["fvd_embedded"]["protocol"]["domain"] = "other clips"
    write_json(Path("reports/sketch_ldm/evaluation.json"), stored)
    for names in ([], ["sketch_ldm"]):
        results.main(names)
        shown = capsys.readouterr().out
        assert "fvd_embedded ↓ †" in shown
        assert "† out of its domain: these are other clips" in shown
