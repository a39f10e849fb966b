"""Mutation testing: small changes to the code, each of which a test must notice: `python -m tests.mutants --sample 400`.

A mutant is one change of an operator, comparison, condition, constant or statement in ops, passes, elaborate or the
lowerings. Texts, docstrings and annotations are left alone. Each is tried in a fork of a process that has torch loaded,
on a copy of the sources; the tests of its part run until the first one fails. A mutant that uses up its processor time
is counted apart: it hangs, or the tests need more.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).parents[1]
TARGETS = {
    "archdsl/ops": ("test_shapes", "test_counts", "test_elaborate", "test_onnx_ops", "test_torch_ops", "test_random_found", "test_diagnostics"),
    "archdsl/passes": ("test_counts", "test_passes", "test_precision", "test_diff", "test_compare"),
    "archdsl/elaborate": ("test_elaborate", "test_names", "test_random_found", "test_diagnostics", "test_expand"),
    "archdsl/backends/onnx/lower.py": ("test_onnx_ops",),
    "archdsl/backends/onnx/pools.py": ("test_onnx_ops",),
    "archdsl/backends/torch/lower.py": ("test_torch_ops", "test_torch_structure", "test_torch_source"),
}
"""What is mutated, and the tests that run first."""
ALWAYS = ("test_random_found", "test_wrong_specs", "test_random_networks", "test_explain", "test_library")
SECONDS = 600
"""Of the processor for one mutant, some times what all the tests need; the time by the clock depends on who else is at work."""


class Mutant(NamedTuple):
    file: str
    line: int
    what: str
    number: int
    """Among those of its file."""


# --- mutants --------------------------------------------------------------------------------------------------

_COMPARE = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
            ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is}  # fmt: skip
_ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult, ast.Mod: ast.FloorDiv}


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The node in other words: each changed node with what was done."""
    if isinstance(node, ast.Compare):
        for n, op in enumerate(node.ops):
            other = copy.deepcopy(node)
            other.ops[n] = _COMPARE[type(op)]()
            yield f"{ast.unparse(node)} -> {ast.unparse(other)}", other
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC and not _text(node):
        other = copy.deepcopy(node)
        other.op = _ARITHMETIC[type(node.op)]()
        yield f"{ast.unparse(node)} -> {ast.unparse(other)}", other
    elif isinstance(node, ast.BoolOp):
        other = copy.deepcopy(node)
        other.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{ast.unparse(node)} -> {ast.unparse(other)}", other
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield f"{ast.unparse(node)} -> {ast.unparse(node.operand)}", node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield f"{node.value} -> {value}", ast.Constant(value)
    elif isinstance(node, ast.IfExp):
        yield f"{ast.unparse(node)}: branches swapped", ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.If):
        other = copy.deepcopy(node)
        other.test = ast.UnaryOp(ast.Not(), node.test)
        yield f"if {ast.unparse(node.test)} -> if not", other
    elif isinstance(node, (ast.Raise, ast.Continue, ast.Break)) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield f"{ast.unparse(node)[:60]} -> pass", ast.Pass()


def _text(node: ast.AST) -> bool:
    return any(isinstance(part, (ast.JoinedStr,)) or (isinstance(part, ast.Constant) and isinstance(part.value, str)) for part in ast.walk(node))


class _Places(ast.NodeVisitor):
    """Nodes that may be changed: not in annotations, messages, or what types a field."""

    def __init__(self) -> None:
        self.found: list[ast.AST] = []

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.JoinedStr):
            return
        self.found.append(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list") or (isinstance(node, ast.keyword) and node.arg in ("help", "description", "label", "notes", "message")):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    self.visit(child)


def places(tree: ast.Module) -> Iterator[tuple[ast.AST, str, ast.AST]]:
    """Each node that is changed, what is done, and the changed one."""
    found = _Places()
    found.visit(tree)
    for node in found.found:
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            for what, other in changes(node):
                yield node, what, other


def mutants(path: Path, root: Path) -> list[Mutant]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    file = str(path.relative_to(root))
    return [Mutant(file, getattr(node, "lineno", 0), what, n) for n, (node, what, _) in enumerate(places(tree))]


def changed(text: str, mutant: Mutant) -> str:
    """The whole file with the change. `text` is what the mutant was made of."""
    tree = ast.parse(text)
    node, _, other = next(islice(places(tree), mutant.number, None))

    class Put(ast.NodeTransformer):
        def visit(self, here: ast.AST) -> ast.AST:
            return ast.copy_location(other, node) if here is node else self.generic_visit(here)

    return ast.unparse(ast.fix_missing_locations(Put().visit(tree)))


def all_mutants(root: Path) -> list[Mutant]:
    files = [f for target in TARGETS for f in ([root / target] if target.endswith(".py") else sorted((root / target).glob("*.py")))]
    return [mutant for file in files for mutant in mutants(file, root)]


# --- trying one -----------------------------------------------------------------------------------------------


def tests_of(file: str, quick: bool) -> list[str]:
    own = next(names for target, names in TARGETS.items() if file.startswith(target))
    names = dict.fromkeys(own if quick else (*own, *ALWAYS))
    return [f"tests/{name}.py" for name in names if (ROOT / "tests" / f"{name}.py").exists()]


def tried(folder: Path, mutant: Mutant, quick: bool) -> Literal["killed", "survives", "hangs"]:
    """What the tests say to it. They run in a fork."""
    file = folder / mutant.file
    right = file.read_text(encoding="utf-8")
    file.write_text(changed(right, mutant), encoding="utf-8")
    try:
        child = os.fork()
        if child == 0:
            _run(folder, tests_of(mutant.file, quick))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return "survives" if code == 0 else "hangs" if code in (-signal.SIGXCPU, -signal.SIGKILL) else "killed"
    finally:
        file.write_text(right, encoding="utf-8")


def right(folder: Path, names: list[str]) -> bool:
    """Whether these tests pass without a mutant; what fails is shown."""
    return subprocess.run([sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *names],
                          cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, check=False).returncode == 0  # fmt: skip


def _run(folder: Path, names: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.chdir(folder)
    sys.path[:] = [str(folder), *(p for p in sys.path if p not in ("", str(ROOT)))]
    os.environ["PYTHONPATH"] = str(folder)
    for name in [n for n in sys.modules if n == "archdsl" or n.startswith(("archdsl.", "tests"))]:
        del sys.modules[name]
    sys.dont_write_bytecode = True
    import pytest

    code = 1
    try:
        code = int(pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *names]))
    finally:
        os._exit(code)


def copied(folder: Path) -> None:
    skip = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", ".hypothesis", "node_modules")
    shutil.copytree(ROOT, folder, ignore=skip, dirs_exist_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop when the time is over, and say how many were tried")
    parser.add_argument("--only", default="", help="files in whose path this regular expression is found")
    parser.add_argument("--quick", action="store_true", help="only the tests of the part at hand: fewer are noticed")
    parser.add_argument("--list", action="store_true", help="only name the mutants")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copied(folder)
        every = [m for m in all_mutants(folder) if re.search(chosen.only, m.file)]
        sample = random.Random(chosen.seed).sample(every, min(chosen.sample, len(every)))
        print(f"{len(every):,} mutants, {len(sample)} of them tried", flush=True)
        if chosen.list:
            print("\n".join(f"{m.file}:{m.line}: {m.what}" for m in sample))
            return 0
        return report(folder, sample, chosen.quick, time.monotonic() + chosen.seconds)


def report(folder: Path, sample: list[Mutant], quick: bool, end: float) -> int:
    """Tries them until `end`; the exit status. What they all need is imported once, before the forks."""
    import onnxruntime  # noqa: F401
    import torch  # noqa: F401
    import torchvision  # noqa: F401

    if not right(folder, sorted({name for mutant in sample for name in tests_of(mutant.file, quick)})):
        print("the tests fail without a mutant")
        return 2
    counts: Counter[str] = Counter()
    for mutant in sample:
        if time.monotonic() > end:
            break
        said = tried(folder, mutant, quick)
        counts[said] += 1
        print(f"{said}: {mutant.file}:{mutant.line}: {mutant.what}", flush=True)
    total = counts.total()
    noticed = total - counts["survives"]
    print(f"{total} tried: {counts['killed']} killed, {counts['hangs']} hang, {counts['survives']} survive ({100 * noticed / max(total, 1):.0f} % noticed)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
