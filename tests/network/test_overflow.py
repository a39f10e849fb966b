"""`compile` warns if random weights overflow: tests `compilation/overflow.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli import main
from archdsl.compilation import overflow
from tests.support.overflowing import DEEP


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("deep.yaml").write_text(DEEP)
    return tmp_path


def warnings(net: archdsl.Network, **options: Any) -> list[str]:
    compiled = net.compile("m.onnx", "onnx", force=True, **options)
    return [note.message for note in compiled.notes if note.severity == "warning"]


def network(*lines: str, input: str = "3x8x8") -> archdsl.Network:
    return archdsl.loads(f"name: net\ninput: {input}\nnet:\n" + "".join(f"  n{n}: {t}\n" for n, t in enumerate(lines)))


def test_compile_warns_and_writes_the_file() -> None:
    ran = CliRunner().invoke(main, ["compile", "deep.yaml", "-o", "m.onnx"])
    assert ran.exit_code == 0 and Path("m.onnx").exists()
    assert "warning[W0706]: with random weights, the values overflow float32 at `body." in ran.stderr
    (problem,) = archdsl.verify("deep.yaml").problems
    block = re.compile(r"`body\.([0-9]+)")
    assert problem.code == "E0824" and block.findall(problem.message) == block.findall(ran.stderr)[:1]


def test_smaller_weights_and_ordinary_networks_give_no_warning() -> None:
    net = archdsl.load("deep.yaml")
    smaller = {key: value / 2 if value.ndim > 1 else value for key, value in net.weights().items()}
    assert warnings(net, weights=smaller) == []
    assert warnings(archdsl.load("lenet5")) == []
    assert warnings(network("3x3 conv 4", "3x3 maxpool /1 pad=2 dilation=2", "gap")) == [], (
        "its pads are minus infinity"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"precision": "fp16"}, ["with random weights, the values overflow float16 at `n1`"]),
        ({"precision": "fp16", "free_sizes": True}, ["with random weights, the values overflow float16 at `n1`"]),
        ({"precision": "fp16", "external_data": True}, ["with random weights, the values overflow float16 at `n1`"]),
        ({"precision": "fp16", "passes": ()}, ["with random weights, the values overflow float16 at `n1`"]),
    ],
)
def test_precisions_and_options(options: dict[str, Any], expected: list[str]) -> None:
    assert warnings(network("3x3 conv 8 relu", "affine 3e4 6e4", "relu", "3x3 conv 4"), **options) == expected


def test_the_first_part_of_a_split_and_a_value_that_an_output_hides() -> None:
    text = (
        "name: n\ninput: 2x8x8\nnet:\n  c: 3x3 conv 4 relu\n  b: affine 1e20 1e20\n  s: split 2\n  m: mul <- s.0, s.1\n"
    )
    assert warnings(archdsl.loads(text)) == ["with random weights, the values overflow float32 at `m`"]
    assert warnings(network("3x3 conv 4 relu", "affine 1e30 1e30", "relu", "affine 1e30", "sigmoid")) == [
        "with random weights, the values overflow float32 at `n3`"
    ]


def test_what_cannot_be_run_gives_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    net = archdsl.load("deep.yaml")
    assert len(warnings(net)) == 1
    monkeypatch.setattr(overflow, "MAX_MACS", 1000)
    assert warnings(net) == []
    monkeypatch.undo()
    monkeypatch.setattr(overflow, "free_memory", lambda: 1000)
    assert warnings(net) == []
    monkeypatch.undo()
    monkeypatch.setattr(overflow, "find_spec", lambda name: None)
    assert warnings(net) == []
