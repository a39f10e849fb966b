"""The conventions of the house, each of which fails here when it is broken."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import archdsl
from archdsl import library
from archdsl.ops import GRAPH_OPS, KINDS

PACKAGE = Path(archdsl.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = [
    ("diagnostics", "disk", "shapes", "need", "status"),
    ("source", "files"),
    ("ops",),
    ("language", "graph", "folding"),
    ("library",),
    ("spec", "elaborate"),
    ("passes",),
    ("backends", "views", "claims", "reasons"),
    ("given", "runtime"),
    ("network",),
    ("catalog", "review", "frontends", "bench"),
    ("cli", "explain", "__init__", "__main__"),
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
    "frontends/torch_module.py": {"torch", "onnx"},
    "given.py": {"numpy"},
    "runtime": {"numpy", "onnxruntime", "PIL"},
    "runtime/quantise.py": {"onnx"},
    "runtime/judge.py": {"torch", "numpy"},
    "bench": {"numpy", "onnx"},
}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def top_imports(tree: ast.Module) -> set[str]:
    """Modules imported when the file is: not inside functions, not for type checkers."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "archdsl":
                found |= {f"archdsl.{a.name}" for a in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    mine = LEVEL[part_of(path)]
    for module in top_imports(ast.parse(path.read_text(encoding="utf-8"))):
        name, _, rest = module.partition(".")
        if name != "archdsl" or not rest:
            continue
        other = rest.split(".")[0]
        if other in LEVEL:
            assert LEVEL[other] <= mine, f"{path.name} imports {module}, which is above it"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_imports_stay_where_they_are_used(path: Path) -> None:
    relative = path.relative_to(PACKAGE).as_posix()
    allowed = set().union(*(v for k, v in MAY_BE_HEAVY.items() if relative.startswith(k)))
    heavy = {m.split(".")[0] for m in top_imports(ast.parse(path.read_text(encoding="utf-8")))} & set(HEAVY)
    assert heavy <= allowed


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_python_is_ever_taken_from_a_spec(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "__import__"), f"{path}:{node.lineno}"
            if node.func.id == "exec":
                pytest.fail(f"{path}:{node.lineno}: exec")


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_is_light() -> None:
    assert not loaded_by("import archdsl") & {*HEAVY, "yaml", "pydantic", "click"}


def test_params_loads_nothing_heavy() -> None:
    code = "from archdsl.cli import main\ntry: main(['params', 'vgg16'])\nexcept SystemExit: pass"
    assert not loaded_by(code) & {"torch", "onnx", "onnxruntime", "numpy", "PIL", "graphviz"}


def test_the_test_above_can_fail() -> None:
    assert "numpy" in loaded_by("import archdsl, numpy")


def test_every_op_has_its_five_lines() -> None:
    for op in KINDS.values():
        doc = op.__doc__ or ""
        for word in ("Shape:", "Parameters:", "MACs:", "Errors:", "Source:"):
            assert re.search(rf"^    {word}", doc, re.MULTILINE), f"{op.kind} lacks `{word}`"


def test_every_field_of_an_op_is_described() -> None:
    for op in KINDS.values():
        for name, field in op.model_fields.items():
            assert field.description, f"{op.kind}.{name}"


def test_every_target_knows_every_op() -> None:
    from archdsl.backends.onnx import lower as onnx
    from archdsl.backends.torch import lower as torch

    inputs = {GRAPH_OPS[0]}
    assert set(torch.TABLE) - inputs == set(GRAPH_OPS) - inputs
    assert set(onnx.TABLE) - inputs == set(GRAPH_OPS) - inputs


def test_parametric_is_what_params_says() -> None:
    sizes = {"rbf": (4,), "fc": (4,)}
    fields = {
        "conv": {"out": 4, "kernel": 1},
        "deconv": {"out": 4, "kernel": 1},
        "fc": {"out": 2},
        "rbf": {"out": 2},
        "maxpool": {"kernel": 1},
        "avgpool": {"kernel": 1},
        "subsample": {"kernel": 1},
        "gn": {"groups": 2},
        "slice": {"start": 0},
        "shuffle": {"groups": 2},
        "upsample": {"scale": 2},
    }
    for op in GRAPH_OPS[1:]:
        made = op.model_validate(fields.get(op.kind, {}))
        shapes = [sizes.get(op.kind, (4, 3, 3))] * max(op.arity[0], 1)
        assert bool(made.params(shapes)) == op.parametric, op.kind


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_are_small(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            doc = node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0  # type: ignore[operator]
            assert node.end_lineno - node.lineno - doc <= 50, f"{path.name}:{node.lineno} {node.name}"  # type: ignore[operator]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("path", library.files(), ids=lambda p: p.stem)
def test_every_spec_begins_with_its_modeline(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../docs/archdsl.schema.json"


def test_no_two_networks_share_a_name() -> None:
    assert len(library.names()) == len(set(library.names()))


def test_the_keys_are_those_of_the_forms() -> None:
    from archdsl.language import document_forms, keys

    assert tuple(document_forms.DocumentForm.model_fields) == keys.TOP_LEVEL
    for head, form in document_forms.COMPOSITES.items():
        assert {f.alias or k for k, f in form.model_fields.items()} == set(keys.COMPOSITE_KEYS[head])
