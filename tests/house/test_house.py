"""The conventions of the house, each of which fails here when it is broken."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

import archdsl
from archdsl.ops import OPS_BY_NAME
from archdsl.spec.find import library_files, library_networks
from tests.support.places import PACKAGE

FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = [
    ("version", "axes", "shapes", "progress"),
    ("diagnostics",),
    ("packages", "source", "files", "explain"),
    ("ops",),
    ("language", "graph", "graph_recipes"),
    ("elaborate", "spec"),
    ("analysis",),
    ("passes",),
    ("report",),
    ("backends", "drawing", "pretrained"),
    ("runtime",),
    ("compilation",),
    ("network",),
    (
        "agents",
        "watching",
        "serving",
        "verification",
        "differences",
        "timing",
        "prediction",
        "attribution",
        "library",
        "planning",
        "weights",
        "frontends",
        "editor",
    ),
    ("cli", "__init__", "__main__"),
]
"""From the bottom up: a file imports only from its own layer and those below."""
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

HEAVY = ("torch", "onnx", "onnxruntime", "numpy", "PIL", "graphviz", "rich", "safetensors", "matplotlib")
"""Never imported at the top of a module, but where the list below says so."""
MAY_BE_HEAVY = {
    "backends/onnx": {"numpy"},
    "backends/weights": {"numpy"},
    "backends/torch/module.py": {"torch", "numpy"},
    "backends/torch/layers.py": {"torch"},
    "backends/torch/node.py": {"torch"},
    "frontends": {"numpy", "onnx"},
    "frontends/aten": {"torch", "numpy"},
    "frontends/torch_module.py": {"torch"},
    "runtime": {"numpy", "onnxruntime", "PIL"},
    "runtime/quantise.py": {"onnx"},
    "prediction": {"numpy", "onnxruntime", "PIL"},
    "attribution": {"numpy", "PIL"},
    "verification": {"numpy", "onnxruntime"},
    "verification/reference.py": {"torch", "numpy"},
    "timing": {"numpy", "onnx"},
    "weights": {"numpy"},
}


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file; several tests read each."""
    return ast.parse(path.read_text(encoding="utf-8"))


def part_of(module: str) -> str:
    """`archdsl.elaborate.walk` belongs to `elaborate`, `archdsl` itself to `__init__`."""
    return [*module.split("."), "__init__"][1]


def module_of(path: Path) -> str:
    """The dotted name of a file of the package."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def top_imports(tree: ast.Module) -> set[str]:
    """Modules imported when the file is: not inside functions, not for type checkers."""
    return {module for node in tree.body for module in _imported(node)}


def all_imports(tree: ast.Module) -> set[str]:
    """Every module of the package that is imported anywhere: in functions and for type checkers too."""
    return {module for node in ast.walk(tree) for module in _imported(node) if module in MODULES}


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if not isinstance(node, ast.ImportFrom) or not node.module:
        return set()
    inner = {f"{node.module}.{alias.name}" for alias in node.names}
    modules = inner & set(MODULES)
    return modules if modules == inner else modules | {node.module}


def circles(imports: Mapping[str, set[str]]) -> list[str]:
    """Modules that reach themselves through what they import."""
    reached = {module: set(others) for module, others in imports.items()}
    for between in imports:
        for others in reached.values():
            if between in others:
                others |= reached[between]
    return sorted(module for module, others in reached.items() if module in others)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    mine = module_of(path)
    for module in all_imports(tree_of(path)):
        assert LEVEL[part_of(module)] <= LEVEL[part_of(mine)], f"{mine} imports {module}, which is above it"


def test_no_file_imports_itself_through_others() -> None:
    imports = {name: all_imports(tree_of(path)) for name, path in MODULES.items()}
    assert not circles(imports)


def test_no_part_imports_itself_through_others() -> None:
    parts: dict[str, set[str]] = {name: set() for name in LEVEL}
    for name, path in MODULES.items():
        parts[part_of(name)] |= {part_of(m) for m in all_imports(tree_of(path))}
    assert not circles({name: others - {name} for name, others in parts.items()})


def test_the_tests_of_circles_can_fail() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c"]


def test_no_name_of_a_verb_is_a_package() -> None:
    """Importing `archdsl.verify` as a module would replace the function of that name."""
    assert not set(archdsl.__all__) & {part_of(name) for name in MODULES}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_imports_stay_where_they_are_used(path: Path) -> None:
    relative = path.relative_to(PACKAGE).as_posix()
    allowed = set().union(*(v for k, v in MAY_BE_HEAVY.items() if relative.startswith(k)))
    heavy = {m.split(".")[0] for m in top_imports(tree_of(path))} & set(HEAVY)
    assert heavy <= allowed


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_python_is_ever_taken_from_a_spec(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "__import__"), f"{path}:{node.lineno}"
            if node.func.id == "exec":
                pytest.fail(f"{path}:{node.lineno}: exec")


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.splitlines()[-1].split())


def test_import_is_light() -> None:
    assert not loaded_by("import archdsl") & {*HEAVY, "yaml", "pydantic", "click"}


def test_params_loads_nothing_heavy() -> None:
    code = "from archdsl.cli import main\ntry: main(['params', 'vgg16'])\nexcept SystemExit: pass"
    assert not loaded_by(code) & {"torch", "onnx", "onnxruntime", "numpy", "PIL", "graphviz"}


def test_the_test_above_can_fail() -> None:
    assert "numpy" in loaded_by("import archdsl, numpy")


def test_every_op_has_its_five_lines() -> None:
    for op in OPS_BY_NAME.values():
        doc = op.__doc__ or ""
        for word in ("Shape:", "Parameters:", "MACs:", "Errors:", "Source:"):
            assert re.search(rf"^    {word}", doc, re.MULTILINE), f"{op.name} lacks `{word}`"


def test_every_field_of_an_op_is_described() -> None:
    for op in OPS_BY_NAME.values():
        for name, field in op.model_fields.items():
            assert field.description, f"{op.name}.{name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_are_small(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            doc = node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0  # type: ignore[operator]
            assert node.end_lineno - node.lineno - doc <= 50, f"{path.name}:{node.lineno} {node.name}"  # type: ignore[operator]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("path", library_files(), ids=lambda p: p.stem)
def test_every_spec_begins_with_its_modeline(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../docs/archdsl.schema.json"


def test_no_two_networks_share_a_name() -> None:
    assert len(library_networks()) == len(set(library_networks()))


def test_the_keys_are_those_of_the_forms() -> None:
    from archdsl.language import keys
    from archdsl.language.schema import models

    assert tuple(models.DocumentForm.model_fields) == keys.TOP_LEVEL
    for head, form in models.COMPOSITES.items():
        assert {f.alias or k for k, f in form.model_fields.items()} == set(keys.COMPOSITE_KEYS[head])
