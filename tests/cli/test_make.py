"""What is made of a network: `archdsl compile`, `diagram`, `list`, `doctor`, and the same from Python.

Tests `cli/compile.py` and `cli/doctor.py`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import archdsl
from archdsl.cli import main
from archdsl.library import catalog
from archdsl.runtime import doctor
from archdsl.runtime.model import read_facts

TINY = (
    "name: tiny\ninput: 3x8x8\nargs: {classes: 10}\nnet:\n  conv: 3x3 conv 4 bn relu\n  pool: gap\n  fc: fc classes\n"
)


def run(*args: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], input=stdin)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with `tiny.yaml`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def made(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "tiny.yaml")


# --- compile ---------------------------------------------------------------------------------------------


def test_onnx_by_default(here: Path) -> None:
    result = run("compile", "tiny.yaml")
    assert (result.exit_code, result.stdout) == (0, "")
    lines = result.stderr.splitlines()
    assert lines[0].startswith("wrote tiny.onnx  ")
    assert lines[1].strip() == "weights  random, seed 0: NOT trained"
    facts = read_facts("tiny.onnx")
    assert facts.metadata["spec_sha256"] == archdsl.load("tiny.yaml").fingerprint
    assert made(here) == ["tiny.onnx"]


def test_the_same_numbers_in_every_target(here: Path) -> None:
    result = run("compile", "tiny.yaml", "--all-targets", "--seed", 7, "-O0", "--format", "json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert list(report) == ["name", "spec_sha256", "files", "weights", "notes"]
    assert [f["path"] for f in report["files"]] == ["tiny.onnx", "tiny.py", "tiny.safetensors"]
    for file in report["files"]:
        data = Path(file["path"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert report["weights"] == {"source": "random, seed 7", "random": True, "seed": 7}
    import onnx

    model = onnx.load("tiny.onnx")
    arrays = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    weights = archdsl.load("tiny.yaml").weights("tiny.safetensors")
    assert np.array_equal(arrays["conv.conv.weight"], weights["conv.conv.weight"])
    assert "class Tiny(nn.Module)" in Path("tiny.py").read_text()


def test_a_new_head_on_old_weights(here: Path) -> None:
    assert run("compile", "tiny.yaml", "--to", "weights").exit_code == 0
    misfit = run("compile", "tiny.yaml", "-a", "classes=3", "--weights", "tiny.safetensors")
    assert misfit.exit_code == 1
    assert "error[E0603]" in misfit.stderr and "--reinit 'fc.*'" in misfit.stderr
    assert made(here) == ["tiny.safetensors"], "nothing is written on an error"
    fits = run("compile", "tiny.yaml", "-a", "classes=3", "--weights", "tiny.safetensors", "--reinit", "fc.*")
    assert fits.exit_code == 0
    assert "initialised with seed 0: fc.bias, fc.weight" in fits.stderr
    typo = run("compile", "tiny.yaml", "--weights", "tiny.safetensors", "--reinit", "fcc.*")
    assert (typo.exit_code, "E0604" in typo.stderr) == (1, True)


def test_weights_of_torch(here: Path) -> None:
    torch = pytest.importorskip("torch")
    module = archdsl.load("tiny.yaml").to_torch(seed=3)
    torch.save(module.state_dict(), "tiny.pth")
    result = run("compile", "tiny.yaml", "--weights", "tiny.pth")
    assert result.exit_code == 0, result.stderr
    digest = hashlib.sha256(Path("tiny.pth").read_bytes()).hexdigest()
    assert f"weights  sha256:{digest}" in result.stderr
    import onnxruntime

    x = torch.rand(2, 3, 8, 8)
    (got,) = onnxruntime.InferenceSession("tiny.onnx", providers=["CPUExecutionProvider"]).run(
        None, {"input": x.numpy()}
    )
    expected = module(x).detach().numpy()
    assert np.abs(got - expected).max() / np.abs(expected).max() < 1e-5


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--reinit", "fc.*"], "error[E0003]: `reinit` selects tensors of `weights`, which is not set"),
        (["--to", "torch", "--weights", "x.safetensors"], "error[E0003]: PyTorch source stores no weights"),
        (
            ["--to", "torch", "--external-data"],
            "`free_sizes`, `external_data`, `opset`, `cam` and `embed_preprocess` apply to the target onnx",
        ),
        (["--all-targets", "-o", "-"], "cannot write several files to standard output"),
        (["--to", "tflite"], "error[E0001]: `to` cannot be `tflite`; choose one of: onnx, torch, weights"),
        (["--weights", "missing.pth"], "error[E0607]"),
        (["-o", "missing/x.onnx"], "there is no directory `missing`"),
        (["-o", "."], "it names a directory"),
        (["-o", "tiny.yaml", "--force"], "error[E0001]: unknown ending `.yaml`"),
    ],
)
def test_wrong_usage_writes_nothing(here: Path, args: list[str], said: str) -> None:
    result = run("compile", "tiny.yaml", *args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert made(here) == []
    assert (here / "tiny.yaml").read_text() == TINY


def test_what_may_be_replaced(here: Path) -> None:
    for target, name in (("onnx", "tiny.onnx"), ("torch", "tiny.py"), ("weights", "tiny.safetensors")):
        assert run("compile", "tiny.yaml", "--to", target).exit_code == 0
        assert run("compile", "tiny.yaml", "--to", target).exit_code == 0, "our own is replaced"
        Path(name).write_text("import archdsl\n# work of a week\n")
        result = run("compile", "tiny.yaml", "--to", target)
        assert (result.exit_code, "error[E0703]" in result.stderr) == (2, True)
        assert Path(name).read_text() == "import archdsl\n# work of a week\n"
        assert run("compile", "tiny.yaml", "--to", target, "--force").exit_code == 0


def test_all_targets_or_none(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("tiny.safetensors").write_text("somebody's")
    assert run("compile", "tiny.yaml", "--all-targets").exit_code == 2
    assert made(here) == ["tiny.safetensors"]
    Path("tiny.safetensors").unlink()

    def fail(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("archdsl.backends.weights.save", fail)
    assert run("compile", "tiny.yaml", "--all-targets").exit_code == 130
    assert made(here) == [], "what was written before the last file failed is gone"
    assert run("compile", "tiny.yaml", "--all-targets", "-o", "missing").exit_code == 2


def test_to_standard_output(here: Path) -> None:
    command = [sys.executable, "-m", "archdsl", "compile", "tiny.yaml", "-o", "-"]
    for target in ("onnx", "torch", "weights"):
        piped = subprocess.run([*command, "--to", target], capture_output=True, timeout=60)
        assert (piped.returncode, piped.stderr) == (0, b"")
        run("compile", "tiny.yaml", "--to", target, "-o", "file")
        assert piped.stdout == Path("file").read_bytes()
        Path("file").unlink()


def test_external_data(here: Path) -> None:
    report = json.loads(run("compile", "tiny.yaml", "--external-data", "--format", "json").stdout)
    assert [f["path"] for f in report["files"]] == ["tiny.onnx", "tiny.onnx.data"]


def test_fixed_numbers_are_not_called_random(here: Path) -> None:
    result = run("compile", "edge_filter")
    assert "weights  fixed by the spec" in result.stderr
    assert "random" not in result.output
    assert read_facts("edge_filter.onnx").metadata["weights"] == "fixed by the spec"


def test_odd_weights(here: Path) -> None:
    net = archdsl.load("tiny.yaml")
    arrays = {key: np.array(value) for key, value in net.weights().items()}
    arrays["fc.weight"][0, 0] = np.nan
    from safetensors.numpy import save_file

    save_file(arrays, "odd.safetensors")
    result = run("compile", "tiny.yaml", "--weights", "odd.safetensors")
    assert result.exit_code == 0
    assert "warning[W0606]: `fc.weight` contains infinities or NaN" in result.stderr
    strict = run("compile", "tiny.yaml", "--weights", "odd.safetensors", "--strict", "-o", "strict.onnx")
    assert (strict.exit_code, Path("strict.onnx").exists()) == (1, False)
    assert "error[W0606]" in strict.stderr


# --- diagram ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("x.svg", b"<?xml"),
        ("x.png", b"\x89PNG"),
        ("x.pdf", b"%PDF-"),
        ("x.dot", b"// drawn by archdsl"),
        ("x.gv", b"//"),
        ("x.mmd", b"%% drawn by archdsl"),
    ],
)
def test_drawings(here: Path, name: str, head: bytes) -> None:
    result = run("diagram", "tiny.yaml", "-o", name)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(f"wrote {name}  ")
    assert Path(name).read_bytes().startswith(head)
    assert run("diagram", "tiny.yaml", "-o", name).exit_code == 0, "our own is replaced"
    Path(name).write_text("somebody's")
    assert run("diagram", "tiny.yaml", "-o", name).exit_code == 2
    assert Path(name).read_text() == "somebody's"


def test_a_marked_png_is_still_one(here: Path) -> None:
    from PIL import Image

    run("diagram", "tiny.yaml", "-o", "x.png")
    with Image.open("x.png") as image:
        image.load()
        assert image.info["Software"].startswith("drawn by archdsl")


def test_drawing_usage(here: Path) -> None:
    assert run("diagram", "tiny.yaml").exit_code == 0
    assert made(here) == ["tiny.svg"]
    assert run("diagram", "tiny.yaml", "-o", "-", "--format", "dot").stdout.startswith("// drawn by archdsl")
    assert run("diagram", "tiny.yaml", "-o", "x.jpeg").exit_code == 2
    assert run("diagram", "tiny.yaml", "-o", "tiny.yaml", "--format", "svg", "--force").exit_code == 2


def test_the_options_of_a_drawing(here: Path) -> None:
    drawing = ("diagram", "resnet18", "-o", "-", "--format", "svg")
    plain = run(*drawing).stdout
    assert "prefers-color-scheme" in plain
    for options in (
        ["--theme", "dark"],
        ["--color", "macs"],
        ["--legend"],
        ["--no-shapes"],
        ["--direction", "LR"],
        ["--title", "Mine"],
        ["--level", "layer"],
        ["--level", "network"],
        ["--expand", "*"],
        ["--focus", "layer2.0"],
    ):
        drawn = run(*drawing, *options, "--color", "never")
        assert (drawn.exit_code, drawn.stderr) == (0, "")
        assert drawn.stdout != plain, options
    small, large = (run("diagram", "tiny.yaml", "-o", f"{dpi}.png", "--dpi", dpi).stderr for dpi in ("72", "300"))
    assert Path("300.png").stat().st_size > Path("72.png").stat().st_size, (small, large)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--style", "cubes"], "choose one of: graph"),
        (["--level", "blocks"], "choose one of: network, block, layer"),
        (["--focus", "layer2.9"], "`layer2` has: layer2.0, layer2.1"),
        (["--expand", "<b>"], "it has: "),
        (["--style", "article", "--format", "dot"], "formats of `article`: svg"),
        (["--theme", "blue"], "auto"),
        (["-o", "nowhere/x.svg"], "there is no directory"),
    ],
)
def test_a_drawing_that_cannot_be(here: Path, options: list[str], said: str) -> None:
    result = run("diagram", "resnet18", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert made(here) == []


def test_an_output_that_cannot_be_written_stays_as_it_was(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("diagram", "tiny.yaml", "-o", "x.svg")
    old = Path("x.svg").read_bytes()

    def full(self: object, data: bytes) -> int:
        raise archdsl.diagnostics.error("E0704", "the disk is full", status=2)

    monkeypatch.setattr("archdsl.files.atomic.OutputFile.write", full)
    assert run("diagram", "tiny.yaml", "-o", "x.svg", "--legend").exit_code == 2
    assert Path("x.svg").read_bytes() == old
    assert made(here) == ["x.svg"]


def test_without_an_engine_nothing_is_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.drawing.graph.engine.engines", list)
    result = run("diagram", "tiny.yaml", "-o", "x.pdf")
    assert result.exit_code == 2
    assert "pip install graphviz-pure" in result.stderr and "--format dot" in result.stderr
    assert made(here) == []


# --- list ------------------------------------------------------------------------------------------------


def test_the_library(here: Path) -> None:
    result = run("list")
    assert result.exit_code == 0
    first = result.stdout.splitlines()[0].split()
    assert first == [
        "name",
        "family",
        "task",
        "year",
        "input",
        "axes",
        "classes",
        "params",
        "MACs",
        "depth",
        "top-1",
        "%",
        "source",
    ]
    (vgg,) = [line.split() for line in result.stdout.splitlines() if line.startswith("vgg16 ")]
    assert vgg[:10] == [
        "vgg16",
        "vgg",
        "classification",
        "2014",
        "3x224x224",
        "2",
        "1000",
        "138,357,544",
        "15,470,264,320",
        "16",
    ]
    entries = json.loads(run("list", "--format", "json").stdout)
    assert {e["name"] for e in entries} == set(archdsl.list())
    rows = list(csv.DictReader(io.StringIO(run("list", "vgg1*", "resnet18", "--format", "csv").stdout)))
    assert {row["family"] for row in rows} == {"vgg", "resnet"}
    assert run("list", "vgg16", "--format", "markdown").stdout.count("\n") == 3
    by_params = json.loads(run("list", "--sort", "params", "--format", "json").stdout)
    assert [e["params"] for e in by_params] == sorted(e["params"] for e in by_params)
    missing = run("list", "vgg61")
    assert (missing.exit_code, "did you mean" in missing.stderr) == (2, True)


def test_the_library_is_counted_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept catalog is used; one that is damaged, or that cannot be kept, is counted again."""
    entries = catalog.catalog()
    expected = run("list", "--format", "json").stdout
    counted: list[int] = []
    monkeypatch.setattr(catalog, "_count_all", lambda progress: counted.append(1) or entries)
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    for _ in range(2):
        assert run("list", "--format", "json").stdout == expected
    assert len(counted) == 1
    cache = here / "cache" / "archdsl" / "catalog.json"
    kept = cache.read_text()
    for damaged in ("", "[]", "{", kept.replace('"params": ', '"params": "x'), kept.replace('"key"', '"yek"')):
        counted.clear()
        cache.write_text(damaged)
        assert run("list", "--format", "json").stdout == expected
        assert (len(counted), cache.read_text()) == (1, kept)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    for _ in range(2):
        assert run("list", "--format", "json").stdout == expected
    assert len(counted) == 3


# --- doctor ----------------------------------------------------------------------------------------------


def test_doctor() -> None:
    result = run("doctor")
    assert result.exit_code == 0
    for said in (f"archdsl {archdsl.__version__}", "ok  numpy", "ok  CPUExecutionProvider", "drawing"):
        assert said in result.stdout
    report = json.loads(run("doctor", "--format", "json").stdout)
    extras = {package["install"].partition("[")[2].partition("]")[0] for package in report["packages"]} - {""}
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert extras == declared.keys() - {"gpu", "docs", "test"}, "each extra of a reader is in the table"
    assert "pydicom" in result.stdout and "pyarrow" in result.stdout
    assert {"name": "CPUExecutionProvider", "works": True, "detail": "ran Conv, MatMul, MaxPool"} in report["providers"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("predict", "xray.pth", "a.png"), "weights need a spec: `NAME.yaml`, with `--weights xray.pth`"),
        (("predict", "xray.onx", "a.png"), "no such file: `xray.onx`"),
        (("diagram", "lenet5", "--width", "85mm"), "Write a whole number of millimetres, without a unit."),
        (("diagram", "lenet5", "--dpi", "8.5"), "Write a whole number, without a unit."),
        (
            ("compile", "resnet18", "--offline", "--weights", "torchvision:IMAGENET1K_V1"),
            "download the file on another machine, and name it",
        ),
    ],
)
def test_errors_name_the_way_out(args: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path))
    result = run(*args)
    assert result.exit_code and says in result.stderr


def test_what_the_doctor_advises() -> None:
    numpy = doctor.Package("numpy", None, True, "archdsl itself", "pip install archdsl")
    torch = doctor.Package("torch", None, False, "PyTorch modules", "pip install 'archdsl[torch]'")
    both = ("onnxruntime 1.32.0", "onnxruntime-gpu 1.32.0")
    cuda = doctor.Provider("CUDAExecutionProvider", False, "does not start")
    versions = {"torch": "12.8", "onnxruntime": "13.0", "driver": "12.4"}
    told = "\n".join(doctor._advice((numpy, torch), both, (cuda,), (), versions))
    for said in (
        "numpy missing",
        "onnxruntime and onnxruntime-gpu overwrite each other's files",
        "archdsl[torch]",
        "CUDAExecutionProvider is installed but does not work: it needs CUDA and cuDNN of matching versions",
        "graphviz-pure",
        "torch was built for CUDA 12.8, ONNX Runtime for CUDA 13.0",
        "the driver supports CUDA 12.4, onnxruntime needs CUDA 13",
    ):
        assert said in told
    (line, *_) = doctor._advice((), both[1:], (cuda,), (), {"onnxruntime": "13.0"})
    assert line == "CUDAExecutionProvider is installed but does not work: there is no driver of NVIDIA"
    same = "\n".join(doctor._advice((), (), (), (), {"torch": "12.8", "onnxruntime": "12.6", "driver": "12.9"}))
    assert "CUDA" not in same


def test_a_provider_that_crashes_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    found, problem = doctor._child(["-c", "import os; os.abort()"])
    assert found is None and "status -6" in problem
    found, problem = doctor._child(["-c", "print('not json')"])
    assert found is None and problem
    monkeypatch.setattr(doctor, "PROBE_LIMIT_S", 0.2)
    found, problem = doctor._child(["-c", "import time; time.sleep(30)"])
    assert found is None and "no answer" in problem


def test_the_probes_model() -> None:
    import onnx

    from archdsl.runtime.probe import model, probe

    onnx.checker.check_model(onnx.load_from_string(model()), full_check=True)
    assert probe("CPUExecutionProvider") == {"works": True, "detail": "ran Conv, MatMul, MaxPool"}


def test_cuda_versions_are_read_without_an_import() -> None:
    import torch

    assert doctor.cuda_versions().get("torch") == torch.version.cuda


# --- from Python -----------------------------------------------------------------------------------------


def test_a_network_as_an_object() -> None:
    net = archdsl.loads(TINY, classes=3)
    assert repr(net) == "<Network tiny, classes=3: 3x8x8, 131 params, 6,924 MACs>"
    assert (net.name, net.params, net.macs, net.flops) == ("tiny", 131, 6924, 13848)
    assert (net.input, net.output, net.classes) == ((3, 8, 8), (3,), 3)
    assert [n.path for n in net.nodes if not n.implied][:3] == ["input", "conv.conv", "conv.bn"]
    assert "total" in net.summary()
    assert str(net.diagram()).startswith("<?xml")
    bundle = net._repr_mimebundle_()
    assert bundle["text/plain"] == repr(net) and "<svg" in bundle["image/svg+xml"]
    assert "class Tiny(nn.Module)" in net.to_source()


def test_arguments_and_sizes() -> None:
    assert archdsl.load("resnet50", classes=3).params == 23_514_179
    assert archdsl.load("resnet18", input=(3, 64, 64)).input == (3, 64, 64)
    assert archdsl.load("resnet18", input="3x64x64").input == (3, 64, 64)
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.load("resnet18", clases=3)
    assert caught.value.diagnostics[0].help == "did you mean `classes`?"
    assert "did you mean `classes`?" in str(caught.value)


def test_weights_from_anywhere(tmp_path: Path) -> None:
    net = archdsl.loads(TINY)
    start = net.weights(seed=5)
    assert start.source == "random, seed 5"
    given = net.weights(dict(start))
    assert all(np.array_equal(start[key], given[key]) for key in start)
    net.to_onnx(tmp_path / "given.onnx", dict(start))
    assert read_facts(tmp_path / "given.onnx").metadata["weights"] == "given"
    torch = pytest.importorskip("torch")
    module = net.to_torch(seed=5)
    assert not module.training
    state = module.state_dict()
    assert all(np.array_equal(start[key], value.numpy()) for key, value in state.items())
    again = net.to_torch(weights=state)
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(module(x), again(x))
    assert next(net.to_torch(device="meta").parameters()).device.type == "meta"


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.packages.find_spec", lambda name: None)
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.loads(TINY).to_torch()
    assert caught.value.status == 2
    assert caught.value.diagnostics[0].code == "E0801"
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.loads(TINY).weights()
    assert caught.value.diagnostics[0].code == "E0807"


def test_fingerprints() -> None:
    net = archdsl.loads(TINY)
    assert net.fingerprint == archdsl.loads(TINY.replace("gap", "gap # the same")).fingerprint
    assert net.fingerprint != archdsl.loads(TINY, classes=3).fingerprint
    assert net.fingerprint != archdsl.loads(TINY.replace("pool: gap", "pool: gap relu")).fingerprint
