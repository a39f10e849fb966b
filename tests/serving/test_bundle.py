"""`archdsl bundle`: what is written, what is replaced, and what is refused.

Tests `cli/bundle.py` and `serving/bundle.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.serving.bundle import TARGETS, bundle
from archdsl.serving.web import RUNTIME

SPEC = """
name: n
input: 3x32x32
preprocess: imagenet
labels: [a, b]
net:
  c: 3x3 conv 4 bn relu
  p: gap
  fc: fc 2
"""
NET = archdsl.loads(SPEC)


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder with files of the names that onnxruntime-web has."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in RUNTIME:
        (folder / name).write_bytes(name.encode())
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ArchError) as caught:
        call()
    return str(caught.value.diagnostics[0].code)


def test_the_files_for_triton(tmp_path: Path) -> None:
    result = archdsl.bundle(NET, "triton", tmp_path / "models")
    assert result.folder == tmp_path / "models" / "n" and result.random
    assert names(result.folder) == ["1/model.onnx", "README.md", "client.py", "config.pbtxt", "labels.txt"]
    assert sorted(file.path.relative_to(result.folder).as_posix() for file in result.files) == names(result.folder)


def test_large_weights_are_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.backends.onnx.write.MAX_FILE", 100)
    folder = archdsl.bundle(NET, "triton", tmp_path).folder
    model = onnx.load(folder / "1" / "model.onnx")  # with the data that it names
    assert {"1/model.onnx", "1/model.onnx.data"} <= set(names(folder)) and len(model.graph.initializer) > 2


def test_the_files_of_a_page(tmp_path: Path, runtime: Path) -> None:
    bare = archdsl.bundle(NET, "web", tmp_path / "page")
    assert [note.code for note in bare.notes] == ["N0874"]
    own = ["README.md", "index.html", "model.onnx", "network.json", "page.css", "page.js"]
    assert names(bare.folder) == own and "npm pack" in (bare.folder / "README.md").read_text()
    whole = archdsl.bundle(NET, "web", tmp_path / "page", runtime=runtime)
    assert names(whole.folder) == sorted([*own, *(f"runtime/{name}" for name in RUNTIME)]) and not whole.notes
    assert "npm pack" not in (bare.folder / "README.md").read_text()
    assert not archdsl.bundle(NET, "web", tmp_path / "page").notes  # the runtime is still there


@pytest.mark.parametrize("target", TARGETS)
def test_what_others_wrote_is_kept(target: Any, tmp_path: Path) -> None:
    folder = tmp_path / "n"
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    output = folder if target == "web" else tmp_path
    assert code_of(lambda: bundle(NET, target, output)) == "E0703"
    assert names(folder) == ["README.md"] and [path.name for path in folder.iterdir()] == ["README.md"]
    (folder / "notes.txt").write_text("mine")
    bundle(NET, target, output, force=True)
    assert (folder / "README.md").read_text() != "mine" and (folder / "notes.txt").read_text() == "mine"
    bundle(NET, target, output)  # now it is a bundle


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    assert code_of(lambda: bundle(NET, "triton", tmp_path / "a" / "b", weights=str(tmp_path / "none.pth"))) == "E0607"
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    assert code_of(lambda: bundle(NET, "triton", tmp_path / "file" / "b")) == "E0701"


@pytest.mark.parametrize(
    "code, options",
    [
        ("E0001", {"target": "tf"}),
        ("E0001", {"device": "tpu"}),
        ("E0001", {"precision": "int8"}),
        ("E0002", {"max_batch": 0}),
        ("E0002", {"instances": 65}),
        ("E0002", {"opset": 12}),
        ("E0003", {"target": "web", "max_batch": 4}),
        ("E0003", {"runtime": "dist"}),
        ("E0003", {"tensorrt": True, "embed_preprocess": True}),
        ("E0003", {"tensorrt": True, "device": "cpu"}),
        ("E0004", {"output": 3}),
        ("E0870", {"target": "web", "opset": 17}),
        ("E0873", {"target": "web", "runtime": "no such folder"}),
        ("E0873", {"source": archdsl.loads("input: 3x8x8\nnet:\n  c: 3x3 conv 3\n"), "target": "web"}),
        ("E0873", {"source": archdsl.loads("input: 9\nnet:\n  f: fc 3\n"), "target": "web"}),
    ],
)
def test_what_is_refused(code: str, options: dict[str, Any], tmp_path: Path) -> None:
    values: dict[str, Any] = {"source": NET, "target": "triton", "output": tmp_path / "out", **options}
    assert code_of(lambda: bundle(**values)) == code
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("n.yaml").write_text(SPEC)
    done = CliRunner().invoke(main, ["bundle", "n.yaml", "--to", "triton", "--max-batch", "4", "--format", "json"])
    report = json.loads(done.stdout)
    assert (report["folder"], report["target"]) == (str(Path("models") / "n"), "triton")
    assert "max_batch_size: 4" in Path("models/n/config.pbtxt").read_text()
    Path("a.yaml").write_text("args: {width: 4}\n" + SPEC.replace("conv 4", "conv width"))
    done = CliRunner().invoke(main, ["bundle", "a.yaml", "--to", "triton", "-a", "width=8"])
    assert done.exit_code == 0, done.output
    assert onnx.load("models/n/1/model.onnx").graph.initializer[0].dims[0] == 8
    text = CliRunner().invoke(main, ["bundle", "n.yaml", "--to", "web"]).output
    assert "N0874" in text and "wrote n-web/index.html" in text and "NOT trained" in text
