"""A process that dies at any step of writing: the old artefact or the new one stands, and the next run cleans up.

The steps are the calls that change a directory or a file. A child process dies before the first of them, before the
second, and so on, which no kill at a random instant (`python -m tests.kill`) can promise.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kill import KINDS, _before, _equal, _run

DYING = """
import builtins, io, os, sys
left = [int(sys.argv[1])]
def dying(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        if name != "open" or args[1] & os.O_CREAT:
            left[0] -= 1
            if left[0] < 0:
                os._exit(77)
        return real(*args, **kwargs)
    setattr(os, name, call)
for name in ("open", "replace", "rename", "unlink", "remove", "fsync", "fchmod", "link"):
    dying(name)
sys.argv = ["archdsl", *sys.argv[2:]]
from archdsl.cli import main
main()
"""
MOST_STEPS = 40


@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX calls to count")
@pytest.mark.parametrize("kind", ["weights", "svg", "fmt"])
def test_dead_at_every_step(kind: str, tmp_path: Path) -> None:
    command, files, _ = KINDS[kind]
    before, after = tmp_path / "before", tmp_path / "after"
    _before(before, KINDS[kind])
    shutil.copytree(before, after)
    _run(after, command)
    for step in range(MOST_STEPS):
        folder = tmp_path / f"{step}"
        shutil.copytree(before, folder)
        done = subprocess.run([sys.executable, "-c", DYING, f"{step}", *command], cwd=folder, capture_output=True)
        assert done.returncode in (0, 77), done.stderr.decode()
        whole = after if done.returncode == 0 else before
        assert any(all(_equal(folder / f, state / f) for f in files) for state in {whole, after}), f"torn at step {step}"
        if done.returncode == 0:
            assert step > 1
            return
        _run(folder, command)
        assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in after.iterdir())
    pytest.fail(f"not done after {MOST_STEPS} steps")
