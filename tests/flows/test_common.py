import pytest

from flows import common
from flows.common import REFUSED, execute, stage_flow
from sketch2video.errors import UserError


@stage_flow
def refuse(name: str) -> None:
    """A flow that meets a user's mistake."""
    raise UserError(f"{name} is missing; make it")


def test_a_users_mistake_is_a_failed_state_and_not_a_traceback():
    state = refuse.fn("clips.csv")
    assert state.is_failed()
    assert (state.name, state.message) == (REFUSED, "clips.csv is missing; make it")
    assert refuse.name == "refuse"
    assert list(refuse.parameters.properties) == ["name"]


def test_other_failures_stay_as_they_are():
    @stage_flow
    def broken() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        broken.fn()


def test_a_command_ends_with_one_line_and_code_2(capsys):
    class Stage:
        name = "refuse"

        def __call__(self, *args: str, return_state: bool) -> object:
            return refuse.fn(*args)

    with pytest.raises(SystemExit) as end:
        execute(Stage(), "clips.csv")
    assert end.value.code == 2
    assert capsys.readouterr().err == "refuse: clips.csv is missing; make it\n"


def test_values_are_shown_as_a_table(monkeypatch):
    shown = {}
    monkeypatch.setattr(common, "create_markdown_artifact", lambda **kwargs: shown.update(kwargs))
    common.publish("train_x", {"loss": 0.5})
    assert shown["key"] == "train-x"
    assert shown["markdown"].splitlines() == ["| train_x | value |", "|---|---|", "| loss | 0.5 |"]
