"""Every verb of the command line is a function of the library, with a typed result and the same diagnostics.

A new verb adds a test that calls it, and rows of wrong arguments to `WRONG`.

Tests `cli/passes.py` and `progress.py`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import archdsl
from archdsl import explain
from archdsl.backends.onnx.effects import passes_report
from archdsl.backends.spec.format_files import format_files
from archdsl.backends.spec.rewrite import expand
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.differences.diff import NetworkDifference
from archdsl.progress import watched
from archdsl.report.params import params_report
from tests.support.places import CAT

LENET = archdsl.load("lenet5")


def _any(value: Any) -> Any:
    """A value that a type checker would refuse."""
    return value


WRONG: list[tuple[str, Callable[[], object], list[str]]] = [
    ("load", lambda: archdsl.load("resnt50"), ["params", "resnt50"]),
    ("load", lambda: archdsl.load("vgg16", clases=3), ["params", "vgg16", "-a", "clases=3"]),
    ("load", lambda: archdsl.load("vgg16", input="3x3"), ["params", "vgg16", "--input", "3x3"]),
    ("params", lambda: params_report(LENET.graph, batch=0), ["params", "lenet5", "--batch", "0"]),
    ("params", lambda: params_report(LENET.graph, depth=65), ["params", "lenet5", "--depth", "65"]),
    ("params", lambda: params_report(LENET.graph, "xml"), ["params", "lenet5", "--format", "xml"]),
    (
        "params",
        lambda: params_report(LENET.graph, depth=1, every_node=True),
        ["params", "lenet5", "--depth", "1", "--all"],
    ),
    ("passes", lambda: passes_report(LENET.graph).text("csv"), ["passes", "lenet5", "--format", "csv"]),
    ("explain", lambda: explain.page("E9999"), ["explain", "E9999"]),
    ("fmt", lambda: format_files(["-", "x.yaml"]), ["fmt", "-", "x.yaml"]),
    ("expand", lambda: expand("lenet6"), ["expand", "lenet6"]),
    ("list", lambda: archdsl.list("vgg61"), ["list", "vgg61"]),
    ("list", lambda: archdsl.list(family="vgq"), ["list", "--family", "vgq"]),
    ("list", lambda: archdsl.list(task="detection"), ["list", "--task", "detection"]),
    ("list", lambda: archdsl.list(sort="colour"), ["list", "--sort", "colour"]),
    ("list", lambda: archdsl.list(min_params=-1), ["list", "--min-params=-1"]),
    ("list", lambda: archdsl.list(max_params="10X"), ["list", "--max-params", "10X"]),
    ("list", lambda: archdsl.list(max_macs=float("nan")), ["list", "--max-macs", "nan"]),
    ("list", lambda: archdsl.list(year="2016-2014"), ["list", "--year", "2016-2014"]),
    ("list", lambda: archdsl.list("lenet5").text("xml"), ["list", "lenet5", "--format", "xml"]),
    ("check", lambda: archdsl.check("lenet5").text("xml"), ["check", "lenet5", "--format", "xml"]),
    (
        "check",
        lambda: archdsl.check("lenet5", why=True, input="1x32x32"),
        ["check", "lenet5", "--why", "--input", "1x32x32"],
    ),
    ("bundle", lambda: archdsl.bundle("lenet5", _any("tritn")), ["bundle", "lenet5", "--to", "tritn"]),
    (
        "bundle",
        lambda: archdsl.bundle("lenet5", "triton", max_batch=0),
        ["bundle", "lenet5", "--to", "triton", "--max-batch", "0"],
    ),
    (
        "bundle",
        lambda: archdsl.bundle("lenet5", "web", tensorrt=True),
        ["bundle", "lenet5", "--to", "web", "--tensorrt"],
    ),
    ("compare", lambda: archdsl.compare("lenet5", sort="colour"), ["compare", "lenet5", "--sort", "colour"]),
    ("compare", lambda: archdsl.compare("lenet5", reverse=True), ["compare", "lenet5", "--reverse"]),
    ("compare", lambda: archdsl.compare("lenet5", input="3x"), ["compare", "lenet5", "--input", "3x"]),
    ("compare", lambda: archdsl.compare("vgg61*"), ["compare", "vgg61*"]),
    ("compare", lambda: archdsl.compare("vgg61", "vgg62"), ["compare", "vgg61", "vgg62"]),
    ("compare", lambda: archdsl.compare("lenet5").text("xml"), ["compare", "lenet5", "--format", "xml"]),
    ("compare", lambda: archdsl.compare("lenet5").chart("jpeg"), ["compare", "lenet5", "--plot", "x.jpeg"]),
    ("verify", lambda: archdsl.verify("a.onnx", "b.onnx"), ["verify", "a.onnx", "b.onnx"]),
    ("verify", lambda: archdsl.verify("a.onnx", args={"n": 1}), ["verify", "a.onnx", "-a", "n=1"]),
    ("verify", lambda: archdsl.verify("lenet5", batch=0), ["verify", "lenet5", "--batch", "0"]),
    ("verify", lambda: archdsl.verify("lenet5", seed=-1), ["verify", "lenet5", "--seed", "-1"]),
    ("verify", lambda: archdsl.verify("missing.onnx"), ["verify", "missing.onnx"]),
    (
        "predict",
        lambda: archdsl.predict("lenet5", CAT, device="tpu"),
        ["predict", "lenet5", str(CAT), "--device", "tpu"],
    ),  # type: ignore[arg-type]
    ("predict", lambda: archdsl.predict("lenet5", CAT, top=0), ["predict", "lenet5", str(CAT), "--top", "0"]),
    ("predict", lambda: archdsl.predict("lenet5", CAT, seed=-1), ["predict", "lenet5", str(CAT), "--seed", "-1"]),
    ("predict", lambda: archdsl.predict("lenet5", CAT, output="x.txt"), ["predict", "lenet5", str(CAT), "-o", "x.txt"]),
    ("predict", lambda: archdsl.predict("lenet5", CAT, output="x.png"), ["predict", "lenet5", str(CAT), "-o", "x.png"]),
    ("predict", lambda: archdsl.predict("lenet5", "missing.jpg"), ["predict", "lenet5", "missing.jpg"]),
    ("predict", lambda: archdsl.predict("a.onnx", CAT, seed=3), ["predict", "a.onnx", str(CAT), "--seed", "3"]),
    (
        "predict",
        lambda: archdsl.predict("a.onnx", CAT, input="3x8x8"),
        ["predict", "a.onnx", str(CAT), "--input", "3x8x8"],
    ),
    ("bench", lambda: archdsl.bench("lenet5", batch=(1, 0)), ["bench", "lenet5", "--batch", "1,0"]),
    ("bench", lambda: archdsl.bench("lenet5", device="tpu"), ["bench", "lenet5", "--device", "tpu"]),  # type: ignore[arg-type]
    ("bench", lambda: archdsl.bench("lenet5", against="keras"), ["bench", "lenet5", "--against", "keras"]),  # type: ignore[arg-type]
    ("bench", lambda: archdsl.bench("lenet5", seconds=0), ["bench", "lenet5", "--seconds", "0"]),
    ("bench", lambda: archdsl.bench("lenet5", threads=0), ["bench", "lenet5", "--threads", "0"]),
    ("bench", lambda: archdsl.bench("a.onnx", precision="fp16"), ["bench", "a.onnx", "--precision", "fp16"]),
    ("bench", lambda: archdsl.bench("a", "b", weights="w.pth"), ["bench", "a", "b", "--weights", "w.pth"]),
    ("bench", lambda: archdsl.bench("resnt50"), ["bench", "resnt50"]),
    ("diff", lambda: archdsl.diff("-", "-"), ["diff", "-", "-"]),
    ("diff", lambda: archdsl.diff("lenet5", "resnt50"), ["diff", "lenet5", "resnt50"]),
    ("diff", lambda: archdsl.diff("lenet5", "lenet5", after={"n": 1}), ["diff", "lenet5", "lenet5", "--after", "n=1"]),
    ("diff", lambda: _lenets().save("x", "jpg"), ["diff", "lenet5", "lenet5_1998", "--format", "jpg"]),  # type: ignore[arg-type]
    ("diff", lambda: _lenets().picture(level="all"), ["diff", "lenet5", "lenet5_1998", "--level", "all"]),  # type: ignore[arg-type]
    ("diff", lambda: _lenets().picture(theme="drak"), ["diff", "lenet5", "lenet5_1998", "--theme", "drak"]),  # type: ignore[arg-type]
    ("compile", lambda: archdsl.load("lenet5").compile(target=_any("tflite")), ["compile", "lenet5", "--to", "tflite"]),
    ("compile", lambda: archdsl.load("lenet5").compile(reinit=["a"]), ["compile", "lenet5", "--reinit", "a"]),
    ("compile", lambda: archdsl.load("lenet5").compile(seed=-1), ["compile", "lenet5", "--seed", "-1"]),
    ("compile", lambda: archdsl.load("lenet5").compile(precision="int8"), ["compile", "lenet5", "--precision", "int8"]),
    ("compile", lambda: archdsl.load("lenet5").compile(calibrate="."), ["compile", "lenet5", "--calibrate", "."]),
    ("compile", lambda: archdsl.load("lenet5").compile("no/x.onnx"), ["compile", "lenet5", "-o", "no/x.onnx"]),
    (
        "compile",
        lambda: archdsl.load("lenet5").compile(target="torch", value_info=True),
        ["compile", "lenet5", "--to", "torch", "--value-info"],
    ),
    ("import", lambda: archdsl.import_model("missing.onnx"), ["import", "missing.onnx"]),
    ("import", lambda: archdsl.import_model("a.onnx", args={"n": 1}), ["import", "a.onnx", "-a", "n=1"]),
    ("import", lambda: archdsl.import_model("a.onnx", name="a b"), ["import", "a.onnx", "--name", "a b"]),
    ("import", lambda: archdsl.import_model("a.onnx", input="3x"), ["import", "a.onnx", "--input", "3x"]),
    ("import", lambda: archdsl.import_model("torch.nn:ReLU"), ["import", "torch.nn:ReLU"]),
    ("import", lambda: archdsl.import_family(["a.onnx", "b/a.onnx"]), ["import", "a.onnx", "b/a.onnx"]),
    ("import", lambda: archdsl.import_family(["a.onnx", "b.onnx"]), ["import", "a.onnx", "b.onnx"]),
    ("passes", lambda: archdsl.load("lenet5").optimised(["nope"]), ["passes", "lenet5", "--disable", "nope"]),
    ("passes", lambda: archdsl.load("lenet5").optimised(["nope"]), ["compile", "lenet5", "--disable", "nope"]),
    ("diagram", lambda: archdsl.load("lenet5").diagram(theme=_any("drak")), ["diagram", "lenet5", "--theme", "drak"]),
    ("diagram", lambda: archdsl.load("lenet5").diagram(style=_any("cube")), ["diagram", "lenet5", "--style", "cube"]),
    ("diagram", lambda: archdsl.load("lenet5").diagram(level=_any("ops")), ["diagram", "lenet5", "--level", "ops"]),
    ("diagram", lambda: archdsl.load("lenet5").diagram(focus="x"), ["diagram", "lenet5", "--focus", "x"]),
    ("diagram", lambda: archdsl.load("lenet5").diagram(width_mm=1), ["diagram", "lenet5", "--width", "1"]),
    (
        "diagram",
        lambda: archdsl.load("lenet5").save_diagram("x.dot", style="article"),
        ["diagram", "lenet5", "--style", "article", "-o", "x.dot"],
    ),
    ("diagram", lambda: archdsl.load("lenet5").save_diagram("x.jpg"), ["diagram", "lenet5", "-o", "x.jpg"]),
]
"""Wrong arguments of a verb: a call from Python, and the command line that says the same."""


def _lenets() -> NetworkDifference:
    return archdsl.diff("lenet5", "lenet5_1998")


_CODES = re.compile(r"^(?:error|warning)\[([EW]\d{4})\]", re.MULTILINE)


@pytest.mark.parametrize(("verb", "call", "args"), WRONG, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_wrong_arguments_have_one_code(verb: str, call: Callable[[], object], args: list[str]) -> None:
    with pytest.raises(ArchError) as caught:
        call()
    result = CliRunner().invoke(main, args)
    assert _CODES.findall(result.stderr) == [d.code for d in caught.value.diagnostics]
    assert result.exit_code == 2
    assert result.stdout == ""


@pytest.mark.extra
def test_every_public_name_is_what_type_checkers_read() -> None:
    """The imports for type checkers and the table of lazy names are the same names from the same modules."""
    import ast

    tree = ast.parse(Path(str(archdsl.__file__)).read_text(encoding="utf-8"))
    guard = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname: (str(node.module).removeprefix("archdsl."), alias.name)
        for node in guard.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == {name: (module, name) for name, module in archdsl._PLACES.items()}


@pytest.mark.extra
def test_verbs_stay_functions_after_every_module_is_imported() -> None:
    """Importing `archdsl.check` as a module would replace the function of that name."""
    code = """if True:
        import importlib, pkgutil
        import archdsl
        for module in pkgutil.walk_packages(archdsl.__path__, "archdsl."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        print(*(name for name in archdsl.__all__ if callable(getattr(archdsl, name))))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == archdsl.__all__


# --- list ------------------------------------------------------------------------------------------------


def test_names_are_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names alone elaborate no network."""
    monkeypatch.setattr("archdsl.library.listing.catalog", None)
    monkeypatch.setattr("archdsl.library.list.catalog", None)
    names = archdsl.list()
    assert len(names) == names.total > 100
    assert list(names) == sorted(names) and names[0] in names and "resnet50" in names
    assert list(archdsl.list("vgg1?", reverse=True)) == ["vgg19", "vgg16", "vgg13", "vgg11"]


def test_a_listing_is_typed() -> None:
    listing = archdsl.list(family=["vgg", "resn*"], min_params="100M", sort="params", reverse=True)
    assert listing.names == tuple(entry.name for entry in listing.entries)
    assert [e.params for e in listing.entries] == sorted((e.params for e in listing.entries), reverse=True)
    assert all(archdsl.load(e.name).params == e.params >= 100_000_000 for e in listing.entries)
    assert [row["macs"] for row in listing.to_json()] == [e.macs for e in listing.entries]
    assert listing.text("json") == CliRunner().invoke(main, [*LIST, "--format", "json"]).stdout
    assert listing.text() == CliRunner().invoke(main, LIST).stdout
    assert archdsl.list("vgg16").entries == archdsl.list("vgg16", sort="family").entries


LIST = ["list", "--family", "vgg", "--family", "resn*", "--min-params", "1e8", "--sort", "params", "--reverse"]


# --- check -----------------------------------------------------------------------------------------------


def test_a_check_is_typed(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("input: 3x8x8\nnet: [nonsense]\n")
    (tmp_path / "fine.yaml").write_text(
        "input: 3x8x8\nargs: {w: 4}\nnet: [3x3 conv w, gap, fc 10]\nclaims: {params: 1M}\n"
    )
    report = archdsl.check("lenet5", tmp_path, "no_such_network")
    assert [(spec.networks, spec.status) for spec in report.specs] == [
        (("lenet5",), 0),
        (("fine",), 1),
        (("wrong",), 1),
        ((), 2),
    ]
    assert (report.ok, report.status) == (False, 2)
    assert [d.code for d in report.diagnostics if d.severity == "error"] == ["E0902", "E0301", "E0205"]
    assert [d["code"] for d in report.to_json()] == [d.code for d in report.diagnostics]
    assert [v.holds for v in report.verdicts["fine"]] == [False]
    fine = archdsl.check(tmp_path / "fine.yaml", args={"w": 5}, input=(3, 16, 16))
    assert fine.ok and not fine.verdicts


# --- compare ---------------------------------------------------------------------------------------------


def test_a_comparison_is_typed() -> None:
    comparison = archdsl.compare("mobilenet_v1", "resnet18", "resnet1?", sort="params")
    assert [e.name for e in comparison.entries] == ["mobilenet_v1", "resnet18"]
    assert [e.params for e in comparison.entries] == [archdsl.load(e.name).params for e in comparison.entries]
    assert [row[0] for row in comparison.rows] == ["mobilenet_v1", "resnet18"]
    assert {len(row) for row in comparison.rows} == {len(comparison.columns)}
    assert [row["name"] for row in comparison.to_json()] == ["mobilenet_v1", "resnet18"]
    assert archdsl.compare("resnet18", input=(3, 64, 64)).entries[0].top1 is None


def test_a_chart_of_a_comparison(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    chart = archdsl.compare("mobilenet_v1", "resnet18", "unet").chart()
    assert chart.data.startswith(b"<?xml") and b"resnet18" in chart.data
    (note,) = chart.notes
    assert note.endswith("unet")
    assert chart.write(tmp_path / "x.svg").size == len(chart.data) == (tmp_path / "x.svg").stat().st_size
    with pytest.raises(ArchError, match="E0852"):
        archdsl.compare("unet").chart()


# --- the small commands ----------------------------------------------------------------------------------


def test_small_commands_print_what_the_library_returns(tmp_path: Path) -> None:
    spec = tmp_path / "untidy.yaml"
    spec.write_text("input: 3x8x8\nnet: [ relu ]\n")
    (file,) = format_files([tmp_path])
    assert (file.changed, file.problem) == (True, None)
    for args, text in (
        (["params", "lenet5", "--format", "json"], params_report(LENET.graph, "json")),
        (["params", "lenet5", "--all"], params_report(LENET.graph, every_node=True)),
        (["passes", "lenet5"], passes_report(LENET.graph).text()),
        (["explain", "412"], explain.page("e0412").text),
        (["expand", "lenet5", "--flat"], expand("lenet5", flat=True).text),
        (["fmt", str(spec), "--diff"], file.difference()),
    ):
        result = CliRunner().invoke(main, args)
        assert (result.exit_code, result.stdout) == (0, text), args
    file.write()
    assert spec.read_text() == file.after == "input: 3x8x8\nnet: [relu]\n"


def test_progress_goes_to_the_function_that_follows_it() -> None:
    calls: list[tuple[str, int, int]] = []
    watched(None, "read")(1, 2)
    watched(lambda work: None, "read")(1, 2)
    watched(lambda work: lambda done, whole: calls.append((work, done, whole)), "write")(1, 2)
    assert calls == [("write", 1, 2)]
