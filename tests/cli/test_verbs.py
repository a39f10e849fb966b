"""Every verb of the command line is a function of the library, with a typed result and the same diagnostics.

A new verb adds a test that calls it, and rows of wrong arguments to `WRONG`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.differences.diff import NetworkDifference

WRONG: list[tuple[str, Callable[[], object], list[str]]] = [
    ("load", lambda: archdsl.load("resnt50"), ["params", "resnt50"]),
    ("load", lambda: archdsl.load("vgg16", clases=3), ["params", "vgg16", "-a", "clases=3"]),
    ("load", lambda: archdsl.load("vgg16", input="3x3"), ["params", "vgg16", "--input", "3x3"]),
    ("verify", lambda: archdsl.verify("a.onnx", "b.onnx"), ["verify", "a.onnx", "b.onnx"]),
    ("verify", lambda: archdsl.verify("a.onnx", args={"n": 1}), ["verify", "a.onnx", "-a", "n=1"]),
    ("verify", lambda: archdsl.verify("lenet5", batch=0), ["verify", "lenet5", "--batch", "0"]),
    ("verify", lambda: archdsl.verify("lenet5", seed=-1), ["verify", "lenet5", "--seed", "-1"]),
    ("verify", lambda: archdsl.verify("missing.onnx"), ["verify", "missing.onnx"]),
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


def test_every_public_name_is_what_type_checkers_read() -> None:
    """The imports for type checkers and the table of lazy names are the same names from the same modules."""
    import ast
    from pathlib import Path

    tree = ast.parse(Path(str(archdsl.__file__)).read_text(encoding="utf-8"))
    guard = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname: (str(node.module).removeprefix("archdsl."), alias.name)
        for node in guard.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == {name: (module, name) for name, module in archdsl._PLACES.items()}


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
