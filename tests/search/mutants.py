"""Mutation testing: small changes to the code, each of which a test must notice: `python -m tests.search.mutants
--sample 400`.

A mutant is one change of an operator, comparison, condition, constant or statement in ops, passes, elaborate or the
lowerings. Texts, docstrings and annotations are left alone. Each is tried in a fork of a process that has torch loaded,
on a copy of the sources, until the first test fails; those run that reach its line, the quickest first. Which these are
is measured before (`coverage`, which has to be installed; `--map FILE` keeps it). A mutant that uses up its processor
time is counted apart: it hangs, or the tests need more.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
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
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias
from xml.etree import ElementTree

from tests.support.places import ROOT

TARGETS = (
    "archdsl/ops",
    "archdsl/passes",
    "archdsl/elaborate",
    "archdsl/backends/onnx/lower.py",
    "archdsl/backends/onnx/pools.py",
    "archdsl/backends/torch/lower.py",
)
"""What is mutated."""
TESTS = (
    "test_shapes",
    "test_counts",
    "test_elaborate",
    "test_onnx_ops",
    "test_torch_ops",
    "test_random_found",
    "test_diagnostics",
    "test_passes",
    "test_precision",
    "test_diff",
    "test_compare",
    "test_names",
    "test_expand",
    "test_torch_structure",
    "test_torch_source",
    "test_wrong_specs",
    "test_random_networks",
    "test_explain",
    "test_library",
    "test_again",
    "test_onnx_write",
    "test_source",
    "test_views_table",
    "test_polynet",
    "test_verify",
    "test_judge",
)
"""What may notice: those that run in one process."""
SECONDS = 600
"""Of the processor for one mutant, some times what all the tests need; the time by the clock depends on who else is at
work."""


class Mutant(NamedTuple):
    file: str
    line: int
    what: str
    number: int
    """Among those of its file."""
    first: int
    last: int
    """The lines from where its statement begins to where it ends."""


# --- mutants --------------------------------------------------------------------------------------------------

_COMPARE = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
}


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
    elif isinstance(node, (ast.Raise, ast.Continue, ast.Break)) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ):
        yield f"{ast.unparse(node)[:60]} -> pass", ast.Pass()


def _text(node: ast.AST) -> bool:
    return any(
        isinstance(part, (ast.JoinedStr,)) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
        for part in ast.walk(node)
    )


class _Places(ast.NodeVisitor):
    """Nodes that may be changed: not in annotations, messages, or what types a field."""

    def __init__(self) -> None:
        self.found: list[ast.AST] = []

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.JoinedStr):
            return
        self.found.append(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list") or (
                isinstance(node, ast.keyword) and node.arg in ("help", "description", "label", "notes", "message")
            ):
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
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]  # outer before inner

    def made(number: int, node: Any, what: str) -> Mutant:
        begin = max(
            (s.lineno for s in statements if s.lineno <= node.lineno and node.end_lineno <= (s.end_lineno or 0)),
            default=node.lineno,
        )
        head = node.test if isinstance(node, ast.If) else node
        return Mutant(file, node.lineno, what, number, begin, head.end_lineno)

    return [made(number, node, what) for number, (node, what, _) in enumerate(places(tree))]


def changed(text: str, mutant: Mutant) -> str:
    """The whole file with the change. `text` is what the mutant was made of."""
    tree = ast.parse(text)
    node, _, other = next(islice(places(tree), mutant.number, None))

    class Put(ast.NodeTransformer):
        def visit(self, here: ast.AST) -> ast.AST:
            return ast.copy_location(other, node) if here is node else self.generic_visit(here)

    return ast.unparse(ast.fix_missing_locations(Put().visit(tree)))


def all_mutants(root: Path) -> list[Mutant]:
    files = [
        f
        for target in TARGETS
        for f in ([root / target] if target.endswith(".py") else sorted((root / target).glob("*.py")))
    ]
    return [mutant for file in files for mutant in mutants(file, root)]


# --- which tests reach a line -----------------------------------------------------------------------------------


class Reach(NamedTuple):
    """The tests that run each line, `file -> line -> tests`, and the seconds of each test. A line that runs when its
    module is imported is reached by all."""

    lines: Mapping[str, Mapping[str, Sequence[str]]]
    seconds: Mapping[str, float]

    def tests(self, mutant: Mutant) -> list[str]:
        """The quickest first; the seldom ones that no clock was read of last."""
        told = self.lines.get(mutant.file, {})
        found = {test for line in range(mutant.first, mutant.last + 1) for test in told.get(str(line), ())}
        if "" in found:
            found |= {test for names in told.values() for test in names} - {""} or {*self.seconds}
        return sorted(found - {""}, key=lambda test: (self.seconds.get(test, 1e9), test))


def measured(folder: Path, names: Sequence[str]) -> Reach:
    """Runs the tests once and looks. Exits where one fails: then nothing can be told of mutants."""
    import coverage

    data, said, settings = (folder / name for name in ("reach.data", "reach.xml", "reach.ini"))
    settings.write_text(f"[run]\ndynamic_context = test_function\nsource = archdsl\ndata_file = {data}\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "coverage",
            "run",
            f"--rcfile={settings}",
            "-m",
            "pytest",
            "-x",
            "-q",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            f"--junitxml={said}",
            *names,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=False,
    )
    if done.returncode:
        raise SystemExit("the tests fail without a mutant")
    seconds: Counter[str] = Counter()
    for case in ElementTree.parse(said).iter("testcase"):
        seconds[_test(f"{case.attrib['classname']}.{case.attrib['name'].partition('[')[0]}")] += float(
            case.attrib["time"]
        )  # type: ignore[assignment]
    found = coverage.CoverageData(str(data))
    found.read()
    lines: dict[str, Any] = {}
    for file in found.measured_files():
        by_line = found.contexts_by_lineno(file)
        lines[str(Path(file).relative_to(folder))] = {
            str(line): sorted(map(_test, tests)) for line, tests in by_line.items()
        }
    return Reach(lines, seconds)


def _test(context: str) -> str:
    """`tests.test_shapes.test_pads` as pytest names it."""
    if not context:
        return ""
    module, _, function = context.removeprefix("tests.").partition(".")
    return f"tests/{module}.py::{function.replace('.', '::')}"


# --- trying one -----------------------------------------------------------------------------------------------


Verdict: TypeAlias = Literal["killed", "survives", "hangs", "not reached"]


def tried(folder: Path, mutant: Mutant, names: Sequence[str]) -> Verdict:
    """What the tests say to it."""
    if not names:
        return "not reached"
    file = folder / mutant.file
    right = file.read_text(encoding="utf-8")
    file.write_text(changed(right, mutant), encoding="utf-8")
    try:
        return said(folder, names)
    finally:
        file.write_text(right, encoding="utf-8")


def said(folder: Path, names: Sequence[str]) -> Verdict:
    """What the tests say to the code as it stands. They run in a fork."""
    child = os.fork()
    if child == 0:
        _run(folder, names)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "survives" if code == 0 else "hangs" if code in (-signal.SIGXCPU, -signal.SIGKILL) else "killed"


def _run(folder: Path, names: Sequence[str]) -> None:
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
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="stop when the time is over, and say how many were tried"
    )
    parser.add_argument("--only", default="", help="files in whose path this regular expression is found")
    parser.add_argument(
        "--part", default="0/1", metavar="K/N", help="every Nth of the sample, from the Kth on: for several processes"
    )
    parser.add_argument(
        "--map", type=Path, metavar="FILE", help="which tests reach a line: read from there, or kept there"
    )
    parser.add_argument("--list", action="store_true", help="only name the mutants")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        copied(folder)
        every = [m for m in all_mutants(folder) if re.search(chosen.only, m.file)]
        sample = random.Random(chosen.seed).sample(every, min(chosen.sample, len(every)))
        part, parts = map(int, chosen.part.split("/"))
        sample = sample[part::parts]
        print(f"{len(every):,} mutants, {len(sample)} of them tried", flush=True)
        if chosen.list:
            print("\n".join(f"{m.file}:{m.line}: {m.what}" for m in sample))
            return 0
        if chosen.map and chosen.map.exists():
            reach = Reach(*json.loads(chosen.map.read_text(encoding="utf-8")))
        else:
            reach = measured(folder, [f"tests/{name}.py" for name in TESTS])
            if chosen.map:
                chosen.map.write_text(json.dumps(reach), encoding="utf-8")
        return report(folder, sample, reach, time.monotonic() + chosen.seconds)


def report(folder: Path, sample: list[Mutant], reach: Reach, end: float) -> int:
    """Tries them until `end`; the exit status. What they all need is imported once, before the forks."""
    import onnxruntime  # noqa: F401
    import torch  # noqa: F401
    import torchvision  # noqa: F401

    if said(folder, sorted(reach.seconds)) != "survives":
        print("the tests fail without a mutant")
        return 2
    counts: Counter[str] = Counter()
    for mutant in sample:
        if time.monotonic() > end:
            break
        verdict = tried(folder, mutant, reach.tests(mutant))
        counts[verdict] += 1
        print(f"{verdict}: {mutant.file}:{mutant.line}: {mutant.what}", flush=True)
    total = counts.total()
    noticed = counts["killed"] + counts["hangs"]
    print(
        f"{total} tried: {', '.join(f'{n} {verdict}' for verdict, n in sorted(counts.items()))}"
        f" ({100 * noticed / max(total, 1):.0f} % noticed)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
