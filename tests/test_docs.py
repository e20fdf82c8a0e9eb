"""README and documentation: links lead somewhere, and the commands, paths, parameters and code in them exist."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
import yaml

from benchmarks.tables import MARKED
from sketch2video.cli import app
from sketch2video.params import load_params, parse_params
from sketch2video.systems.latent_diffusion import drawn_sampling
from sketch2video.systems.registry import find_system, registered, system_names
from sketch2video.systems.shared import SHARED_PARTS
from sketch2video.systems.spec import SHARED, SystemSpec, model_folder

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TOP = [page for page in PAGES if page.parent.name != "api"]
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")

COMMANDS = typer.main.get_command(app).commands
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PARAMETERS = yaml.safe_load((ROOT / "params.yaml").read_text())

EXAMPLES = ("depth_ldm", "depth.py")
"""What docs/contributing.md adds."""

USERS_MODELS = {"models/hike_tuned"}
"""Folders that examples write."""


def blocks(page: Path, *languages: str) -> list[str]:
    """The code blocks of a page in some languages."""
    found = FENCE.finditer(page.read_text())
    return [re.sub(f"^{match[1]}", "", match[3], flags=re.MULTILINE) for match in found if match[2] in languages]


def spans(page: Path) -> list[str]:
    """What a page sets as code within its text."""
    return CODE.findall(FENCE.sub("", page.read_text()))


def shell_words(page: Path) -> Iterator[list[str]]:
    """The words of every command in a page, without comments and variables before it."""
    text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    lines = [line for line in re.sub(r"'\n.*?\n'", "''", text, flags=re.DOTALL).splitlines() if line.strip()]
    for line in [*lines, *spans(page)]:
        for command in re.split(r"&&|\||;", line):
            try:
                words = shlex.split(command, comments=True)
            except ValueError:  # a quote in a piece of text that is no command
                continue
            while words and "=" in words[0]:
                words = words[1:]
            if words:
                yield words


def outputs() -> set[str]:
    """What the stages of all graphs write, and the folders that it is in."""
    files = [ROOT / "dvc.yaml", *ROOT.glob("systems/*/dvc.yaml")]
    stages = [stage for file in files for stage in yaml.safe_load(file.read_text())["stages"].values()]
    outs = [out for stage in stages for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    paths = [Path(next(iter(out)) if isinstance(out, dict) else out) for out in outs]
    return {folder.as_posix() for path in paths for folder in (path, *path.parents)}


def test_the_readme_is_read_in_one_go() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@EACH_PAGE
def test_links_lead_to_files(page: Path) -> None:
    links = [link.partition("#")[0] for link in LINK.findall(page.read_text()) if not link.startswith("http")]
    assert [link for link in links if link and not (page.parent / link).exists()] == []


def test_every_page_is_linked_from_the_readme_and_part_of_the_site() -> None:
    linked = {(ROOT / link).resolve() for link in LINK.findall((ROOT / "README.md").read_text())}
    assert [page.name for page in TOP[1:] if page not in linked] == []
    nav = set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert nav == {page.relative_to(ROOT / "docs").as_posix() for page in PAGES[1:]}


@EACH_PAGE
def test_commands_exist_with_their_options(page: Path) -> None:
    wrong = []
    for words in shell_words(page):
        if words[0] == "sketch2video" and words[1:] and re.fullmatch(r"[a-z]\w*", words[1]):
            command = COMMANDS.get(words[1])
            options = {option for parameter in command.params for option in parameter.opts} if command else set()
            asked = {word.partition("=")[0] for word in words[2:] if word.startswith("-") and word.strip("-")}
            if command is None or asked - options - {"--help"}:
                wrong.append(words)
        if words[0] == "make":
            wrong += [words for word in words[1:] if re.fullmatch(r"[a-z-]+", word) and word not in TARGETS]
        if words[:2] == ["python", "-m"] and words[2].split(".")[0] in ("flows", "benchmarks", "sketch2video"):
            file = ROOT.joinpath(*words[2].split(".")).with_suffix(".py")
            wrong += [] if file.is_file() else [words]
        if words[:2] == ["dvc", "repro"]:
            targets = [word.partition(":")[0] for word in words[2:] if word.endswith((".yaml", ":evaluate"))]
            wrong += [words for target in targets if not any(part in target for part in ("<", *EXAMPLES))
                      and not (ROOT / target).is_file()]  # fmt: skip
    assert wrong == []


@EACH_PAGE
def test_stages_and_systems_that_commands_name_exist(page: Path) -> None:
    parts = {name: {part.name for part in find_system(name).parts} for name in system_names()}
    parts[SHARED] = {part.name for part in SHARED_PARTS}
    stages = {
        owner: {f"{kind}_{part}" for part in names for kind in ("train", "encode")} for owner, names in parts.items()
    }
    wrong = []
    for words in shell_words(page):
        if words[:2] == ["sketch2video", "train"] and words[2:] not in ([], ["--list"]):
            owner = words[words.index("--system") + 1] if "--system" in words else None
            known = parts[owner] if owner else parts["sketch_ldm"] | parts[SHARED]
            wrong += [] if words[2] in known else [words]
        if words[:2] in (["sketch2video", "assemble"], ["sketch2video", "evaluate"]):
            wrong += [words for word in words[2:3] if word not in parts]
        if "flows.stage" in words:
            stage, owner = words[words.index("flows.stage") + 1 :][:2]
            if owner not in EXAMPLES:
                wrong += [] if stage in stages[owner] | {"assemble", "evaluate"} else [words]
    assert wrong == []


def key_exists(key: str) -> bool:
    """Whether a dotted key is one of the parameters."""
    value = PARAMETERS
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


@EACH_PAGE
def test_parameters_exist(page: Path) -> None:
    text = page.read_text()
    keys = re.findall(r"-S ([\w.]+)=", text)
    keys += [
        span for span in (re.split(r"[ :=]", span)[0] for span in spans(page)) if re.fullmatch(r"\w+(\.\w+)+", span)
    ]
    others = ("sketch2video", "CurveSequence", "CurveVAE", "pipe", *EXAMPLES)
    endings = (
        ".py",
        ".csv",
        ".json",
        ".jsonl",
        ".yaml",
        ".md",
        ".html",
        ".png",
        ".parquet",
        ".txt",
        ".tex",
        ".mp4",
        ".gif",
    )
    mine = {key for key in keys if key.split(".")[0] in PARAMETERS and not key.endswith(endings)}
    assert {key for key in mine if not key_exists(key) and not key.startswith(others)} == set()


@EACH_PAGE
def test_paths_exist(page: Path) -> None:
    """Files of the repository by their paths, outputs by the graph, models by the registry."""
    made = outputs()
    models = {model_folder(name, part.name).as_posix() for name in system_names() for part in find_system(name).parts}
    models |= {model_folder(SHARED, part.name).as_posix() for part in SHARED_PARTS}
    models |= {find_system(name).folder.as_posix() for name in system_names()}
    models |= {f"models/{name}" for name in (*system_names(), SHARED)} | {"models"}
    models |= set(re.findall(r"save_pretrained\(\"(models/[\w/]+)\"\)", page.read_text()))
    wrong = []
    for span in [
        *spans(page),
        *re.findall(r"(?:models|reports)/[\w./-]+", "\n".join(blocks(page, "sh", "python", ""))),
    ]:
        path = span.strip().rstrip("/.")
        if re.search(r"[<>{}*$|\s:(]|t2iadapter", path) or any(part in path for part in EXAMPLES):
            continue
        first = path.partition("/")[0]
        if (
            first in ("src", "tests", "flows", "benchmarks", "examples", "systems", "profiles", "docs", "prompts")
            and "/" in path
        ):
            known = (ROOT / path).exists() or (ROOT / "src/sketch2video" / path).exists()
        elif first == "models" and "/" in path:
            known = path in models
        elif (
            first in ("data", "reports")
            and "/" in path
            and not path.startswith(("reports/bench", "reports/bottleneck"))
        ):
            known = path in made or any(path.startswith(f"{out}/") for out in made if out.count("/")) or path in VIEWS
        elif re.fullmatch(r"[a-z_]+(/[a-z0-9_]+)+\.py", path):
            known = (ROOT / "src/sketch2video" / path).exists()
        else:
            continue
        if not known:
            wrong.append(span)
    assert wrong == []


VIEWS = {"reports/systems.html", "reports/systems.csv", "reports/systems.json", "reports/captions.txt"} | {
    "data/bases", "data/pairs", "data/pairs/pairs.csv", "data/pairs/README.md", "data/source"
}  # fmt: skip
"""Files that commands write beside the graph, and folders of the user's."""


@EACH_PAGE
def test_python_blocks_parse_and_their_imports_resolve(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in ("sketch2video", "examples"):
                module = importlib.import_module(str(node.module))
                missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                assert missing == [], f"{page.name}: from {node.module} import {', '.join(missing)}"


@EACH_PAGE
def test_pipelines_are_called_with_arguments_that_they_have(page: Path) -> None:
    for block in blocks(page, "python"):
        found = re.search(r"pipe = (\w+)\.from_pretrained", block)
        kind = getattr(importlib.import_module("sketch2video.systems"), found[1] if found else "SketchToVideoPipeline")
        calls = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
        calls = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "pipe"]
        known = inspect.signature(kind.__call__).parameters
        assert {word.arg for call in calls for word in call.keywords} <= known.keys()


def test_the_table_of_arguments_is_that_of_the_call() -> None:
    text = (ROOT / "docs/sketch_ldm.md").read_text()
    rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)=?`", row) if "/" not in row}
    known = inspect.signature(find_system("sketch_ldm").pipeline_class.__call__).parameters.keys()
    assert named == known - {"self", "return_dict", "callback_on_step_end_tensor_inputs"}


@EACH_PAGE
def test_functions_of_the_package_that_the_text_names_exist(page: Path) -> None:
    names = [span.partition("(")[0] for span in spans(page) if span.startswith("sketch2video.")]
    names += re.findall(r"^::: ([\w.]+)$", page.read_text(), re.MULTILINE)
    for name in names:
        assert pkgutil.resolve_name(name) is not None


def contributed(heading: str, number: int) -> dict[str, object]:
    """The names that a Python block of a section of docs/contributing.md defines."""
    text = (ROOT / "docs/contributing.md").read_text()
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    block = [match[3] for match in FENCE.finditer(section) if match[2] == "python"][number]
    names: dict[str, object] = {}
    exec(compile(block, "contributing.md", "exec"), names)
    return names


def test_the_system_of_the_contributing_page_is_one() -> None:
    spec, pipeline = contributed("Add a system", 0)["SPEC"], contributed("Add a system", 1)
    assert isinstance(spec, SystemSpec)
    assert spec.class_name in pipeline
    assert spec.assemble.rpartition(":")[2] in pipeline
    section = {**PARAMETERS["text_ldm"], "control": "video"}
    with registered(spec):
        assert find_system("depth_ldm") is spec
        params = parse_params({**PARAMETERS, "depth_ldm": section})
        assert spec.control(params) == "video"
        assert spec.arguments(params)["video_ldm"] == Path("models/depth_ldm/video_ldm")
        stages = [part.stage for part in spec.parts]
        assert stages == ["train_autoencoder", "encode_latents", "train_video_ldm"]
        assert spec.parts[2].arguments(params)["mixture"].known_frames == section["known_frames"]


def test_the_control_of_the_contributing_page_is_one() -> None:
    import torch

    control = contributed("Add a control", 0)["DEPTH"]
    frames = torch.full((2, 3, 8, 8, 3), 51, dtype=torch.uint8)
    assert control.arrays(Path("clips"), Path("curves")) == {"frames": Path("clips")}
    pictures = control.pictures({"frames": frames}, 8, 8)
    torch.testing.assert_close(pictures, torch.full((2, 3, control.channels, 8, 8), 0.2))


def test_profiles_are_listed() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    assert [path.stem for path in ROOT.glob("profiles/*.yaml") if f"`{path.stem}`" not in text] == []


def test_defaults_that_the_pages_state_are_those_of_the_parameters() -> None:
    params = load_params(ROOT / "params.yaml")
    text = (ROOT / "docs/sketch_ldm.md").read_text()
    assert f"saved in the pipeline: {params.evaluate.num_inference_steps} |" in text
    assert f"saved: {drawn_sampling(params)['guidance_scale']}; other systems" in text
    assert f"saved: {params.evaluate.control_guidance_scale} |" in text


METAPHORS = re.compile(
    r"\b(mends?|mended|(?:is|are|be) told|doors?|moments|plot of|room for|sheet of paper|asked for|as asked|wanted)\b"
)


@pytest.mark.parametrize(
    "path", [*PAGES, ROOT / "params.yaml", ROOT / "Makefile", *ROOT.glob("profiles/*.yaml")], ids=lambda path: path.name
)
def test_words_are_those_of_the_field(path: Path) -> None:
    """Fix, receive, input, frames, index: the terms of docs/concepts.md and of the libraries that users know."""
    assert METAPHORS.findall(path.read_text()) == []


OLD_TERMS = re.compile(r"(?<![A-Za-z])(mend(?:s|ed|ing)?|told|moments)(?![A-Za-z])", re.IGNORECASE)
CAPTIONS_AS_PLOTS = re.compile(r"(?<![A-Za-z])plots?(?![A-Za-z])", re.IGNORECASE)

SAVED_OR_STANDARD = {
    ("judges/scenes_judge.py", "moments"),  # an argument in the config of a saved network
    ("tokens/vqgan/network.py", "told"),  # a submodule, so a prefix of names in saved weights
    ("training/checkpoints.py", "moments"),  # of an optimizer
}
"""Files of the package, and the terms that they need."""


@pytest.mark.parametrize(("terms", "folders"), [(OLD_TERMS, [""]), (CAPTIONS_AS_PLOTS, ["pipelines", "systems"])])
def test_docstrings_comments_and_names_use_the_terms_of_the_field(terms: re.Pattern[str], folders: list[str]) -> None:
    """Fix, receive, frames or times, prompts: in the whole text of the modules, names with underscores included."""
    package = ROOT / "src/sketch2video"
    used = {
        (path.relative_to(package).as_posix(), word.lower())
        for folder in folders
        for path in (package / folder).rglob("*.py")
        for word in terms.findall(path.read_text())
    }
    assert sorted(used - SAVED_OR_STANDARD) == []


def test_tables_name_commands_that_exist_and_every_benchmark_has_its_table() -> None:
    marked = [(match[2], match[3]) for page in TOP for match in MARKED.finditer(page.read_text())]
    names = [name for name, _ in marked]
    assert len(marked) == sum(page.read_text().count("\n<!-- table: ") for page in TOP), "each is closed"
    assert sorted(set(names)) == sorted(names)
    for name, command in marked:
        words = shlex.split(command)
        if words[0] == "make":
            assert words[1] in TARGETS, name
        elif words[0] == "sketch2video":
            assert words[1] in COMMANDS, name
        else:
            assert words[:2] == ["python", "-m"], name
            assert ROOT.joinpath(*words[2].split(".")).with_suffix(".py").is_file(), name
    makefile = (ROOT / "Makefile").read_text()
    commands = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "run_command(main)" in path.read_text()}
    for module in commands - {"cut", "spectrum"}:  # which make clips and a figure
        assert "write" in inspect.signature(importlib.import_module(f"benchmarks.{module}").main).parameters
        assert f"python -m benchmarks.{module}" in makefile
        assert module in names
    assert {"results_short", "long_video_lengths"} <= set(names)
