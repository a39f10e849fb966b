"""Mutation testing, `python -m tests.search.mutants --sample 400`: a test must detect each small change of the code.

A mutant is one change of an operator, comparison, condition, constant or statement in ops, passes, elaborate or the
lowerings. Texts, docstrings and annotations stay. Each mutant runs in a fork of a process that has torch loaded, on a
copy of the sources, until the first test fails. Only the tests that reach its line run, the fastest first; coverage
measures which these are (`pip install coverage`; `--map FILE` keeps the measurement). A mutant that exceeds its
processor time is counted separately.
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
    "archdsl/backends/onnx/rules",
    "archdsl/backends/torch/lower.py",
    "archdsl/backends/torch/rules",
)
"""The files and folders that are mutated."""
TESTS = (
    "analysis/test_counts",
    "diagnostics/test_diagnostics",
    "diagnostics/test_explain",
    "differences/test_diff",
    "elaborate/test_again",
    "elaborate/test_elaborate",
    "elaborate/test_names",
    "language/test_expand",
    "language/test_source",
    "library/test_listing",
    "library/test_polynet",
    "library/test_specs",
    "onnx/test_precision",
    "onnx/test_write",
    "ops/test_cases",
    "ops/test_facts",
    "ops/test_onnx",
    "ops/test_shapes",
    "ops/test_torch",
    "passes/test_passes",
    "report/test_table",
    "search/test_found",
    "search/test_random_networks",
    "search/test_wrong_specs",
    "torch/test_source",
    "torch/test_structure",
    "verification/test_reference",
    "verification/test_verify",
)
"""The test files that run, all in one process."""
SECONDS = 600
"""Processor time for one mutant: several times what all tests need. Wall time would depend on other processes."""


class Mutant(NamedTuple):
    file: str
    line: int
    what: str
    number: int
    """The index among the mutants of the file."""
    first: int
    last: int
    """The first and last line of its statement."""


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
    """Yield each changed version of the node, with a description."""
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
    """Nodes that may be changed: not in annotations, messages or decorators."""

    def __init__(self) -> None:
        self.nodes: list[ast.AST] = []

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.JoinedStr):
            return
        self.nodes.append(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list") or (
                isinstance(node, ast.keyword) and node.arg in ("help", "description", "label", "notes", "message")
            ):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    self.visit(child)


def places(tree: ast.Module) -> Iterator[tuple[ast.AST, str, ast.AST]]:
    """Yield each node that can be changed, the description of the change, and the changed node."""
    visitor = _Places()
    visitor.visit(tree)
    for node in visitor.nodes:
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            for what, other in changes(node):
                yield node, what, other


def mutants(path: Path, root: Path) -> list[Mutant]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    file = str(path.relative_to(root))
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]  # outer before inner

    def mutant(number: int, node: Any, what: str) -> Mutant:
        begin = max(
            (s.lineno for s in statements if s.lineno <= node.lineno and node.end_lineno <= (s.end_lineno or 0)),
            default=node.lineno,
        )
        head = node.test if isinstance(node, ast.If) else node
        return Mutant(file, node.lineno, what, number, begin, head.end_lineno)

    return [mutant(number, node, what) for number, (node, what, _) in enumerate(places(tree))]


def changed(text: str, mutant: Mutant) -> str:
    """Return the file with the change; `text` is the unchanged file."""
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
    """The tests that run each line, `file -> line -> tests`, and the duration of each test in seconds.

    All tests reach a line that runs when its module is imported.
    """

    lines: Mapping[str, Mapping[str, Sequence[str]]]
    seconds: Mapping[str, float]

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that reach a mutant: the fastest first, those without a measured duration last."""
        by_line = self.lines.get(mutant.file, {})
        tests = {test for line in range(mutant.first, mutant.last + 1) for test in by_line.get(str(line), ())}
        if "" in tests:
            tests |= {test for names in by_line.values() for test in names} - {""} or {*self.seconds}
        return sorted(tests - {""}, key=lambda test: (self.seconds.get(test, 1e9), test))


def measured(folder: Path, names: Sequence[str]) -> Reach:
    """Run the tests once with coverage. Exits if one fails: then mutants have no meaning."""
    import coverage

    data, report_file, settings = (folder / name for name in ("reach.data", "reach.xml", "reach.ini"))
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
            f"--junitxml={report_file}",
            *names,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=False,
    )
    if done.returncode:
        raise SystemExit("the tests fail without a mutant")
    seconds: Counter[str] = Counter()
    for case in ElementTree.parse(report_file).iter("testcase"):
        seconds[_test(f"{case.attrib['classname']}.{case.attrib['name'].partition('[')[0]}")] += float(
            case.attrib["time"]
        )  # type: ignore[assignment]
    coverage_data = coverage.CoverageData(str(data))
    coverage_data.read()
    lines: dict[str, Any] = {}
    for file in coverage_data.measured_files():
        by_line = coverage_data.contexts_by_lineno(file)
        lines[str(Path(file).relative_to(folder))] = {
            str(line): sorted(map(_test, tests)) for line, tests in by_line.items()
        }
    return Reach(lines, seconds)


def _test(context: str) -> str:
    """The pytest name of `tests.ops.test_shapes.test_pads`: `tests/ops/test_shapes.py::test_pads`."""
    if not context:
        return ""
    parts = context.removeprefix("tests.").split(".")
    module = next(n for n, part in enumerate(parts) if part.startswith("test_"))
    return f"tests/{'/'.join(parts[: module + 1])}.py::{'::'.join(parts[module + 1 :])}"


# --- trying one -----------------------------------------------------------------------------------------------


Verdict: TypeAlias = Literal["killed", "survives", "hangs", "not reached"]


def tried(folder: Path, mutant: Mutant, names: Sequence[str]) -> Verdict:
    """Run the tests on the mutant."""
    if not names:
        return "not reached"
    file = folder / mutant.file
    right = file.read_text(encoding="utf-8")
    file.write_text(changed(right, mutant), encoding="utf-8")
    try:
        return run_tests(folder, names)
    finally:
        file.write_text(right, encoding="utf-8")


def run_tests(folder: Path, names: Sequence[str]) -> Verdict:
    """Run the tests on the current code, in a fork."""
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
        "--seconds", type=float, default=float("inf"), help="stop after this time, and print how many were tried"
    )
    parser.add_argument("--only", default="", help="only files whose path matches this regular expression")
    parser.add_argument(
        "--part",
        default="0/1",
        metavar="K/N",
        help="every Nth mutant of the sample, starting at K: for several processes",
    )
    parser.add_argument(
        "--map",
        type=Path,
        metavar="FILE",
        help="file with the tests that reach each line: read if it exists, else written",
    )
    parser.add_argument("--list", action="store_true", help="only list the mutants")
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
    """Try the mutants until `end`; return the exit status. Heavy packages are imported once, before the forks."""
    import onnxruntime  # noqa: F401
    import torch  # noqa: F401
    import torchvision  # noqa: F401

    if run_tests(folder, sorted(reach.seconds)) != "survives":
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
    detected = counts["killed"] + counts["hangs"]
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))
    print(f"{total} tried: {verdicts} ({100 * detected / max(total, 1):.0f} % detected)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
