"""A process that is killed at any step of writing leaves the old or the new artefact, and the next run cleans up.

The steps are the calls that change a directory or a file. A child process dies before the first of them, before the
second, and so on, which no kill at a random instant (`python -m tests.search.kill`) can promise.

Tests `files/overwrite_marks.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.search.kill import KINDS, SPEC, before, run, start, state_of, whole

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
SLOW = pytest.mark.slow
FAST_AND_SLOW = [
    "onnx and its data",
    pytest.param("weights", marks=SLOW),
    pytest.param("svg", marks=SLOW),
    pytest.param("fmt", marks=SLOW),
]


@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX calls to count")
@pytest.mark.parametrize("kind", FAST_AND_SLOW)
def test_dead_at_every_step(kind: str, tmp_path: Path) -> None:
    command = KINDS[kind].command
    old, new = tmp_path / "old", tmp_path / "new"
    before(old, KINDS[kind])
    shutil.copytree(old, new)
    run(new, command)
    for step in range(MOST_STEPS):
        folder = tmp_path / f"{step}"
        shutil.copytree(old, folder)
        dying = [sys.executable, "-c", DYING, f"{step}", *command]
        done = subprocess.run(dying, cwd=folder, capture_output=True, timeout=120)
        assert done.returncode in (0, 77), done.stderr.decode()
        state = state_of(folder, old, new, KINDS[kind])
        assert state in (("new",) if done.returncode == 0 else ("old", "new")), f"step {step}: {state}"
        if done.returncode == 0:
            assert step > 1
            return
        run(folder, command)
        assert state_of(folder, old, new, KINDS[kind]) == "new"
        assert len([*folder.iterdir()]) == len([*new.iterdir()])
    pytest.fail(f"not done after {MOST_STEPS} steps")


@pytest.mark.parametrize("kind", FAST_AND_SLOW[:3])
def test_several_runs_at_once_all_end_well(kind: str, tmp_path: Path) -> None:
    """Each makes another network under the same name: whichever comes last, what stands there is one of them, whole."""
    folder = tmp_path / "shared"
    folder.mkdir()
    command, file, _ = KINDS[kind]
    wholes = []
    children = []
    for width in (8, 16, 24, 32):
        alone = tmp_path / f"{width}"
        before(alone, KINDS[kind]._replace(first=[]))
        (alone / "net.yaml").write_text(SPEC % width)
        run(alone, command)
        wholes.append(whole(alone / file))
        (folder / f"net{width}.yaml").write_text(SPEC % width)
        children += [
            start(folder, [part.replace("net.yaml", f"net{width}.yaml") for part in command]) for _ in range(2)
        ]
    for child in children:
        _, output = child.communicate(timeout=120)
        assert child.returncode == 0, output.decode()
    assert whole(folder / file) in wholes
    assert not [*folder.glob(".archdsl-*")]
    assert len([*folder.glob("*.data")]) == (kind == "onnx and its data")
