import pytest

from sketch2video.errors import UserError
from sketch2video.inputs.targets import check_file_target, check_folder_target


@pytest.fixture
def here(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "linked").symlink_to("folder")
    return tmp_path


@pytest.mark.parametrize("name", ["new.json", "a/b/new.json", "file", "folder/new.json", "linked/new.json", "dangling"])
def test_files_that_can_be_written(here, name):
    before = sorted(here.rglob("*"))
    check_file_target(here / name, "--json")
    assert sorted(here.rglob("*")) == before, "looking makes nothing"


@pytest.mark.parametrize("name", ["new", "a/b/new", "folder", "linked", "folder/new", "linked/new"])
def test_folders_that_can_be_made(here, name):
    check_folder_target(here / name, "--cache")
    assert not (here / "new").exists()


@pytest.mark.parametrize("name", ["folder", "linked", "file/x", "file/x/y", "loop/x", "dangling/x", "x" * 256, "a\0b"])
def test_files_that_cannot(here, name):
    with pytest.raises(UserError, match=r"^--json: ") as error:
        check_file_target(here / name, "--json")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["file", "file/x", "file/x/y", "loop", "loop/x", "dangling", "x" * 256, "a\0b"])
def test_folders_that_cannot(here, name):
    with pytest.raises(UserError, match=r"^--cache: ") as error:
        check_folder_target(here / name, "--cache")
    assert "\n" not in str(error.value)


def test_a_folder_without_permission(here, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError, match="folder cannot be written; choose another path or change its permissions"):
        check_folder_target(here / "folder", "--cache")
