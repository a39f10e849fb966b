"""An argument of a wrong type raises E0004, an empty one E0002, in every verb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import archdsl

CASES: dict[str, tuple[str, Callable[[archdsl.Network], object]]] = {
    "verify nothing": ("E0004", lambda net: archdsl.verify(None)),
    "verify args": ("E0004", lambda net: archdsl.verify("lenet5", args=())),
    "list a number": ("E0004", lambda net: archdsl.list(3)),
    "list a tuple": ("E0004", lambda net: archdsl.list(())),
    "list family": ("E0004", lambda net: archdsl.list(family=None)),
    "list task": ("E0004", lambda net: archdsl.list(task=None)),
    "list reverse": ("E0004", lambda net: archdsl.list(reverse="x")),
    "list progress": ("E0004", lambda net: archdsl.list(progress=3)),
    "check nothing": ("E0004", lambda net: archdsl.check(None)),
    "check a network": ("E0004", lambda net: archdsl.check(net)),
    "check no spec": ("E0002", lambda net: archdsl.check()),
    "check why": ("E0004", lambda net: archdsl.check("lenet5", why="macs")),
    "check args": ("E0004", lambda net: archdsl.check("lenet5", args="x")),
    "check a list of args": ("E0004", lambda net: archdsl.check("lenet5", args=[])),
    "compare a list": ("E0004", lambda net: archdsl.compare([])),
    "compare progress": ("E0004", lambda net: archdsl.compare("lenet5", progress=3)),
    "diff args": ("E0004", lambda net: archdsl.diff("lenet5", "lenet5", args={1: 3})),
    "diff names": ("E0004", lambda net: archdsl.diff("lenet5", "lenet5", names=3)),
    "predict no images": ("E0004", lambda net: archdsl.predict("lenet5", None)),
    "predict a number": ("E0004", lambda net: archdsl.predict("lenet5", [3])),
    "predict bytes": ("E0004", lambda net: archdsl.predict("lenet5", b"x")),
    "predict output": ("E0004", lambda net: archdsl.predict("lenet5", "x.png", output=3)),
    "bench args": ("E0004", lambda net: archdsl.bench("lenet5", args=3)),
    "import args": ("E0004", lambda net: archdsl.import_model("x.onnx", args=[])),
    "load an empty input": ("E0002", lambda net: archdsl.load("lenet5", input="")),
    "load no sizes": ("E0002", lambda net: archdsl.load("lenet5", input=())),
    "compile output": ("E0004", lambda net: net.compile(3)),
    "compile target": ("E0004", lambda net: net.compile(target=3)),
    "compile no target": ("E0002", lambda net: net.compile("x", [])),
    "compile calibrate": ("E0004", lambda net: net.compile(precision="int8", calibrate=3)),
    "compile external data": ("E0004", lambda net: net.compile("x.onnx", external_data="no")),
    "compile force": ("E0004", lambda net: net.compile("x.onnx", force=1)),
    "compile strict": ("E0004", lambda net: net.compile("x.onnx", strict=1)),
    "compile progress": ("E0004", lambda net: net.compile("x.onnx", progress=3)),
    "onnx path": ("E0004", lambda net: net.to_onnx(3)),
    "onnx progress": ("E0004", lambda net: net.to_onnx("x.onnx", progress=3)),
    "diagram path": ("E0004", lambda net: net.save_diagram(3)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_type_has_a_code(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, call = CASES[case]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(archdsl.ArchError) as raised:
        call(archdsl.load("lenet5"))
    assert [d.code for d in raised.value.diagnostics] == [code]
    assert not [*tmp_path.iterdir()]
