"""No test waits for another program without a limit: one that hangs would hold up the whole run."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.places import TESTS

PROGRAMS = ("fuzz.py", "mutants.py", "old_runtimes.py")
"""In tests/search: they run for hours, by hand."""
FILES = sorted(path for path in TESTS.rglob("*.py") if path.name not in PROGRAMS)
RUNS = ("run", "call", "check_call", "check_output")


def unbounded(tree: ast.Module) -> list[int]:
    """The lines that run a program, or wait for one, without a limit of time."""
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if any(keyword.arg == "timeout" for keyword in node.keywords):
            continue
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        runs = owner == "subprocess" and node.func.attr in RUNS
        if runs or (node.func.attr in ("wait", "communicate") and not node.args):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(TESTS)))
def test_every_wait_has_a_limit(path: Path) -> None:
    assert not unbounded(ast.parse(path.read_text(encoding="utf-8")))


def test_the_test_above_can_fail() -> None:
    text = (
        "import subprocess\nsubprocess.run(a)\nchild.wait()\nchild.communicate()\nsubprocess.run(a,"
        " timeout=1)\nchild.wait(1)"
    )
    assert sorted(unbounded(ast.parse(text))) == [2, 3, 4]
