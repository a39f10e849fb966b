"""Each file of the package is named by a test of its room, so that its tests can be found from it.

A test file names `archdsl.drawing.theme` by importing from it, or by writing that name or `drawing/theme.py` in a
string, for example in its docstring.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from tests.house.test_house import FILES, MODULES, module_of, tree_of
from tests.support.places import PACKAGE, TESTS

ROOMS = {
    "archdsl": "cli",
    "archdsl.agents": "agents",
    "archdsl.watching": "watching",
    "archdsl.analysis": "analysis",
    "archdsl.analysis.equal_nodes": "language",
    "archdsl.analysis.equal_scopes": "torch",
    "archdsl.analysis.head": "attribution",
    "archdsl.analysis.summary": "report",
    "archdsl.attribution": "attribution",
    "archdsl.axes": "ops",
    "archdsl.backends.onnx": "onnx",
    "archdsl.backends.onnx.effects": "cli",
    "archdsl.backends.onnx.rules": "ops",
    "archdsl.backends.spec": "language",
    "archdsl.backends.torch": "torch",
    "archdsl.backends.torch.rules": "ops",
    "archdsl.backends.torch.node": "verification",
    "archdsl.backends.weights": "weights",
    "archdsl.cli": "cli",
    "archdsl.cli.attribution": "attribution",
    "archdsl.cli.bench": "timing",
    "archdsl.cli.bundle": "serving",
    "archdsl.cli.diagram": "network",
    "archdsl.cli.diff": "differences",
    "archdsl.cli.expand": "language",
    "archdsl.cli.explain": "diagnostics",
    "archdsl.cli.fix": "library",
    "archdsl.cli.fmt": "language",
    "archdsl.cli.import_": "frontends",
    "archdsl.cli.lsp": "editor",
    "archdsl.cli.mcp": "agents",
    "archdsl.cli.predict": "prediction",
    "archdsl.cli.schema": "language",
    "archdsl.cli.verify": "verification",
    "archdsl.cli.watch": "watching",
    "archdsl.cli.weights": "weights",
    "archdsl.compilation": "network",
    "archdsl.diagnostics": "diagnostics",
    "archdsl.differences": "differences",
    "archdsl.differences.structure": "cli",
    "archdsl.drawing": "drawing",
    "archdsl.drawing.save": "network",
    "archdsl.drawing.shown": "network",
    "archdsl.editor": "editor",
    "archdsl.diagnostics.notebook": "report",
    "archdsl.elaborate": "elaborate",
    "archdsl.elaborate.limits": "hostile",
    "archdsl.explain": "diagnostics",
    "archdsl.files": "files",
    "archdsl.files.cache": "pretrained",
    "archdsl.frontends": "frontends",
    "archdsl.frontends.models": "cli",
    "archdsl.graph": "elaborate",
    "archdsl.graph_recipes": "elaborate",
    "archdsl.language": "language",
    "archdsl.language.foreign": "diagnostics",
    "archdsl.library": "library",
    "archdsl.network": "network",
    "archdsl.network.metadata": "cli",
    "archdsl.network.named": "pretrained",
    "archdsl.network.own_model": "cli",
    "archdsl.ops": "ops",
    "archdsl.ops.again": "elaborate",
    "archdsl.packages": "house",
    "archdsl.passes": "passes",
    "archdsl.passes.class_maps": "attribution",
    "archdsl.planning": "planning",
    "archdsl.cli.solve": "planning",
    "archdsl.cli.sweep": "planning",
    "archdsl.prediction": "prediction",
    "archdsl.pretrained": "pretrained",
    "archdsl.report": "report",
    "archdsl.report.params": "cli",
    "archdsl.runtime": "prediction",
    "archdsl.runtime.doctor": "cli",
    "archdsl.runtime.inputs": "verification",
    "archdsl.runtime.probe": "cli",
    "archdsl.runtime.quantise": "onnx",
    "archdsl.serving": "serving",
    "archdsl.shapes": "ops",
    "archdsl.source": "language",
    "archdsl.spec": "library",
    "archdsl.spec.models": "cli",
    "archdsl.timing": "timing",
    "archdsl.verification": "verification",
    "archdsl.verification.foreign": "cli",
    "archdsl.version": "house",
    "archdsl.weights": "weights",
}
"""The folder of `tests/` for each module of the package; a package stands for the modules in it."""


def longest(name: str, names: Iterable[str]) -> str | None:
    """`archdsl.ops.conv.Conv` belongs to `archdsl.ops.conv` if that is one of the names."""
    return max((n for n in names if f"{name}.".startswith(f"{n}.")), key=len, default=None)


def mentions(text: str) -> set[str]:
    """The modules of the package that a test file imports or names in a string, as a dotted name or as a path."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= set(re.findall(r"\barchdsl(?:\.\w+)+", node.value))
            paths = re.findall(r"(?<![\w/])(?:archdsl/)?((?:\w+/)*\w+)\.py\b", node.value)
            names |= {f"archdsl.{path.replace('/', '.').removesuffix('.__init__')}" for path in paths}
    return {module for name in names if (module := longest(name, MODULES))}


@cache
def named_in(room: str) -> set[str]:
    """The modules that a test file of the room names."""
    return {module for path in (TESTS / room).glob("*.py") for module in mentions(path.read_text(encoding="utf-8"))}


def has_code(path: Path) -> bool:
    """Whether a file has more than a docstring and imports."""
    plain = (ast.Import, ast.ImportFrom, ast.Expr)
    return any(not isinstance(node, plain) for node in tree_of(path).body)


@pytest.mark.parametrize("path", [path for path in FILES if has_code(path)], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_each_file_is_named_by_a_test_of_its_room(path: Path) -> None:
    module = module_of(path)
    room = ROOMS[longest(module, ROOMS) or ""]
    assert module in named_in(room), f"no test in tests/{room} imports `{module}` or names it in its docstring"


def test_the_table_is_of_modules_and_rooms_that_exist() -> None:
    assert set(ROOMS) <= set(MODULES)
    assert all((TESTS / room).is_dir() for room in ROOMS.values())


def test_the_test_above_can_fail() -> None:
    assert mentions("import torch\nx = 'archdsl of things.py'") == {"archdsl"}
    text = "from archdsl.ops import conv, Pool\n'archdsl.drawing.scene.svg.draw, files/disk.py, archdsl/version.py'"
    assert mentions(text) == {
        *("archdsl.ops", "archdsl.ops.conv", "archdsl.drawing.scene.svg", "archdsl.files.disk", "archdsl.version"),
    }
