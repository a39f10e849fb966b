"""Files of a stranger's beside the spec: models, metadata, images, weights, pipes. What is refused, and what that
costs."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from archdsl.cli import main
from tests.hostile.cases import CASES, CAT, Case
from tests.hostile.test_hostile import MEMORY_MB, run
from tests.support.places import DOCS

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pipes, devices, /proc")

ANYONE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
CHEAP_S = 10
"""Of processor time; a process that loads torch takes three of them for that."""


def ids() -> list[str]:
    return [name.replace(" ", "-") for name in CASES]


def check_result(text: str, status: int, case: Case) -> None:
    assert "internal error" not in text and "Traceback" not in text, text[-2000:]
    assert (status, case.word in text) == (case.status, True), text[:2000]
    assert "hunter2" not in text and "root:" not in text, "the output contains another file"
    assert not ANYONE.search(text), "a control character is printed"
    assert len(text) < 100_000


@pytest.mark.parametrize("case", CASES.values(), ids=ids())
def test_refused_or_read(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    args = case.make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = CliRunner().invoke(main, list(args))
    check_result(done.output, done.exit_code, case)
    made = {path.name for path in set(tmp_path.rglob("*")) - set(before)}
    assert made <= ({"o.onnx"} if case.status == 0 else set()), "something was written"


@cache
def beginning(command: str) -> float:
    """What a command takes that meets nothing odd, in MB."""
    import tempfile

    from tests.hostile.cases import RELU, model

    args = {
        "import": ["import", "m.onnx"],
        "predict": ["predict", "lenet5", CAT],
        "verify": ["verify", "s.yaml"],
        "compile": ["compile", "s.yaml", "-o", "o.onnx"],
        "bench": ["bench", "m.onnx", "--seconds", "0.1"],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "m.onnx").write_bytes(model([RELU]))
        (folder / "s.yaml").write_text("name: s\ninput: 3x8x8\nnet: [gap, fc 2]\n")
        here = Path.cwd()
        os.chdir(folder)
        try:
            return run(folder, *args.get(command, ["params", "s.yaml"]), memory_gb=64).memory_mb
        finally:
            os.chdir(here)


TORCH = """
import sys
import torch
"""


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=ids())
def test_the_cost(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    args = list(case.make(tmp_path))
    done = run(tmp_path, *args, time_s=60, memory_gb=64)
    check_result(done.text, done.status, case)
    torch_too = 250 if any(arg.endswith(".pth") for arg in args) else 0
    assert done.memory_mb < beginning(args[0]) + MEMORY_MB + torch_too
    assert done.time_s < CHEAP_S


def test_the_page_says_the_limits() -> None:
    from archdsl.backends.weights import safetensors
    from archdsl.drawing.request import TIME_LIMIT_S
    from archdsl.elaborate import limits as networks
    from archdsl.frontends import limits as imports
    from archdsl.language.expressions import MAX_DEPTH
    from archdsl.runtime import model, preprocess
    from archdsl.source import limits
    from archdsl.spec.open import MAX_EXTENDS, MAX_VARIANTS

    page = (DOCS / "trust.md").read_text()
    for phrase in (
        (
            f"{limits.MAX_BYTES >> 20} MiB, {limits.MAX_NODES:,} keys and values, {limits.MAX_DEPTH} levels; aliases"
            f" expand to {limits.MAX_ALIASED:,}"
        ),
        f"{networks.MAX_NODES:,} nodes; {networks.MAX_DEPTH} blocks",
        f"{MAX_EXTENDS} files in a chain; {MAX_VARIANTS} variants",
        f"| {MAX_DEPTH} levels, whole numbers",
        f"| {TIME_LIMIT_S:g} s, then",
        f"a header of {safetensors.MAX_HEADER >> 20} MiB",
        f"{model.MAX_NODES:,} nodes; {model.MAX_TEXT >> 20} MiB of metadata",
        f"{imports.SECONDS} s of processor time and {imports.MEMORY >> 30} GiB",
        f"{preprocess.MAX_PIXELS // 10**6} million pixels; 32 million",
        f"{preprocess.MAX_FED // 10**6} million pixels",
    ):
        assert phrase in page, phrase
