"""Output paths that must not hurt, for every command that writes: refused with status 2, and nothing touched."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from archdsl.cli import main
from tests.support.places import CAT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and links of POSIX")

SPEC = "name: s\ninput: 3x8x8\nnet: [3x3 conv 3]\n"
WRITERS = {
    "compile": (["compile", "s.yaml", "-o"], ".onnx"),
    "compile data": (["compile", "s.yaml", "--external-data", "-o"], ".onnx"),
    "compile half": (["compile", "s.yaml", "--precision", "fp16", "-o"], ".onnx"),
    "compile torch": (["compile", "s.yaml", "--to", "torch", "-o"], ".py"),
    "compile weights": (["compile", "s.yaml", "--to", "weights", "-o"], ".safetensors"),
    "diagram svg": (["diagram", "s.yaml", "-o"], ".svg"),
    "diagram html": (["diagram", "s.yaml", "-o"], ".html"),
    "diagram pdf": (["diagram", "s.yaml", "-o"], ".pdf"),
    "diagram tex": (["diagram", "s.yaml", "--style", "volumes", "-o"], ".tex"),
    "diff": (["diff", "s.yaml", "lenet5", "-o"], ".txt"),
    "compare": (["compare", "s.yaml", "-o"], ".txt"),
    "plot": (["compare", "s.yaml", "alexnet", "--plot"], ".svg"),
    "list": (["list", "vgg16", "-o"], ".txt"),
    "import": (["import", "torchless.onnx", "-o"], ".yaml"),
    "predict": (["predict", "s.yaml", str(CAT), "-o"], ".png"),
}
BAD = [
    "directory",
    "pipe",
    "link",
    "loop",
    "nul",
    "long",
    "nowhere",
    "under a file",
    "another's",
    "the spec",
    "the spec by another way",
    "the spec's link",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(SPEC)
    return tmp_path


def target(kind: str, folder: Path, ending: str) -> str:
    """The path to write to; what stands there is made."""
    name = f"x{ending}"
    victim = folder / "victim"
    victim.write_text("precious")
    match kind:
        case "directory":
            (folder / name).mkdir()
        case "pipe":
            os.mkfifo(folder / name)
        case "link":
            (folder / name).symlink_to(victim)
        case "loop":
            (folder / name).symlink_to(name)
        case "another's":
            (folder / name).write_text("precious")
        case "nul":
            return f"a\0b{ending}"
        case "long":
            return "n" * 300 + ending
        case "nowhere":
            return f"no/such/folder/{name}"
        case "under a file":
            return f"victim/{name}"
    return name


def state(folder: Path) -> dict[str, str]:
    return {str(p): p.read_text(errors="replace") if p.is_file() else "-" for p in folder.rglob("*") if not p.is_fifo()}


@pytest.mark.parametrize("kind", BAD[:9])
@pytest.mark.parametrize("writer", WRITERS)
def test_refused(writer: str, kind: str, folder: Path) -> None:
    if (writer, kind) == ("predict", "directory"):
        pytest.skip("a folder is where its images go")
    args, ending = WRITERS[writer]
    _prepare(folder, args)
    path = target(kind, folder, ending)
    before = state(folder)
    done = CliRunner().invoke(main, [*args, path])
    assert "internal error" not in done.output, done.output
    assert (done.exit_code, "error[E070" in done.output) == (2, True), done.output
    assert len(done.output) < 3000
    assert state(folder) == before


def _prepare(folder: Path, args: list[str]) -> None:
    """Skip the test if the command needs a package that is not installed, and write the file that it reads."""
    if "--plot" in args:
        pytest.importorskip("matplotlib")
    if "torchless.onnx" in args:
        import archdsl

        archdsl.loads("input: 3x8x8\nnet: [relu]").to_onnx(folder / "torchless.onnx")


@pytest.mark.parametrize("kind", BAD[9:])
@pytest.mark.parametrize("writer", [w for w in WRITERS if w not in ("list", "import")])
def test_the_spec_is_never_overwritten(writer: str, kind: str, folder: Path) -> None:
    """Not even with --force, whatever its name or another way to it looks like."""
    args, ending = WRITERS[writer]
    _prepare(folder, args)
    name = f"spec{ending}"
    ways = {"the spec": "s.yaml", "the spec by another way": f"./{name}", "the spec's link": name}
    if kind == "the spec's link":
        (folder / name).symlink_to("s.yaml")
    elif kind == "the spec by another way":
        os.link(folder / "s.yaml", folder / name)
    codes = ("E0001", "E0702") if kind == "the spec" else ("E0702",)  # most commands refuse its ending first
    done = CliRunner().invoke(main, [*args, ways[kind], "--force"])
    assert done.exit_code == 2 and any(code in done.output for code in codes), done.output
    assert (folder / "s.yaml").read_text() == SPEC
