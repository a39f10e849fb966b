"""Runs the main commands of the installed archdsl outside of the checkout and checks what they write.

    python tools/smoke.py

Needs no extra: neither torch nor ONNX Runtime. Exits with status 1 if a command fails.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

SPEC = "name: small\ninput: 3x32x32\nnet: {conv1: 3x3 conv 8, act: relu, pool: gap, fc: fc 10}\n"
FORMATTED = "name: small\ninput: 3x32x32\nnet:\n  conv1: 3x3 conv 8\n  act: relu\n  pool: gap\n  fc: fc 10\n"
PARAMS = (3 * 3 * 3 * 8 + 8) + (8 * 10 + 10)


class Step(NamedTuple):
    """A command, its exit status, and a check of its standard output."""

    arguments: str
    status: int
    check: Callable[[str], bool]


def _starts(path: str, magic: bytes) -> bool:
    return Path(path).read_bytes().startswith(magic)


STEPS = (
    Step("--version", 0, lambda text: "archdsl" in text),
    Step("params small.yaml --format json", 0, lambda text: json.loads(text)["totals"]["params"] == PARAMS),
    Step("params vgg16", 0, lambda text: "138,357,544" in text),
    Step("list", 0, lambda text: "resnet50" in text),
    Step("check small.yaml", 0, lambda text: "small" in text),
    Step("check wrong.yaml", 1, lambda text: True),
    Step("fmt small.yaml", 0, lambda text: True),
    Step("diagram small.yaml -o small.svg", 0, lambda text: b"</svg>" in Path("small.svg").read_bytes()),
    Step("diagram small.yaml -o small.png", 0, lambda text: _starts("small.png", b"\x89PNG")),
    Step("diagram small.yaml -o small.html", 0, lambda text: Path("small.html").is_file()),
    Step("compile small.yaml --to torch -o small.py", 0, lambda text: bool(ast.parse(Path("small.py").read_text()))),
    Step("compile small.yaml -o small.onnx", 0, lambda text: Path("small.onnx").stat().st_size > 4 * PARAMS),
    Step("import small.onnx", 0, lambda text: text == FORMATTED),
    Step("params small.onnx --format json", 0, lambda text: json.loads(text)["totals"]["params"] == PARAMS),
    Step("compile small.yaml --to weights -o small.safetensors", 0, lambda text: Path("small.safetensors").is_file()),
    Step("explain E0412", 0, lambda text: "E0412" in text),
    Step("doctor", 0, lambda text: "numpy" in text),
)


def run(step: Step) -> str:
    """Run a step in the current folder; return an error text, empty on success."""
    command = [sys.executable, "-m", "archdsl", *step.arguments.split()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
    if done.returncode != step.status:
        return f"exit status {done.returncode}, expected {step.status}\n{done.stdout}{done.stderr}"
    if "Traceback" in done.stderr:
        return done.stderr
    return "" if step.check(done.stdout) else f"unexpected output\n{done.stdout}"


def main() -> int:
    os.environ["PYTHONUTF8"] = "1"
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            Path("small.yaml").write_text(SPEC, encoding="utf-8")
            Path("wrong.yaml").write_text(SPEC.replace("3x3 conv", "3x3 cnv"), encoding="utf-8")
            failures = [step.arguments for step in STEPS if _report(step)]
        finally:
            os.chdir(home)
    print(f"{len(STEPS) - len(failures)} of {len(STEPS)} commands work")
    return 1 if failures else 0


def _report(step: Step) -> bool:
    problem = run(step)
    print(f"{'FAILED' if problem else 'ok':6} archdsl {step.arguments}", *[problem] * bool(problem), flush=True)
    return bool(problem)


if __name__ == "__main__":
    sys.exit(main())
