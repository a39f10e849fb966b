"""Output files: complete or not there, and never at the cost of another file."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from archdsl.diagnostics import ArchError
from archdsl.files import atomic
from archdsl.files.atomic import atomic_write, check_target
from archdsl.files.disk import BLOCK
from archdsl.files.rewrite import rewrite


def refused(code: str, *args: object, **more: object) -> ArchError:
    with pytest.raises(ArchError) as caught, atomic_write(*args, **more) as output:  # type: ignore[arg-type]
        output.write(b"new")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, caught.value.status) == (code, 2)
    return caught.value


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def test_a_new_file(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.bin", sync=True) as output:
        output.write(b"one")
        assert names(tmp_path) == [output.path.name]
        output.write(memoryview(b"two"))
        assert output.written is None
    assert (tmp_path / "a.bin").read_bytes() == b"onetwo"
    assert output.written == atomic.WrittenFile(tmp_path / "a.bin", 6)
    assert output.written.sha256 == hashlib.sha256(b"onetwo").hexdigest()
    assert names(tmp_path) == ["a.bin"]


def test_another_program_may_write(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.svg") as output:
        output.path.write_text("<svg/>")
    assert output.written is not None
    assert (output.written.size, output.written.sha256) == (6, hashlib.sha256(b"<svg/>").hexdigest())


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(target, force=True) as output:
        output.write(b"new")
        raise ZeroDivisionError
    assert (target.read_text(), names(tmp_path)) == ("old", ["a"])


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    refused("E0701", tmp_path / "missing" / "a")
    refused("E0701", tmp_path / "file" / "a")
    refused("E0701", tmp_path / "directory")
    refused("E0701", str(tmp_path / "new") + "/")
    refused("E0701", tmp_path / "..")
    refused("E0701", tmp_path / ("n" * 300))
    refused("E0701", f"{tmp_path}/a\0b")
    refused("E0701", "")
    refused("E0701", tmp_path / "pipe", force=True)
    refused("E0701", "/dev/null", force=True)
    refused("E0701", "/proc/a")
    assert names(tmp_path) == ["directory", "file", "pipe"]


def test_a_long_name_is_cut_in_the_message(tmp_path: Path) -> None:
    assert len(str(refused("E0701", tmp_path / ("n" * 5000)))) < 300


def test_read_only(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    target.chmod(0o444)
    refused("E0701", target, replaceable=lambda path: True)
    assert target.read_text() == "old"
    if os.geteuid():
        tmp_path.chmod(0o555)
        refused("E0701", tmp_path / "b")
        tmp_path.chmod(0o755)


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    assert "--force" in str(refused("E0703", target))
    refused("E0703", target, replaceable=lambda path: False)
    assert target.read_text() == "old"
    with atomic_write(target, replaceable=lambda path: path.read_text() == "old") as output:
        output.write(b"ours")
    with atomic_write(target, force=True) as output:
        output.write(b"forced")
    assert target.read_text() == "forced"


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("old")
    link.symlink_to(victim)
    refused("E0703", link, replaceable=lambda path: True)
    with atomic_write(link, force=True) as output:
        output.write(b"new")
    assert victim.read_text() == "old"
    assert not link.is_symlink()
    assert link.read_text() == "new"


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    source, hard, soft = (tmp_path / name for name in ("source", "hard", "soft"))
    source.write_text("spec")
    os.link(source, hard)
    soft.symlink_to(source)
    for target in (source, hard, soft, tmp_path / "." / "source", tmp_path / ".." / tmp_path.name / "source"):
        refused("E0702", target, inputs=["elsewhere", source], force=True)
    assert source.read_text() == "spec"


def test_disk_space_is_asked_for_first(tmp_path: Path) -> None:
    assert "10,000,000,000,000,000,000" in str(refused("E0704", tmp_path / "a", required_bytes=10**19))
    assert names(tmp_path) == []


def test_a_full_disk(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(ArchError) as caught, atomic_write(tmp_path / "a") as output:
        output._file.close()
        output._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
        output.write(b"x")
    assert caught.value.diagnostics[0].code == "E0704"
    assert names(tmp_path) == []


def test_a_private_file_stays_private(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    target.chmod(0o600)
    with atomic_write(target, force=True) as output:
        output.write(b"new")
    assert target.stat().st_mode & 0o777 == 0o600


def test_only_what_the_dead_left_is_swept(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(60)
    gone = f".archdsl-{child.pid}-0123456789ab"
    kept = [f".archdsl-{os.getpid()}-0123456789ab", ".archdsl-1-0123456789ab", ".archdsl-7-x", ".archdsl-notes", "a"]
    for name in (gone, *kept):
        (tmp_path / name).write_text("")
    atomic.remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(kept)


WRITER = """
import sys
import tempfile
from archdsl.files.atomic import atomic_write
for number in range(10**6):
    with atomic_write(sys.argv[1], force=True) as output:
        for piece in range(64):
            output.write(bytes([number % 250]) * 65536)
"""


def test_killed_while_writing(tmp_path: Path) -> None:
    target = tmp_path / "a"
    whole = 64 * 65536
    for wait in (0.15, 0.21, 0.28, 0.37):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(target)])
        time.sleep(wait)
        os.kill(child.pid, signal.SIGKILL)
        child.wait(60)
        if target.exists():
            content = target.read_bytes()
            assert len(content) == whole
            assert len(set(content)) == 1
    with atomic_write(target, force=True) as output:
        output.write(b"x")
    assert names(tmp_path) == ["a"]


def test_checking_touches_nothing(tmp_path: Path) -> None:
    assert check_target(tmp_path / "a") == tmp_path / "a"
    assert names(tmp_path) == []


@pytest.mark.parametrize("place", ["the disk", "memory"])
@pytest.mark.parametrize(
    "sizes", [(1, 2 * BLOCK + 5, 3), (BLOCK,), (BLOCK - 1, 1, BLOCK), (5, -1, 2 * BLOCK, -1, BLOCK, 7), (0,)]
)
def test_large_files_are_whole(sizes: Sequence[int], place: str, tmp_path: Path) -> None:
    """Whole blocks go straight to the disk, the rest, and what follows a flush (-1) in between, as usual."""
    if place == "memory" and not os.access("/dev/shm", os.W_OK):
        pytest.skip("no file system in memory, which knows no other way than the usual")
    folder = Path(tempfile.mkdtemp(dir="/dev/shm")) if place == "memory" else tmp_path
    pieces = [random.Random(n).randbytes(n) if n >= 0 else None for n in sizes]
    try:
        with atomic_write(folder / "large") as output:
            for piece in pieces:
                output.write(piece) if piece is not None else output.flush()
        assert (folder / "large").read_bytes() == b"".join(piece or b"" for piece in pieces)
        assert output.written is not None and output.written.size == (folder / "large").stat().st_size
    finally:
        if place == "memory":
            shutil.rmtree(folder)


def test_a_file_that_changed_in_the_meantime_is_not_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("mine")
    with pytest.raises(ArchError, match="it changed in the meantime"):
        rewrite(str(path), "before", "after")
    assert [left.read_text() for left in tmp_path.iterdir()] == ["mine"]
    rewrite(str(path), "mine", "after")
    assert path.read_text() == "after"
