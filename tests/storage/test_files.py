"""Writing files: whole or not at all, and nothing of the user's is lost on the way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading

import pytest

from sailtheory import InputError
from sailtheory.storage.files import move_folder, require_writable, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_keeps_its_mode(tmp_path):
    path = tmp_path / "a.json"
    write_text("one", path)
    assert path.stat().st_mode & 0o777 == 0o666 & ~current_umask()
    path.chmod(0o640)
    write_text("two", path)
    assert path.read_text() == "two" and path.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["a.json"]


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def folder(path, text):
    path.mkdir()
    (path / "a").write_text(text)
    return path


@pytest.mark.parametrize("known", [False, True])
def test_a_folder_takes_its_name(tmp_path, known):
    made, target = folder(tmp_path / ".q.part", "new"), tmp_path / "q"
    if known:
        folder(target, "old")
        folder(tmp_path / ".q.old", "of a move that was killed")
    move_folder(made, target)
    assert (target / "a").read_text() == "new" and names(tmp_path) == ["q"]


@pytest.mark.parametrize("call", [1, 2])
def test_a_move_that_is_interrupted_leaves_no_half(tmp_path, monkeypatch, call):
    made, target = folder(tmp_path / ".q.part", "new"), folder(tmp_path / "q", "old")
    rename, calls = os.rename, []

    def interrupted(*paths):
        calls.append(paths)
        if len(calls) == call:
            raise KeyboardInterrupt
        rename(*paths)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "rename", interrupted)
        move_folder(made, target)
    assert (target / "a").read_text() == "old" if call == 1 else not target.exists()
    move_folder(made, target)
    assert (target / "a").read_text() == "new" and names(tmp_path) == ["q"]


def test_other_files_of_the_user_stay(tmp_path):
    precious = tmp_path / "a.json.tmp"
    precious.write_text("precious")
    require_writable(tmp_path / "a.json")
    write_text("one", tmp_path / "a.json")
    assert precious.read_text() == "precious" and names(tmp_path) == ["a.json", "a.json.tmp"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    require_writable(tmp_path / "link")
    write_text("new", tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "new"


def test_a_pipe_is_written_to(tmp_path):
    """As /dev/null and /dev/stdout are, which would otherwise be replaced by a file."""
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    require_writable(pipe)
    write_text("through", pipe)
    reader.join(10)
    assert read == ["through"] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_standard_output_is_written_to_by_its_name(tmp_path):
    """Through a pipe and into a file, whose other lines stay."""
    program = (
        "import sys; from sailtheory.storage.files import require_writable, write_text\n"
        "require_writable('/dev/stdout'); print('first', flush=True)\n"
        "write_text('second\\n', '/dev/stdout')"
    )
    words = [sys.executable, "-c", program]
    assert subprocess.run(words, capture_output=True, text=True).stdout == "first\nsecond\n"
    with open(tmp_path / "all", "w") as file:
        subprocess.run(words, stdout=file, check=True)
    assert (tmp_path / "all").read_text() == "first\nsecond\n" and names(tmp_path) == ["all"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interruption_leaves_the_old_file_alone(tmp_path, monkeypatch, error):
    write_text("old", tmp_path / "a")

    def fails(*_):
        raise error

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(InputError if error is OSError else error):
        write_text("new", tmp_path / "a")
    assert (tmp_path / "a").read_text() == "old" and names(tmp_path) == ["a"]


@pytest.mark.parametrize("use", [require_writable, lambda path: write_text("x", path)])
def test_bad_paths_are_refused_in_one_line(tmp_path, use):
    for path in (tmp_path, tmp_path / "none" / "a", "a\0b", "x" * 300, tmp_path / ("y" * 300)):
        with pytest.raises(InputError, match="file = "):
            use(path)
    assert names(tmp_path) == []
