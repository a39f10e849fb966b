"""`archdsl bench` and `archdsl.bench`: what they measure and report. No time is asserted.

Tests `timing/bench.py`, `cli/bench.py`, `timing/networks.py` and `timing/result.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import archdsl
from archdsl.backends.weights import save
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.timing import contestants, torch_module, turns
from archdsl.timing.export import export
from archdsl.timing.profile import profile
from archdsl.timing.task import Task
from archdsl.timing.turns import ROUNDS, Contest

SPEC = """
name: small
input: 3x32x32
args: {w: 8}
defaults: {conv: bn relu}
net:
  conv: 2 * 3x3 conv w
  narrow: 1x1 conv 4 groups=4 plain
  wide: 2x2 deconv 4 /2 plain
  pool: 2x2 maxpool
  end: gap
  fc: fc 10
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC)
    return str(path)


def bench(*args: str) -> Result:
    return CliRunner().invoke(main, ["bench", *args, "--threads", "1", "--seconds", "0.1"])


def test_side_by_side(spec: str) -> None:
    done = bench(spec, "-a", "w=4", "--input", "3x16x24", "--batch", "1,3", "--against", "torch", "--format", "json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    rows = report["timings"]
    assert [(r["contestant"], r["batch"]) for r in rows] == [("archdsl", 1), ("torch", 1), ("archdsl", 3), ("torch", 3)]
    for row in rows:
        assert row["runs"] >= ROUNDS
        assert row["ratio"][1] <= row["ratio"][0] <= row["ratio"][2]
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert row["samples_s"] == pytest.approx(1000 * row["batch"] / row["p50_ms"])
        assert row["peak_bytes"] > 2**24
        assert row["difference"] < 1e-5
    assert rows[0]["ratio"] == [1, 1, 1]


def test_a_compiled_model(spec: str, tmp_path: Path) -> None:
    model = tmp_path / "small.onnx"
    archdsl.load(spec).to_onnx(model, free_sizes=True)
    done = bench(str(model))
    assert done.exit_code == 1
    assert "E0806" in done.output
    assert "has free sizes" in done.output
    done = bench(str(model), "--input", "3x16x16", "--format", "json")
    assert json.loads(done.stdout)["timings"][0]["runs"] >= ROUNDS
    for wrong in ("3x16", "1x16x16", "3xax4", "3x0x4"):
        done = bench(str(model), "--input", wrong)
        assert done.exit_code == 1
        assert "E0806" in done.output
    fixed = archdsl.loads("input: 3x8x8\nnet: [fc 4]")
    fixed.to_onnx(model, force=True)
    done = bench(str(model), "--format", "markdown")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("| network | device | batch | contestant |")
    assert done.stdout.count("\n") == 3


def test_work_by_node_adds_up(spec: str, tmp_path: Path) -> None:
    """What the profile finds in the file is what the graph says, although ONNX Runtime joined nodes."""
    net = archdsl.load(spec)
    net.to_onnx(tmp_path / "m.onnx")
    task = Task("archdsl", str(tmp_path / "m.onnx"), "", "", {"input": (2, 3, 32, 32)})
    found = profile(task, runs=2)
    assert sum(node.macs for node in found.nodes) == 2 * net.macs
    assert {"narrow", "wide", "pool", "end", "fc"} <= {node.path for node in found.nodes}
    assert all(0 <= node.of_roof <= 1 for node in found.nodes)


def test_half_precision(spec: str) -> None:
    done = bench(spec, "--precision", "fp16")
    assert done.exit_code == 0, done.output
    assert bench("x.onnx", "--precision", "fp16").exit_code == 2


def test_the_profile_as_text(spec: str) -> None:
    done = bench(spec, "--profile", "--top", "3")
    assert done.exit_code == 0, done.output
    assert "of roof" in done.stdout
    assert "GMAC/s" in done.stdout
    assert done.stdout.splitlines()[0] == "small, batch 1"


def test_one_that_fails_takes_nothing_with_it(spec: str, tmp_path: Path) -> None:
    archdsl.load(spec).to_onnx(tmp_path / "m.onnx")
    good = Task(
        "archdsl", str(tmp_path / "m.onnx"), spec, str(tmp_path / "none.safetensors"), {"input": (1, 3, 32, 32)}
    )
    bad = Task("torch", good.model, good.spec, good.weights, good.shapes)
    with Contest(str(tmp_path)) as contest:
        contest.add(good)
        contest.add(bad)
        assert len(contest.failed) == 1
        assert "none.safetensors" in contest.failed[0].diagnostics[0].message
        assert [timing.contestant for timing in contest.timings(0.1)] == ["archdsl"]
    with Contest(str(tmp_path)) as contest, pytest.raises(ArchError, match="E0810"):
        contest.add(bad)


@pytest.mark.parametrize(
    ("why", "short"),
    [
        ("onnxruntime::BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 9", True),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", True),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes", True),
        ("its process exited with status -9", True),
        ("its process exited with status -11", False),
        ("none.safetensors does not exist", False),
    ],
)
def test_a_lack_of_memory_has_a_help(why: str, short: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = json.dumps({"failed": why})
    script = f"import sys; sys.stdin.readline(); print({answer!r}, flush=True)"
    monkeypatch.setattr(turns, "_COMMAND", (sys.executable, "-c", script))
    with Contest(str(tmp_path)) as contest, pytest.raises(ArchError, match="E0810") as caught:
        contest.add(Task("archdsl", "m.onnx", "", "", {"input": (1, 3, 4, 4)}))
    assert ("use a smaller `input` or `batch`" in caught.value.diagnostics[0].help) == short


def test_inputs_are_the_same_for_all() -> None:
    task = Task("archdsl", "", "", "", {"input": (2, 3, 4, 4)}, seed=7)
    first, second = (
        torch_module.inputs(task),
        torch_module.inputs(Task.from_json(json.loads(json.dumps(task.to_json())))),
    )
    assert (first["input"] == second["input"]).all()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--batch", "0"], "error[E0002]: `batch` cannot be `0`: an integer from 1 to 4,096"),
        (["--batch", "a"], "'a' is not a valid integer"),
        (["--profile", "--against", "torch"], "leave out"),
        (["--device", "cuda"], "CUDAExecutionProvider"),
        (["--against", "keras"], "error[E0001]: `against` cannot be `keras`"),
        (["-o", "/nowhere/x.json"], "no directory"),
    ],
)
def test_wrong_usage_is_told_before_any_work(spec: str, args: list[str], said: str) -> None:
    done = bench(spec, *args)
    assert done.exit_code == 2
    assert said in done.output


def test_weights_are_of_one_network(spec: str) -> None:
    assert bench(spec, spec, "--weights", "x.safetensors").exit_code == 2


# --- from Python -----------------------------------------------------------------------------------------


def test_timings_of_a_network_from_python(spec: str) -> None:
    works: list[str] = []

    def watch(work: str) -> None:
        works.append(work)

    network = archdsl.load(spec, w=4)
    result = archdsl.bench(network, against="torch", batch=[2], seconds=0.1, threads=1, watch=watch)
    assert [(t.network, t.device, t.contestant, t.batch) for t in result.timings] == [
        ("small", "cpu", "archdsl", 2),
        ("small", "cpu", "torch", 2),
    ]
    assert result.threads == 1
    assert result.profiles == result.failures == ()
    assert works == ["compiling small", "starting small, batch 2, cpu", "timing small, batch 2, cpu"]
    data = json.loads(json.dumps(result.data()))
    assert [timing["contestant"] for timing in data["timings"]] == ["archdsl", "torch"]


def test_the_profile_of_several_networks_from_python(spec: str, tmp_path: Path) -> None:
    model = tmp_path / "small.onnx"
    archdsl.load(spec).to_onnx(model, free_sizes=True)
    result = archdsl.bench(spec, model, batch=(1, 2), profile=True, input=(3, 16, 16), threads=1)
    assert [(p.network, p.batch) for p in result.profiles] == [
        ("small", 1),
        ("small", 2),
        ("small.onnx", 1),
        ("small.onnx", 2),
    ]
    macs = archdsl.load(spec, input="3x16x16").macs
    assert [sum(node.macs for node in p.nodes) for p in result.profiles] == [macs, 2 * macs, macs, 2 * macs]
    assert result.timings == ()


@pytest.mark.parametrize(
    ("arguments", "code", "lists"),
    [
        ({"batch": 0}, "E0002", "1 to 4,096"),
        ({"batch": []}, "E0002", "1 to 4,096"),
        ({"batch": [1, 5000]}, "E0002", "1 to 4,096"),
        ({"device": "tpu"}, "E0001", "cpu, cuda, cuda:1, tensorrt"),
        ({"device": ()}, "E0001", "cpu, cuda, cuda:1, tensorrt"),
        ({"against": ["torch", "keras"]}, "E0001", "torch, channels_last, compile, traced, slimmed, openvino"),
        ({"precision": "int8"}, "E0001", "fp32, fp16, bf16"),
        ({"seconds": 0}, "E0002", "0.1 to 600"),
        ({"threads": 0}, "E0002", "1 to 1,024"),
        ({"profile": True, "against": "torch"}, "E0003", "leave out"),
        ({"profile": True, "device": ("cpu", "cuda")}, "E0003", "leave out"),
        ({"against": "openvino", "device": "cuda"}, "E0003", "runs on the CPU only"),
    ],
)
def test_wrong_arguments_from_python(spec: str, arguments: dict[str, object], code: str, lists: str) -> None:
    with pytest.raises(ArchError, match=lists) as caught:
        archdsl.bench(spec, **arguments)  # type: ignore[arg-type]
    assert (caught.value.diagnostics[0].code, caught.value.status) == (code, 2)


@pytest.mark.parametrize(
    "arguments", [{"weights": "x.safetensors"}, {"precision": "fp16"}, {"args": {"w": 4}}, {"against": "torch"}]
)
def test_a_compiled_model_is_not_changed(arguments: dict[str, object]) -> None:
    with pytest.raises(ArchError, match="is a compiled model") as caught:
        archdsl.bench("m.onnx", **arguments)  # type: ignore[arg-type]
    assert caught.value.diagnostics[0].code == "E0003"


def test_pytorch_is_not_loaded_in_a_timed_process() -> None:
    """It would count as memory of the process, and leave it another allocator."""
    code = "import archdsl.timing.worker, archdsl.timing.contestants, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_an_export_that_fails_says_why(tmp_path: Path) -> None:
    task = Task("traced", "", str(tmp_path / "no_such.yaml"), "", {"input": (1, 3, 8, 8)})
    with pytest.raises(RuntimeError, match=r"\S"):
        export(task, tmp_path / "x.onnx")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("size", "stored"), [("4x64", "preserve_format"), ("4x12x12", "channels_last"), ("4x6x6x6", "channels_last_3d")]
)
def test_channels_last_of_signals_images_and_volumes(tmp_path: Path, size: str, stored: str) -> None:
    """PyTorch has a format for images and one for volumes; of a signal nothing changes."""
    torch = pytest.importorskip("torch")
    text = f"name: n\ninput: {size}\nnet: [conv 8 kernel=3 bn relu, conv 8 kernel=3 same, scale 0.5, gap, fc 4]\n"
    (spec := tmp_path / "n.yaml").write_text(text)
    net = archdsl.load(spec)
    save(net.weights(), weights := tmp_path / "n.safetensors")
    shape = (2, *map(int, size.split("x")))
    task = Task("channels_last", "", str(spec), str(weights), {"input": shape})
    x = contestants._channels_last(torch_module.tensors(task)[0])
    if stored != "preserve_format":
        assert x.is_contiguous(memory_format=getattr(torch, stored)) and not x.is_contiguous()
    outputs = [make(task).outputs()[0] for make in (contestants.torch_eager, contestants.channels_last)]
    assert np.allclose(*outputs, atol=1e-5)
