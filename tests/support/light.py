"""Which test files need no more than `pip install '.[cpu]'` and pytest: `pytest -m light`.

A test file is light if the imports in it, and those that follow from them, are of packages in `PACKAGES`. Imports
inside functions count, except in archdsl, whose functions import what they need.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.places import ROOT

PACKAGES = frozenset(
    "PIL click graphviz graphviz_pure google numpy onnx onnxruntime pydantic pydantic_core resvg_py rich yaml"
    " hypothesis jsonschema pytest _pytest xdist".split()
)
"""The names under which the packages of the light environment are imported."""


@cache
def is_light(test_file: Path) -> bool:
    """Whether a test file and what it imports need the packages of the light environment alone."""
    reached, waiting = {test_file}, [test_file]
    while waiting:
        for name in _imports(waiting.pop()):
            top = name.partition(".")[0]
            if top in ("tests", "archdsl", "tools"):
                files = set(_files(name)) - reached
                reached |= files
                waiting += files
            elif top not in PACKAGES and top not in sys.stdlib_module_names:
                return False
    return True


@cache
def _imports(file: Path) -> frozenset[str]:
    """The modules that a file imports; `from a import b` may be the module `a.b`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in tree.body if file.is_relative_to(ROOT / "archdsl") else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def _files(module: str) -> Iterator[Path]:
    base = ROOT.joinpath(*module.split("."))
    yield from (path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file())
